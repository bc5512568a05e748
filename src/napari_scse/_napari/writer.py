"""Save layers as NIfTI or MGH, on the grid they came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_scse._napari.layers import Grid, grid_of, layer_volume, world_affine
from napari_scse.errors import InputError
from napari_scse.volume import LabelVolume, Volume

_SPLIT = {
    "image": "Right-click it, choose Split Stack, and save the layer you want.",
    "labels": "Right-click it, choose Convert to Image and then Split Stack; on the layer you want choose Convert to "
    "Labels, and save it.",
}  # napari splits images only


def write_labels_layer(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a labels layer: exactly the grid, orientation and affine of the scan it was made from."""
    from napari_scse import images

    volume, target = _volume(data, meta, "labels"), _with_suffix(path)
    images.write_labels(target, LabelVolume(volume.data, volume.affine, volume.forms))
    return [target]


def write_image_layer(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write an image layer with its affine."""
    from napari_scse import images

    volume, target = _volume(data, meta, "image"), _with_suffix(path)
    images.write(target, volume)
    return [target]


def _with_suffix(path: str) -> str:
    """`path`, as a NIfTI file if it has no suffix of ours: napari's dialog suggests the bare name of the layer.

    Raises
    ------
    InputError
        There is such a file already: the dialog asked about another name.
    """
    from napari_scse.images import SUFFIXES

    if path.lower().endswith(tuple(SUFFIXES)):
        return path
    target = Path(f"{path}.nii.gz")
    if target.exists():
        raise InputError(f"{target} is there already: give the name with its suffix to replace it.")
    return str(target)


def _volume(data: Any, meta: dict[str, Any], kind: str) -> Volume:
    """Put the layer that `data` and `meta` describe back on its grid.

    Raises
    ------
    InputError
        If the layer has more than three axes or fewer than two, or is a colour image.
    """
    from napari.layers import Layer
    from napari.utils.notifications import show_info

    layer = Layer.create(data, meta, kind)
    name = layer.name
    if getattr(layer, "rgb", False):
        raise InputError(
            f"“{name}” is a colour image, which these formats do not hold. Right-click it and choose Split RGB."
        )
    if not 2 <= layer.ndim <= 3:
        raise InputError(f"“{name}” has {layer.ndim} axes, and one file holds one volume. {_SPLIT[kind]}")
    array = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    if layer.ndim == 2:
        array = array[None]
    shown = (array.shape[0], array.shape[1], array.shape[2])
    grid = grid_of(layer, shown)
    if grid is None:
        grid = Grid.from_display(shown, world_affine(layer))
        show_info(f"“{name}” does not say where left or up is: z, y, x were taken as superior, anterior, right.")
    return layer_volume(array, grid)
