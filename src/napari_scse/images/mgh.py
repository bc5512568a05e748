"""FreeSurfer's MGH. Source: https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat, always big-endian.

Deviations: what follows the voxels (scan parameters, the history of commands) is not read, and not written.
"""

from __future__ import annotations

from io import BufferedIOBase
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import DATA_OFFSET, MGHHeader, data_type_codes, header_dtype

from napari_scse.errors import InputError
from napari_scse.images.header import ImageHeader, checked_shape, checked_type

# nibabel is typed in parts
_MGHImage: Any = nib.MGHImage
_MGHHeader: Any = MGHHeader
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
    notes = [] if raw["goodRASFlag"] else [f"{path.name} does not say how it lies in space: {_ASSUMED} are assumed."]
    header: Any = _MGHHeader(block[: header_dtype.itemsize], check=False)
    return ImageHeader(shape=shape, dtype=dtype, offset=DATA_OFFSET, affine=header.get_affine(), notes=tuple(notes))


def save(data: np.ndarray, affine: np.ndarray, path: Path) -> None:
    """Write `data` (I, J, K), real numbers as float32, whole numbers in the smallest type that holds them.

    Raises
    ------
    InputError
        There are whole numbers too large for MGH.
    """
    if data.dtype.kind == "f":
        data = data.astype(np.float32, copy=False)
    else:
        low, high = int(data.min()), int(data.max())
        fitting = [kind for kind in _TYPES if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max]
        if not fitting:
            raise InputError(f"MGH holds whole numbers up to {np.iinfo(np.int32).max}, but {low} to {high} came.")
        data = data.astype(fitting[0], copy=False)
    _MGHImage(data, affine).to_filename(path)
