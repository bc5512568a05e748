"""Read images as volumes. Whatever is wrong with a file becomes one sentence."""

from __future__ import annotations

import math
from io import BufferedReader
from pathlib import Path

import numpy as np

from napari_scse.errors import InputError, SpaceError
from napari_scse.images.formats import find_format
from napari_scse.images.header import ImageHeader
from napari_scse.images.streams import open_stream, read_to_end, read_voxels, require_promised
from napari_scse.volume import LabelVolume, Volume

LARGEST_LABEL = 65535


def read(path: Path | str, frame: int | None = None) -> Volume:
    """Read an image.

    Parameters
    ----------
    path
        A file with a suffix of `SUFFIXES`.
    frame
        Which volume of a 4-D image to take, counted from 0.

    Returns
    -------
    Volume
        float32, or the file's integer type where it stores its numbers as they are.

    Raises
    ------
    InputError
        The file is missing, damaged, or not an image that can be used: the message says what is wrong with it.
    SpaceError
        Its affine makes no sense.
    """
    return read_with_notes(path, frame)[0]


def read_with_notes(path: Path | str, frame: int | None = None) -> tuple[Volume, tuple[str, ...]]:
    """Read an image as `read` does, with sentences for the user on what had to be assumed about its place in space."""
    path = Path(path)
    _, form = find_format(path)
    with open_stream(path) as stream:
        header = form.parse(stream, path)
        number = _frame_number(path, header, frame)
        size = math.prod(header.shape[:3]) * header.dtype.itemsize
        require_promised(path, header.offset + math.prod(header.shape) * header.dtype.itemsize)
        stored = read_voxels(stream, path, header.offset + number * size, header.shape[:3], header.dtype)
        if frame is None:  # the rest of a 4-D file would take long
            read_to_end(stream)
    try:
        return Volume(_meant(stored, header), header.affine, header.forms), header.notes
    except SpaceError as error:
        raise SpaceError(f"{path} cannot be placed: {_lower_first(str(error))}") from error


def read_frames(path: Path | str) -> np.ndarray:
    """Read all frames of a 3-D or 4-D image: (I, J, K, T), of a type as `read` has it.

    A file that is not compressed and stores its numbers as they are is mapped: they are read when they are looked at.

    Raises
    ------
    InputError, SpaceError
        As for `read`.
    """
    path = Path(path)
    _, form = find_format(path)
    with open_stream(path) as stream:
        header = form.parse(stream, path)
        shape = (*header.shape[:3], _frames(path, header))
        require_promised(path, header.offset + math.prod(shape) * header.dtype.itemsize)
        if isinstance(stream, BufferedReader):
            stored: np.ndarray = np.memmap(stream, header.dtype, "c", header.offset, shape, order="F")
        else:
            stored = read_voxels(stream, path, header.offset, shape, header.dtype)
            read_to_end(stream)
    return _meant(stored, header)


def read_labels(path: Path | str, frame: int | None = None) -> LabelVolume:
    """Read a label image: whole numbers from 0 to 65535, stored as any type.

    Returns
    -------
    LabelVolume
        uint8 where that is enough, else uint16.

    Raises
    ------
    InputError, SpaceError
        As for `read`; and InputError where other numbers occur.
    """
    volume = read(path, frame)
    data = volume.data
    if data.dtype.kind == "f" and not np.array_equal(data, np.rint(data)):
        raise InputError(f"{path} does not hold labels: some of its voxels are not whole numbers.")
    low, high = data.min(), data.max()
    if low < 0 or high > LARGEST_LABEL:
        raise InputError(f"{path} does not hold labels: they run from 0 to {LARGEST_LABEL}, but {low} to {high} occur.")
    return LabelVolume(data.astype(label_type(high), copy=False), volume.affine, volume.forms)


def count_frames(path: Path | str) -> int:
    """How many volumes an image holds; only its header is read.

    Raises
    ------
    InputError, SpaceError
        As for `read`, as far as the header shows it.
    """
    path = Path(path)
    _, form = find_format(path)
    with open_stream(path) as stream:
        return _frames(path, form.parse(stream, path))


def label_type(largest: float) -> type[np.uint8] | type[np.uint16]:
    """The smallest type for labels up to `largest`."""
    return np.uint8 if largest <= np.iinfo(np.uint8).max else np.uint16


def _frame_number(path: Path, header: ImageHeader, frame: int | None) -> int:
    frames = _frames(path, header)
    if frame is None:
        if frames > 1:
            text = " x ".join(str(size) for size in header.shape)
            raise InputError(
                f"{path} is 4-D ({text}), but a volume has 3 axes: save one of its frames as a file of its own "
                f"(in Python, frame=0 to frame={frames - 1} reads one)."
            )
        return 0
    if not 0 <= frame < frames:
        raise InputError(f"{path} has no frame {frame}: it has {frames}, counted from 0.")
    return frame


def _frames(path: Path, header: ImageHeader) -> int:
    if len(header.shape) > 4:
        text = " x ".join(str(size) for size in header.shape)
        raise InputError(
            f"{path} is {len(header.shape)}-D ({text}), but a volume has 3 axes and at most a 4th for time."
        )
    return header.shape[3] if len(header.shape) == 4 else 1


def _meant(stored: np.ndarray, header: ImageHeader) -> np.ndarray:
    """The numbers that the stored ones stand for, in this machine's byte order."""
    if not header.is_scaled and (stored.dtype.kind != "f" or stored.dtype.itemsize == 4):
        return stored.astype(stored.dtype.newbyteorder("="), copy=False)
    result = np.empty(stored.shape, dtype=np.float32, order="F")
    with np.errstate(over="ignore", invalid="ignore"):  # numbers beyond float32 become infinite
        for last in range(stored.shape[-1]):
            part = stored[..., last]
            result[..., last] = part * np.float64(header.slope) + header.intercept if header.is_scaled else part
    return result


def _lower_first(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
