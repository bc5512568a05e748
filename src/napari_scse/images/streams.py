"""Image files as streams, plain or gzip-compressed, and voxels taken without trusting what a header promises."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from napari_scse.errors import InputError

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_BEST = 1032  # bytes that one byte of deflate can stand for at most
_CHUNK = 1 << 20
_LEVEL = 4  # of compression: labels become a quarter smaller than at 1, and scans take a third of the time of 6


@contextmanager
def open_stream(path: Path) -> Iterator[BufferedIOBase]:
    """Open `path`; what is gzip-compressed comes out uncompressed, whatever the suffix says.

    Raises
    ------
    InputError
        There is no such file, it is empty or cannot be read, or its compressed content turns out damaged or cut short
        while it is read.
    """
    try:
        if not path.exists():
            raise InputError(f"{path} does not exist.")
        if not path.is_file():
            raise InputError(f"{path} is a folder or a device: name an image file.")
        with path.open("rb") as plain:
            packed = _is_packed(plain)
            if plain.read(1) == b"":
                raise InputError(f"{path} is empty.")
            plain.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=plain) as unpacked:
                    yield unpacked
            else:
                yield plain
    except EOFError as error:
        raise InputError(f"{path} is cut short: its compressed content ends too early.") from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is damaged: its compressed content cannot be unpacked ({error}).") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error


@contextmanager
def create_stream(path: Path, packed: bool) -> Iterator[BufferedIOBase]:
    """Create `path`, which must not exist, for writing; the same content gives the same bytes."""
    with path.open("xb") as plain:
        if packed:
            with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=plain, mtime=0) as packing:
                yield packing
        else:
            yield plain


def require_promised(path: Path, promised: int) -> None:
    """Refuse a file that cannot hold `promised` uncompressed bytes, before any memory is asked for.

    Raises
    ------
    InputError
        The file is too short. Of a compressed file only the least possible size is known before it is read.
    """
    with path.open("rb") as plain:
        packed = _is_packed(plain)
    size = path.stat().st_size
    if promised > size * (_GZIP_BEST if packed else 1):
        raise InputError(f"{path} is cut short: its header promises {promised:,} bytes, but the file has {size:,}.")


def read_voxels(stream: BufferedIOBase, path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The array of `shape` and `dtype` (first axis fastest) that starts at byte `offset`.

    Raises
    ------
    InputError
        The stream ends before the array does, or there is not enough memory for it.
    """
    size = math.prod(shape) * dtype.itemsize
    try:
        content = np.empty(size, dtype=np.uint8)
    except MemoryError as error:
        raise InputError(f"{path} needs {size / 2**30:.1f} GiB of memory, more than there is.") from error
    stream.seek(offset)
    into, filled = content.data, 0
    while filled < size and (count := stream.readinto(into[filled : filled + _CHUNK])):
        filled += count
    if filled < size:
        raise InputError(f"{path} is cut short: {size:,} bytes of voxels are expected, but it has {filled:,}.")
    return content.view(dtype).reshape(shape, order="F")


def read_to_end(stream: BufferedIOBase) -> None:
    """Read what is left, so that a compressed stream checks its own length and checksum."""
    while stream.read(_CHUNK):
        pass


def _is_packed(plain: BufferedIOBase) -> bool:
    """Whether the file starts as gzip does; leaves it at its start."""
    magic = plain.read(len(_GZIP_MAGIC))
    plain.seek(0)
    return magic == _GZIP_MAGIC
