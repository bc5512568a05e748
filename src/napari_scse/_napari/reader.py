"""Open NIfTI and MGH files, and stores of excitation maps, as layers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_scse._napari.labels import label_volume_layer
from napari_scse._napari.layers import Grid, LayerData, contrast_limits, lead, volume_layer
from napari_scse.errors import InputError

if TYPE_CHECKING:
    from napari_scse.images.header import ImageHeader

Reader = Callable[[str | list[str]], list[LayerData]]

_LABEL_WORDS = {"aseg", "aparc", "seg", "dseg", "label", "labels", "mask", "parc", "segmentation", "parcellation"}


def get_volume_reader(path: str | list[str]) -> Reader:  # noqa: ARG001 - napari's signature
    """Return the function that reads NIfTI and MGH files (napari has looked at the suffix)."""
    return read_volumes


def get_maps_reader(path: str | list[str]) -> Reader | None:
    """Return the function that reads stores of excitation maps; None for other zarr folders."""
    from napari_scse.exploration import open_maps

    try:
        for one in _paths(path):
            open_maps(one)
    except InputError:
        return None
    return read_maps


def read_volumes(path: str | list[str]) -> list[LayerData]:
    """Read each file as a layer.

    Labels where its header says so, as in NIfTI files of ours, or its name (aseg, seg, labels, mask …); else an image.
    """
    return [_read_volume(one) for one in _paths(path)]


def read_maps(path: str | list[str]) -> list[LayerData]:
    """Read each store as one layer per site; the maps themselves are read when they are looked at."""
    from napari_scse._napari.maps import map_layers
    from napari_scse.exploration import open_maps

    return [layer for one in _paths(path) for layer in map_layers(open_maps(one), f"{one.stem} · ")]


def _read_volume(path: Path) -> LayerData:
    from napari.utils.notifications import show_info

    from napari_scse import images

    name = path.name[: -len(images.find_format(path)[0])]
    header = _header(path)
    if header.is_labels or _LABEL_WORDS & set(re.split(r"[^a-z0-9]+", name.lower())):
        try:
            return label_volume_layer(images.read_labels(path), name)
        except InputError:
            pass  # the name promised too much, or something is wrong with the file: which one, the next lines say
    frames = header.shape[3] if len(header.shape) == 4 else 1
    volume, notes = images.read_with_notes(path, None if frames == 1 else 0)
    for note in notes:
        show_info(note)
    return volume_layer(volume, name) if frames == 1 else _series_layer(path, Grid.of(volume), name)


def _header(path: Path) -> ImageHeader:
    from napari_scse.images import find_format
    from napari_scse.images.streams import open_stream

    with open_stream(path) as stream:
        return find_format(path)[1].parse(stream, path)


def _series_layer(path: Path, grid: Grid, name: str) -> LayerData:
    """Read a whole 4-D file (I, J, K, T), whose frame 0 has been read well, as a layer (frame, z, y, x)."""
    from napari_scse.images import read_frames

    data = read_frames(path).transpose(3, *grid.axes)
    look = {"colormap": "gray", "contrast_limits": contrast_limits(data)}
    return data, {"name": name, "metadata": grid.to_metadata(), **lead(grid.transforms(), "frame"), **look}, "image"


def _paths(path: str | list[str]) -> list[Path]:
    return [Path(one) for one in ([path] if isinstance(path, str) else path)]
