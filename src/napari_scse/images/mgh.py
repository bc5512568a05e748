"""FreeSurfer's MGH. Source: https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat, always big-endian.

Deviations: what follows the voxels (scan parameters, the history of commands) is not read, and not written. A file that
does not say how it lies in space is taken as FreeSurfer takes it, which is LIA (nibabel 5.4 makes LSP of it).
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import DATA_OFFSET, data_type_codes, header_dtype

from napari_scse.errors import InputError
from napari_scse.images.header import ImageHeader, checked_shape, checked_type
from napari_scse.volume import Volume

# nibabel is typed in parts
_MGHImage: Any = nib.MGHImage
_KNOWN: Any = data_type_codes
_ASSUMED = "LIA, 1 mm and its centre at 0"
_TYPES = (np.uint8, np.int16, np.int32)  # the integers every reader of MGH knows, smallest first


def parse(stream: BufferedIOBase, path: Path) -> ImageHeader:
    """Read and check the header at the start of `stream`.

    Raises
    ------
    InputError
        It is not an MGH header of an image of real numbers.
    """
    block = stream.read(DATA_OFFSET)
    if len(block) >= 4 and block[3] != 1:  # the version; what FreeSurfer 7 puts into the bytes before is an intent
        raise InputError(f"{path} is not an MGH image: it does not begin with an MGH header.")
    if len(block) < DATA_OFFSET:
        raise InputError(f"{path} is cut short: it ends within its header.")
    raw = np.frombuffer(block, dtype=header_dtype, count=1)[0]
    shape = checked_shape(path, raw["dims"].tolist())
    code = int(raw["type"])
    dtype = checked_type(path, _KNOWN.numpy_dtype.get(code), code)
    placed = raw["goodRASFlag"] > 0
    return ImageHeader(
        shape=shape,
        dtype=dtype,
        offset=DATA_OFFSET,
        affine=_affine(raw["dims"], raw["delta"], raw["Mdc"], raw["Pxyz_c"]) if placed else _affine(raw["dims"]),
        notes=() if placed else (f"{path.name} does not say how it lies in space: {_ASSUMED} are assumed.",),
    )


def save(volume: Volume, stream: BufferedIOBase) -> None:
    """Write `volume`, real numbers as float32, whole numbers in the smallest type that holds them.

    The format has no mark for labels.

    Raises
    ------
    InputError
        There are whole numbers too large for MGH.
    """
    data = volume.data
    if data.dtype.kind == "f":
        data = data.astype(np.float32, copy=False)
    else:
        low, high = int(data.min()), int(data.max())
        fitting = [kind for kind in _TYPES if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max]
        if not fitting:
            raise InputError(f"MGH holds whole numbers up to {np.iinfo(np.int32).max}, but {low} to {high} came.")
        data = data.astype(fitting[0], copy=False)
    _MGHImage(data, volume.affine).to_stream(stream)


def _affine(
    sizes: np.ndarray,
    spacing: Sequence[float] = (1, 1, 1),
    directions: Sequence[Sequence[float]] = ((-1, 0, 0), (0, 0, -1), (0, 1, 0)),
    centre: Sequence[float] = (0, 0, 0),
) -> np.ndarray:
    """The affine of a grid of `sizes` about `centre`, with a row of `directions` for each of its axes."""
    affine = np.eye(4)
    with np.errstate(invalid="ignore"):  # a header may hold anything; what is not finite is refused later
        affine[:3, :3] = np.asarray(directions, dtype=np.float64).T * np.asarray(spacing, dtype=np.float64)
        affine[:3, 3] = centre - affine[:3, :3] @ (sizes[:3] / 2.0)
    return affine
