"""How labels look: FreeSurfer's colours and names, and a status bar that names the structure under the cursor."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from napari.utils.colormaps import DirectLabelColormap, label_colormap

from napari_scse._napari.layers import Grid, LayerData, native
from napari_scse.structures import FREESURFER27, Structure, are_brain
from napari_scse.volume import LabelVolume

OPACITY = 0.55
_NAMELESS = "#9a9a9a"  # what a user paints with a value that has no name


def look_of(structures: Iterable[Structure]) -> dict[str, Any]:
    """Return the keyword arguments that colour and name a labels layer."""
    named = [structure for structure in structures if structure.value != 0]
    colors: dict[int | None, str] = {None: _NAMELESS, 0: "transparent"}
    return {
        "colormap": DirectLabelColormap(color_dict=colors | {s.value: s.color for s in named}),
        "features": {"index": [0, *(s.value for s in named)], "name": ["Background", *(s.name for s in named)]},
        "opacity": OPACITY,
    }


def labels_layer(labels: np.ndarray, grid: Grid, structures: Iterable[Structure], name: str) -> LayerData:
    """Return a labels layer that shows `labels` (I, J, K) on `grid`; painting in the layer changes `labels`."""
    keywords = {"name": name, "metadata": grid.to_metadata(), **grid.transforms(), **look_of(structures)}
    return grid.show(labels), keywords, "labels"


def label_volume_layer(volume: LabelVolume, name: str) -> LayerData:
    """Return a labels layer for labels from a file, whose meaning is guessed by `structures_in`."""
    labels = np.array(native(volume.data))  # writable: labels are there to be corrected
    return labels_layer(labels, Grid.of(volume), structures_in(labels), name)


def structures_in(labels: np.ndarray) -> tuple[Structure, ...]:
    """Name the values of `labels`: by FreeSurfer's table if they look like brain structures, otherwise by number."""
    values = np.unique(labels).tolist()
    known = {structure.value: structure for structure in FREESURFER27} if are_brain(values) else {}
    colors = np.rint(255 * _colors_by_number().map(np.asarray(values))[:, :3].astype(float)).astype(int).tolist()
    return tuple(
        known.get(value) or Structure(value, f"Label {value}", f"#{red:02x}{green:02x}{blue:02x}")
        for value, (red, green, blue) in zip(values, colors, strict=True)
        if value
    )


@cache
def _colors_by_number() -> Any:
    """Return napari's colours of labels, which take it milliseconds to make: names are asked for at every stroke."""
    return label_colormap()
