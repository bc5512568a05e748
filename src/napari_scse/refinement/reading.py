"""Strokes from files, and into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from napari_scse.errors import InputError, SpaceError
from napari_scse.images import read, write
from napari_scse.refinement.strokes import Strokes
from napari_scse.volume import LabelVolume, Volume, require_same_grid

UNPAINTED = (-1, 65535)  # either means "not painted" where nothing else is said: no label has these values


def read_strokes(path: Path, volume: Volume, *, unpainted: int | None = None, mask: Path | None = None) -> Strokes:
    """Read strokes that were painted on `volume`.

    Parameters
    ----------
    path
        A label file on the volume's grid.
    unpainted
        The value of the voxels that were not painted; None: -1 or 65535.
    mask
        A file on the same grid that says which voxels were painted (all that are not 0); `path` may then hold any
        labels, a corrected segmentation for example.

    Raises
    ------
    InputError, SpaceError
        A file cannot be read or is on another grid, or nothing says which voxels were painted.
    """
    if unpainted is not None and mask is not None:
        raise InputError("Say which voxels were painted either by a mask or by the value of the others, not by both.")
    labels = _read_whole(path, volume)
    if mask is not None:
        return Strokes(labels.data, _read_whole(mask, volume).data != 0)
    if unpainted is None:
        unpainted = next((value for value in UNPAINTED if np.any(labels.data == value)), None)
    if unpainted is None:
        raise InputError(
            f"Nothing says which voxels of {path} were painted: it has neither -1 nor 65535. Name the value of the "
            "unpainted ones, or give a mask."
        )
    return Strokes.of(labels, unpainted)


def write_strokes(
    path: Path, strokes: Strokes, affine: np.ndarray, forms: Mapping[str, Sequence[float]] | None = None
) -> None:
    """Write strokes for `read_strokes`: label values, and -1 where nothing is painted.

    Parameters
    ----------
    affine, forms
        Of the volume that they were painted on.

    Raises
    ------
    InputError
        There are no strokes, or the file cannot be written.
    """
    if not strokes.painted.any():
        raise InputError("There are no strokes to save: paint where the labels are wrong, background included.")
    data = np.where(strokes.painted, strokes.labels.astype(np.int32), UNPAINTED[0])
    form = np.int16 if data.max() <= np.iinfo(np.int16).max else np.int32
    write(path, LabelVolume(data.astype(form), affine, forms))


def _read_whole(path: Path, volume: Volume) -> LabelVolume:
    image = read(path)
    try:
        require_same_grid(volume, image)
    except SpaceError as error:
        raise SpaceError(f"{path} must lie on the scan's grid. {error}") from error
    data = image.data
    if data.dtype.kind == "f":
        if not np.array_equal(data, np.rint(data)) or np.abs(data).max() > 65535:
            raise InputError(f"{path} does not hold strokes: some of its voxels are no whole numbers up to 65535.")
        data = data.astype(np.int32)
    return LabelVolume(data.astype(np.int32) if data.dtype.kind == "b" else data, image.affine)
