"""NIfTI-1 and NIfTI-2, single files. Source: the headers nifti1.h and nifti2.h of https://nifti.nimh.nih.gov.

Deviations: only single files (not `.hdr` with `.img`). Where a header has an sform it is believed before the qform, as
nibabel, FSL and SPM do. What a header says of its units is not applied: affines are millimetres. Other programs believe
the qform, or the units: what is made on the grid of a file is written with all that the file says of its place.
"""

from __future__ import annotations

import logging
import struct
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from napari_scse.errors import InputError, SpaceError
from napari_scse.images.header import ImageHeader, checked_shape, checked_type
from napari_scse.volume import LabelVolume, Volume, orientation_of

# nibabel is typed in parts
_HEADERS: dict[int, Any] = {348: nib.Nifti1Header, 540: nib.Nifti2Header}  # by sizeof_hdr, the header's first number
_IMAGES: dict[int, Any] = {348: nib.Nifti1Image, 540: nib.Nifti2Image}
_KNOWN: Any = nib.nifti1.data_type_codes
_MAGICS = {348: b"n+1", 540: b"n+2"}
_LARGEST_NIFTI_1 = 32767  # voxels along an axis
_SCANNER = 1  # the xform code for "coordinates of the scanner"
_LABELS = 1002  # the intent code NIFTI_INTENT_LABEL
_OTHER_UNITS = {1: "metres", 3: "micrometres"}
_FORMS = (
    *("xyzt_units", "pixdim", "sform_code", "srow_x", "srow_y", "srow_z"),
    *("qform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
)
_QUIET = logging.getLogger(__name__)
_QUIET.disabled = True


def parse(stream: BufferedIOBase, path: Path) -> ImageHeader:
    """Read and check the header at the start of `stream`.

    Raises
    ------
    InputError
        It is not a NIfTI header of an image of real numbers with at least three axes.
    SpaceError
        What it says of space cannot be.
    """
    block = stream.read(540)
    kind, order = _recognise(path, block)
    header = _HEADERS[kind](block[:kind], endianness=order, check=False)
    count = int(header["dim"][0])
    if not 1 <= count <= 7:
        raise InputError(f"{path} is damaged: its header gives {count} dimensions, but there can be 1 to 7.")
    shape = checked_shape(path, header["dim"][1 : count + 1].tolist())
    code = int(header["datatype"])
    known = code in _KNOWN.dtype  # a mapping without `get`
    dtype = checked_type(path, _KNOWN.dtype[code] if known else None, code).newbyteorder(order)
    offset = float(header["vox_offset"])
    first = header.single_vox_offset
    if not (offset == 0 or first <= offset < 2**40):
        raise InputError(f"{path} is damaged: its header puts the voxels at byte {offset:g}, but they follow {first}.")
    header.check_fix(logger=_QUIET, error_level=100)  # mends what can be mended, such as a qfac of 0
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise InputError(f"{path} is damaged: its header scales the voxels by numbers that are not finite.") from error
    return ImageHeader(
        shape=shape,
        dtype=dtype,
        offset=int(offset) or first,
        affine=_affine(path, header),
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
        notes=_notes(path, header),
        is_labels=int(header["intent_code"]) == _LABELS,
        forms={name: np.ravel(header[name])[:4].tolist() for name in _FORMS},  # of pixdim only those of space
    )


def save(volume: Volume, stream: BufferedIOBase) -> None:
    """Write `volume`, its data of a type that NIfTI knows; labels are marked as such."""
    kind = _IMAGES[540 if max(volume.shape) > _LARGEST_NIFTI_1 else 348]
    image = kind(volume.data, None, dtype=volume.data.dtype)
    _place(image.header, volume)
    if isinstance(volume, LabelVolume):
        image.header.set_intent(_LABELS)
    image.to_stream(stream)


def _recognise(path: Path, block: bytes) -> tuple[int, Literal["<", ">"]]:
    """The size of the header (it tells the version) and its byte order."""
    orders: tuple[Literal["<", ">"], ...] = ("<", ">")
    for order in orders:
        size = struct.unpack(f"{order}i", block[:4])[0] if len(block) >= 4 else 0
        if size in _HEADERS:
            if len(block) < size:
                raise InputError(f"{path} is cut short: it ends within its header.")
            magic = block[344:347] if size == 348 else block[4:7]
            if magic != _MAGICS[size]:
                raise InputError(f"{path} is not a single-file NIfTI image: its header is marked {magic!r}.")
            return size, order
    raise InputError(f"{path} is not a NIfTI image: it does not begin with a NIfTI header.")


def _place(header: Any, volume: Volume) -> None:
    """Say where `volume` lies: in the words of the file that it came from, if they are still true."""
    if volume.forms:
        for name, numbers in volume.forms.items():
            header.structarr[name].flat[: len(numbers)] = numbers
        if np.allclose(header.get_best_affine(), volume.affine, rtol=1e-6, atol=1e-6):
            return
    header.set_sform(volume.affine, code=_SCANNER)
    header.set_qform(volume.affine, code=_SCANNER)
    if not np.allclose(header.get_qform(), volume.affine, rtol=1e-4, atol=1e-3):  # sheared: a qform cannot say it
        header.set_qform(volume.affine, code=0)
    header.set_xyzt_units("mm")


def _affine(path: Path, header: Any) -> np.ndarray:
    try:
        affine: np.ndarray = header.get_best_affine()
    except (HeaderDataError, ValueError, np.linalg.LinAlgError) as error:
        raise SpaceError(f"{path} has no usable affine: {error}.") from error
    return affine


def _notes(path: Path, header: Any) -> tuple[str, ...]:
    notes = []
    if not int(header["sform_code"]) and not int(header["qform_code"]):
        orientation = orientation_of(header.get_base_affine())
        notes.append(f"{path.name} does not say how it lies in space: {orientation} and its centre at 0 are assumed.")
    unit = _OTHER_UNITS.get(int(header["xyzt_units"]) & 7)
    if unit:
        notes.append(f"{path.name} says that its lengths are {unit}: they are taken for millimetres.")
    return tuple(notes)
