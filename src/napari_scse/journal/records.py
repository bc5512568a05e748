"""The file of a journal: records of edited voxels, appended one after the other, each with its checksum.

A record is a header (mark, number of voxels, bytes that follow, CRC-32 of the rest) and a deflated body: the flat index
of the first voxel, the steps to the next ones, the new labels, and a bit for each that says whether it is painted.
A record that a crash cut short, and all after it, is as if it had not been written.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

_MARK = b"scseEdit"
_HEADER = struct.Struct("<8sIII")  # mark, voxels, bytes of the body, CRC-32 of the two numbers and the body
_FIRST = struct.Struct("<Q")
_BLOCK = 1 << 21  # voxels that are compared at a time: bounds memory, and the steps between indices


def encode(indices: np.ndarray, labels: np.ndarray, painted: np.ndarray) -> bytes:
    """Return a record: ascending flat indices (at least one, less than 2³² apart), labels, painted flags; all (N,)."""
    steps = np.diff(indices).astype("<u4")
    body = zlib.compress(
        _FIRST.pack(int(indices[0])) + steps.tobytes() + _little(labels).tobytes() + np.packbits(painted).tobytes(), 1
    )
    numbers = struct.pack("<II", len(indices), len(body))
    return _HEADER.pack(_MARK, len(indices), len(body), zlib.crc32(numbers + body)) + body


def decode(stream: BinaryIO, dtype: np.dtype) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return what `encode` was given, record by record, up to the first that is not whole."""
    dtype = dtype.newbyteorder("<")
    while len(head := stream.read(_HEADER.size)) == _HEADER.size:
        mark, count, length, checksum = _HEADER.unpack(head)
        if mark != _MARK or not count:
            return
        body = stream.read(length)
        if len(body) != length or zlib.crc32(head[8:16] + body) != checksum:
            return
        raw = zlib.decompress(body)
        first, rest = _FIRST.unpack_from(raw)[0], raw[_FIRST.size :]
        cuts = np.cumsum([4 * (count - 1), dtype.itemsize * count]).tolist()
        indices = np.empty(count, np.int64)
        indices[0] = first
        np.cumsum(np.frombuffer(rest[: cuts[0]], "<u4"), out=indices[1:], dtype=np.int64)
        indices[1:] += first
        labels = np.frombuffer(rest[cuts[0] : cuts[1]], dtype)
        painted = np.unpackbits(np.frombuffer(rest[cuts[1] :], np.uint8), count=count).astype(bool)
        yield indices, labels.astype(dtype.newbyteorder("=")), painted


def differences(
    before: tuple[np.ndarray, np.ndarray], after: tuple[np.ndarray, np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return what leads from one pair of flat arrays (labels, painted) to the other, block by block."""
    size = len(after[0])
    for start in range(0, size, _BLOCK):
        block = slice(start, min(start + _BLOCK, size))
        differ = (before[0][block] != after[0][block]) | (before[1][block] != after[1][block])
        places = np.flatnonzero(differ)
        if places.size:
            indices = places + start
            yield indices, after[0][indices], after[1][indices]


def _little(array: np.ndarray) -> np.ndarray:
    return array.astype(array.dtype.newbyteorder("<"), copy=False)
