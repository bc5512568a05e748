"""A labels layer as it is counted: its voxels, an image and a reference on the same grid, and what was edited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_scse._napari.inputs import Refusal, refuse, shown_frame
from napari_scse._napari.labels import structures_in
from napari_scse._napari.layers import METADATA_KEY, grid_of, is_derived, layer_affine, world_affine
from napari_scse.evaluation.tally import memory_order
from napari_scse.structures import Structure

_SAME_PLACE = 1e-2  # in the world's unit: as `volume.same_grid`


@dataclass(frozen=True, eq=False)
class LabelSource:
    """What is counted.

    Attributes
    ----------
    layer
        The labels layer.
    image, reference
        Layers on the same grid; None: there is none.
    frames
        Which frame of each of the three, as far as they have four axes; of no meaning otherwise.
    """

    layer: Any
    image: Any = None
    reference: Any = None
    frames: tuple[int, int, int] = (0, 0, 0)

    @classmethod
    def at(cls, point: Sequence[float], layer: Any, image: Any = None, reference: Any = None) -> Self:
        """Count what the viewer shows of each layer where its sliders stand (``viewer.dims.point``)."""
        frames = (None if one is None else shown_frame(one, point) for one in (layer, image, reference))
        labels, beside, other = (frame or 0 for frame in frames)
        return cls(layer, image, reference, (labels, beside, other))

    def labels(self) -> np.ndarray:
        """Return the labels as they are now: the layer's own array where it has one, never to be written to."""
        return _frame(self.layer, self.frames[0])

    def reference_now(self) -> np.ndarray:
        """Return the voxels of the reference as they are now."""
        return _frame(self.reference, self.frames[2])

    def others(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the voxels of image and reference; a copy of the reference, which may be edited as well."""
        image = None if self.image is None else _frame(self.image, self.frames[1])
        return image, None if self.reference is None else np.array(self.reference_now())

    @property
    def is_in_memory(self) -> bool:
        """Whether `labels` costs nothing."""
        return self.layer.ndim < 4 and isinstance(self.layer.data, np.ndarray)

    @property
    def order(self) -> tuple[int, ...]:
        """The order of axes in which the labels lie in memory."""
        return memory_order(self.layer.data) if self.is_in_memory else tuple(range(min(self.layer.ndim, 3)))


def refuse_labels(layer: Any) -> Refusal | None:
    """Say why a labels layer cannot be counted; None if it can."""
    if layer.ndim > 4:
        return Refusal(f"{layer.ndim} axes", f"“{layer.name}” has {layer.ndim} axes; at most four are counted.")
    return Refusal("empty", f"“{layer.name}” is empty.") if 0 in _shape(layer) else None


def refuse_beside(layer: Any, labels: Any) -> Refusal | None:
    """Say why an image or labels layer cannot be laid over `labels`, voxel by voxel; None if it can."""
    why = refuse(layer) if isinstance(layer, Image) else refuse_labels(layer)
    if why is not None or labels is None:
        return why
    count = min(labels.ndim, 3)
    if min(layer.ndim, 3) != count or _shape(layer)[-count:] != _shape(labels)[-count:]:
        sizes = [" × ".join(map(str, _shape(one)[-count:])) for one in (layer, labels)]
        return Refusal("another grid", f"“{layer.name}” has {sizes[0]} voxels, “{labels.name}” {sizes[1]}.")
    corners = np.array([[*corner, 1] for corner in np.ndindex(2, 2, 2)]) * [*_corner(labels), 1]
    apart = float(np.abs((layer_affine(layer) - layer_affine(labels))[:3] @ corners.T).max())
    if apart <= _SAME_PLACE:
        return None
    return Refusal("another place", f"“{layer.name}” lies elsewhere: up to {apart:.3g} mm from “{labels.name}”.")


def voxel_mm3(layer: Any) -> float:
    """Return the volume of a voxel in mm³, of sheared ones too; NaN for a 2-D layer."""
    if layer.ndim < 3:
        return float("nan")
    z, y, x = _shape(layer)[-3:]
    grid = grid_of(layer, (z, y, x))
    affine = world_affine(layer) if grid is None else grid.affine
    return float(abs(np.linalg.det(affine[:3, :3])))


def knows_size(layer: Any) -> bool:
    """Whether the layer says how large its voxels are: it has an anatomical grid, or a unit of length."""
    shape = _shape(layer)[-3:]
    known = len(shape) == 3 and grid_of(layer, (shape[0], shape[1], shape[2])) is not None
    return known or all(unit.is_compatible_with("mm") for unit in layer.units[-3:])


def names_of(layer: Any, values: Sequence[int]) -> tuple[Structure, ...]:
    """Name label values by what they look like, or as the layer's features do, which may name further ones, too."""
    guessed = structures_in(np.asarray([0, *values]))
    features = layer.features
    if not {"index", "name"} <= set(features.columns):
        return guessed
    named = dict(zip(features["index"].tolist(), features["name"].tolist(), strict=True))
    absent = {value: name for value, name in named.items() if isinstance(value, int) and value and value not in values}
    others = (Structure(value, str(name), "") for value, name in absent.items())
    return (*(Structure(s.value, str(named.get(s.value, s.name)), s.color) for s in guessed), *others)


def colors_of(colormap: Any, values: Sequence[int]) -> dict[int, list[float]]:
    """Return the colours (RGBA, 0 to 1) of labels in a colormap, whether or not it shows one label only."""
    if isinstance(colormap, DirectLabelColormap):
        listed = colormap.color_dict
        return {value: np.asarray(listed.get(value, listed[None]), float).tolist() for value in values}
    if colormap.use_selection:
        colormap = type(colormap)(colors=colormap.colors, seed=colormap.seed)
    found = colormap.map(np.asarray([*values, 0])).tolist()  # at once: one after the other takes ten times as long
    return dict(zip(values, found[:-1], strict=True))


def edited_voxels(layer: Any, atoms: Sequence[Any], most: int) -> tuple[np.ndarray, ...] | None:
    """Return the indices of the voxels in one step of a labels layer's history, each once; None if more than `most`.

    Parameters
    ----------
    atoms
        What the layer's event `paint` carries.
    """
    shape = _shape(layer)
    parts: list[np.ndarray] = []
    for atom in atoms:
        where, mask = atom[0], atom[1] if len(atom) == 4 else None  # painted in a box, or set by indices or a box
        if not all(isinstance(part, slice) for part in where):
            parts.append(np.ravel_multi_index(tuple(np.atleast_1d(axis) for axis in where), shape).ravel())
            continue
        axes = [np.arange(size)[part] for size, part in zip(shape, where, strict=True)]
        if np.prod([len(axis) for axis in axes]) > 16 * most:
            return None
        places = np.ravel_multi_index(tuple(np.meshgrid(*axes, indexing="ij")), shape)
        parts.append(places.ravel() if mask is None else places[np.asarray(mask)])
    flat = np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.intp)
    return None if len(flat) > most else np.unravel_index(flat, shape)


def is_labels(layer: Any) -> bool:
    """Whether a layer is a labels layer that says what is there: no locks, no gate."""
    return isinstance(layer, Labels) and not {"locks", "what-if"} & layer.metadata.get(METADATA_KEY, {}).keys()


def is_scan(layer: Any) -> bool:
    """Whether a layer is an image layer, and not one of ours over a scan."""
    return isinstance(layer, Image) and not is_derived(layer)


def _level(layer: Any) -> Any:
    return layer.data[0] if layer.multiscale else layer.data


def _shape(layer: Any) -> tuple[int, ...]:
    return tuple(int(size) for size in _level(layer).shape)


def _corner(layer: Any) -> tuple[int, int, int]:
    """Index of the last voxel of a layer's last three axes; 0 along those that it has not."""
    z, y, x = (1, 1, *_shape(layer))[-3:]
    return z - 1, y - 1, x - 1


def _frame(layer: Any, number: int) -> np.ndarray:
    data = _level(layer)
    if layer.ndim < 4:
        return np.asarray(data)
    return np.asarray(data[min(number, len(data) - 1)])
