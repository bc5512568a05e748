"""Voxel grids as napari layers and back: the only place where (i, j, k) meets (z, y, x).

napari slices a layer along the array axis that stands at the slider's place; it does not undo a permutation that
hides in an affine. So every grid is shown with its axes permuted (a view, no copy) into the order nearest to
superior, anterior, right; flips and obliqueness stay in the affine. napari's world is then (z, y, x) = (S, A, R) in
mm: NIfTI's RAS+ read backwards. A layer remembers its grid in ``layer.metadata["napari-scse"]``, so that labels are
written on exactly the grid they came from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_scse.errors import SpaceError
from napari_scse.volume import Volume, nearest_axes

LayerData = tuple[Any, dict[str, Any], str]

METADATA_KEY = "napari-scse"
AXIS_LABELS = ("z", "y", "x")
UNITS = ("mm", "mm", "mm")
BACKWARDS = np.eye(4)[[2, 1, 0, 3]]  # (x, y, z) <-> (z, y, x)
_DERIVED = {"difference", "film", "locks", "maps", "uncertainty", "what-if"}  # what marks such a layer's metadata
_SAME_PLACE = 1e-3  # mm: a layer that was moved by less is where it was


@dataclass(frozen=True, eq=False)
class Grid:
    """A volume's voxel grid, and the order its axes are shown in.

    Attributes
    ----------
    shape
        The volume's shape (I, J, K).
    affine
        Voxel index (i, j, k) to RAS+ mm; (4, 4).
    axes
        Which volume axis is the layer's z, y and x axis.
    assumed
        True where the affine is what a user said about an array that has none: the layer then lies elsewhere in
        napari's world, and moving it there says nothing about anatomy.
    forms
        See `Volume`.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    axes: tuple[int, int, int]
    assumed: bool = False
    forms: Mapping[str, Sequence[float]] | None = None

    @classmethod
    def of(cls, volume: Volume) -> Grid:
        """Return the grid of `volume`, its axes in the order nearest to superior, anterior, right."""
        (right, anterior, superior), _ = nearest_axes(volume.affine)
        return cls(volume.shape, volume.affine, (superior, anterior, right), forms=volume.forms)

    @classmethod
    def from_display(cls, shown: tuple[int, int, int], display: np.ndarray, assumed: bool = False) -> Grid:
        """Return the grid (x, y, z) of an array (z, y, x) of shape `shown` that the affine `display` places."""
        z, y, x = shown
        return cls((x, y, z), BACKWARDS @ np.asarray(display, dtype=float) @ BACKWARDS, (2, 1, 0), assumed)

    @property
    def display(self) -> np.ndarray:
        """The layer's affine: index (z, y, x) to world (S, A, R) in mm; (4, 4)."""
        shown: np.ndarray = BACKWARDS @ self.affine @ self._permutation
        return shown

    @property
    def _permutation(self) -> np.ndarray:
        matrix = np.zeros((4, 4))
        matrix[self.axes, (0, 1, 2)] = 1
        matrix[3, 3] = 1
        return matrix

    def show(self, data: Any) -> Any:
        """Turn an array (I, J, K) into the layer's (z, y, x): a view."""
        return data.transpose(self.axes)

    def restore(self, data: Any) -> Any:
        """Turn a layer's array (z, y, x) into (I, J, K): a view."""
        return data.transpose(np.argsort(self.axes).tolist())

    def transforms(self) -> dict[str, Any]:
        """Return the keyword arguments that place a layer: scale, affine, units, axis_labels."""
        return place(self.display)

    def moved(self, display: np.ndarray) -> Grid:
        """Return this grid where a layer now has the affine `display`: itself, unless the layer was moved.

        A layer that has lost its affine, as those that napari's "Split Stack" makes, was not moved: it keeps its
        anatomy, and only lies elsewhere.
        """
        if self.assumed or np.allclose(display, self.display, atol=_SAME_PLACE):
            return self
        sizes = [*np.linalg.norm(self.display[:3, :3], axis=0), 1.0]
        if np.allclose(display, np.diag(sizes), atol=_SAME_PLACE):
            return replace(self, assumed=True)
        return Grid(self.shape, BACKWARDS @ display @ self._permutation.T, self.axes)

    def to_metadata(self, **marks: Any) -> dict[str, Any]:
        """Return plain numbers and lists for ``layer.metadata``, and `marks` of what the layer shows beside them."""
        grid = {
            "shape": list(self.shape),
            "affine": self.affine.tolist(),
            "axes": list(self.axes),
            "assumed": self.assumed,
            "forms": self.forms,
        }
        return {METADATA_KEY: {"grid": grid, **marks}}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], shown: tuple[int, ...]) -> Grid | None:
        """Return the grid a layer remembers; None if there is none, or none that fits the shape `shown` (z, y, x)."""
        found = metadata.get(METADATA_KEY, {}).get("grid")
        if found is None:
            return None
        i, j, k = (int(n) for n in found["shape"])
        z, y, x = (int(axis) for axis in found["axes"])
        if ((i, j, k)[z], (i, j, k)[y], (i, j, k)[x]) != tuple(shown):
            return None
        affine = np.asarray(found["affine"], dtype=float)
        return cls((i, j, k), affine, (z, y, x), bool(found["assumed"]), found.get("forms"))


