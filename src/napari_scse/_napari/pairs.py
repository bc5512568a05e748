"""Layers to learn from: a scan and the labels over it, and how they become files on the scan's grid."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from napari_scse._napari.hiding import own_colormap
from napari_scse._napari.inputs import LayerInput, Refusal
from napari_scse._napari.layers import METADATA_KEY, grid_of, layer_affine, layer_volume
from napari_scse.errors import InputError
from napari_scse.events import Event, Progress
from napari_scse.images import write, write_labels
from napari_scse.structures import Structure, are_brain
from napari_scse.volume import LabelVolume, require_same_grid

_SAME_PLACE = 1e-3  # mm


@dataclass(frozen=True, eq=False)
class LabelledInput:
    """A scan and its labels, without touching the voxels yet.

    Attributes
    ----------
    source
        The scan.
    labels_name, data
        The labels layer's name and array, laid out as the frame of the scan is shown.
    names, colormap
        What the layer calls its values, and how it colours them.
    """

    source: LayerInput
    labels_name: str
    data: Any
    names: dict[int, str]
    colormap: Any

    def labels(self) -> LabelVolume:
        """Read the labels (this may take long for lazy data) and return them on the scan's grid."""
        array = np.asarray(self.data)
        volume = layer_volume(array[None] if self.source.is_slice else array, self.source.grid)
        return LabelVolume(volume.data, volume.affine)


def label_refusal(layer: Any) -> Refusal | None:
    """Say why a labels layer cannot be learned from; None if it can."""
    if layer.ndim not in (2, 3) or layer.multiscale:
        return Refusal("not one volume", f"“{layer.name}” is not one volume: labels to learn from have 2 or 3 axes.")
    if "film" in layer.metadata.get(METADATA_KEY, {}):
        return Refusal("a film", f"“{layer.name}” was made by a network.")
    return None


def labelled_input(source: LayerInput, scan: Any, labels: Any) -> LabelledInput:
    """Put a scan and the labels over it together.

    Parameters
    ----------
    source
        What is read of the scan.
    scan, labels
        Their layers.

    Raises
    ------
    InputError
        The labels do not lie on the scan's voxels.
    """
    refusal = label_refusal(labels)
    if refusal is not None:
        raise InputError(refusal.sentence)
    shape = tuple(source.data.shape[-labels.ndim :])
    if labels.ndim != min(3, len(source.data.shape)) or tuple(labels.data.shape) != shape or not _over(scan, labels):
        raise InputError(
            f"“{labels.name}” does not lie on the voxels of “{source.name}”: labels to learn from are painted or "
            "opened on the scan's own grid."
        )
    features = labels.features
    named = {"index", "name"} <= set(features.columns)
    names = dict(zip(features["index"].tolist(), features["name"].tolist(), strict=True)) if named else {}
    known = {int(value): str(name) for value, name in names.items()}
    return LabelledInput(source, labels.name, labels.data, known, own_colormap(labels))


def write_pairs(
    pairs: Sequence[LabelledInput], folder: Path
) -> Generator[Event, None, tuple[Path, Path, tuple[Structure, ...] | None]]:
    """Write scans and labels as NIfTI into ``folder/images`` and ``folder/labels``, paired by their names.

    Returns
    -------
    tuple
        Both folders, and what the labels mean: structures by the layers' own names and colours, or None where they are
        a brain's.

    Raises
    ------
    InputError
        A labels layer is empty, or a file cannot be written.
    """
    folders = folder / "images", folder / "labels"
    for one in folders:
        one.mkdir(parents=True, exist_ok=True)
    values: set[int] = set()
    for done, (name, pair) in enumerate(zip(_names(pairs), pairs, strict=True)):
        yield Progress(done, len(pairs), "layers written")
        labels = pair.labels()
        present = set(np.unique(labels.data).tolist()) - {0}
        if not present:
            raise InputError(f"“{pair.labels_name}” is empty: paint what is to be learned, or choose another layer.")
        values |= present
        image = pair.source.volume()
        require_same_grid(image, labels)
        write(folders[0] / f"{name}.nii.gz", image)
        write_labels(folders[1] / f"{name}.nii.gz", labels)
    yield Progress(len(pairs), len(pairs), "layers written")
    return *folders, None if are_brain(values) else _structures(pairs, sorted(values))


def _over(scan: Any, labels: Any) -> bool:
    """Whether both layers show the same voxels in the same places."""
    count = min(3, labels.ndim)
    if np.allclose(layer_affine(scan), layer_affine(labels), atol=_SAME_PLACE):
        return True
    shape = tuple(int(n) for n in labels.data.shape)
    if count < 3:
        return False
    grids = [grid_of(layer, (shape[0], shape[1], shape[2])) for layer in (scan, labels)]
    one, other = grids
    return (
        one is not None
        and other is not None
        and one.axes == other.axes
        and np.allclose(one.affine, other.affine, atol=_SAME_PLACE)
    )


def _names(pairs: Sequence[LabelledInput]) -> list[str]:
    """A file name for each pair: the scan's, as far as it can be one, and a number where there are several of it."""
    plain = [re.sub(r"[^\w-]+", "-", pair.source.name).strip("-") or "scan" for pair in pairs]
    names: list[str] = []
    for name in plain:
        numbered = (f"{name}-{n}" for n in count(1))
        free = (one for one in numbered if one not in names and one not in plain)
        names.append(next(free) if plain.count(name) > 1 else name)
    return names


def _structures(pairs: Sequence[LabelledInput], values: Sequence[int]) -> tuple[Structure, ...]:
    names: dict[int, str] = {}
    for pair in reversed(pairs):
        names |= pair.names
    found = []
    for value in values:
        red, green, blue = (round(255 * float(c)) for c in np.ravel(pairs[0].colormap.map(value))[:3])
        found.append(Structure(int(value), names.get(value, f"Label {value}"), f"#{red:02x}{green:02x}{blue:02x}"))
    taken = [structure.name for structure in found]
    return tuple(
        Structure(s.value, s.name if taken.count(s.name) == 1 else f"{s.name} {s.value}", s.color) for s in found
    )