def place(display: np.ndarray) -> dict[str, Any]:
    """Return scale, affine, units and axis labels that put a 3-D layer where `display` (4, 4) says.

    The voxel size goes into `scale`, where other plugins look for it; direction and place go into `affine`.
    """
    scale = np.linalg.norm(display[:3, :3], axis=0)
    affine = display @ np.diag([*(1 / scale), 1.0])
    return {"scale": tuple(scale.tolist()), "affine": affine, "units": UNITS, "axis_labels": AXIS_LABELS}


def lead(transforms: dict[str, Any], label: str, start: float = 0.0, step: float = 1.0) -> dict[str, Any]:
    """Return `transforms` with one more axis in front: `label`, whose index n lies at ``start + n * step``."""
    n = len(transforms["scale"])
    affine = np.eye(n + 2)
    affine[1:, 1:] = transforms["affine"]
    affine[0, -1] = start
    return {
        "scale": (step, *transforms["scale"]),
        "affine": affine,
        "units": ("dimensionless", *transforms["units"]),
        "axis_labels": (label, *transforms["axis_labels"]),
    }


def layer_affine(layer: Any) -> np.ndarray:
    """Return the affine (4, 4) of a layer's last three axes to napari's world, in the layer's own units.

    The two axes of a 2-D layer stand under a first one of size 1.
    """
    count = min(layer.ndim, 3)
    origin = np.zeros(layer.ndim)
    matrix = np.eye(4)
    here = np.asarray(layer.data_to_world(origin), dtype=float)
    for axis in range(-count, 0):
        unit = origin.copy()
        unit[axis] = 1
        matrix[3 - count : 3, 3 + axis] = (np.asarray(layer.data_to_world(unit)) - here)[-count:]
    matrix[3 - count : 3, 3] = here[-count:]
    return matrix


def world_affine(layer: Any) -> np.ndarray:
    """Return `layer_affine` in mm; an axis whose unit is no length (pixels) counts as mm."""
    matrix = layer_affine(layer)
    count = min(layer.ndim, 3)
    matrix[3 - count : 3] *= np.asarray([_millimetres(unit) for unit in layer.units[-count:]])[:, None]
    return matrix


def grid_of(layer: Any, shown: tuple[int, int, int]) -> Grid | None:
    """Return the anatomical grid of a layer whose last three axes have shape `shown`; None if it has none."""
    grid = Grid.from_metadata(layer.metadata, shown)
    return None if grid is None else grid.moved(world_affine(layer))


def is_derived(layer: Any) -> bool:
    """Whether a layer shows what we made of a scan or its labels, and is neither: locks, films, gates, uncertainty …"""
    return not _DERIVED.isdisjoint(layer.metadata.get(METADATA_KEY, {}))


def volume_layer(volume: Volume, name: str) -> LayerData:
    """Return an image layer that shows `volume` in grey."""
    grid = Grid.of(volume)
    data = grid.show(native(volume.data))
    look = {"colormap": "gray", "contrast_limits": contrast_limits(data)}
    return data, {"name": name, "metadata": grid.to_metadata(), **grid.transforms(), **look}, "image"


def layer_volume(data: np.ndarray, grid: Grid) -> Volume:
    """Return the volume that a layer's 3-D array (z, y, x) shows on `grid`, in the grid's own axes order."""
    if data.shape != tuple(np.take(grid.shape, grid.axes)):
        raise SpaceError(f"An array of shape {data.shape} does not lie on a grid that is shown as {grid.shape}.")
    return Volume(grid.restore(data), grid.affine, grid.forms)


def native(data: Any) -> Any:
    """Return `data` in this machine's byte order (MGH files are big-endian, which textures are not)."""
    return data if data.dtype.isnative else data.astype(data.dtype.newbyteorder("="))


def contrast_limits(data: Any, low: float = 1.0, high: float = 99.8) -> tuple[float, float]:
    """Return display limits from percentiles of about a million finite values of an array of any size."""
    step = max(1, round((data.size / 1e6) ** (1 / data.ndim)))
    sample = np.asarray(data[(slice(None, None, step),) * data.ndim], dtype=np.float32)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return 0.0, 1.0
    bottom, top = (float(p) for p in np.percentile(sample, [low, high]))
    if top <= bottom:
        bottom, top = float(sample.min()), float(sample.max())
    return (bottom, top) if top > bottom else (bottom, bottom + 1.0)


def _millimetres(unit: Any) -> float:
    return float((1 * unit).to("mm").magnitude) if unit.is_compatible_with("mm") else 1.0
