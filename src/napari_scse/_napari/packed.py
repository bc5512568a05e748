"""An array packed small in the background, and worked on slab by slab: a whole head does not fit a cache."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

_SMALL = 1 << 18  # bytes; less is not worth a thread
_SLAB = 1 << 20  # bytes

Index = tuple[slice, ...]


class Packed:
    """An array, compressed in the background; ``np.asarray(packed)`` unpacks it.

    Parameters
    ----------
    array
        Of one dimension or more; it may not be written to afterwards.
    axes
        The order in which its axes are to lie in memory; None: as they do.
    """

    def __init__(self, array: np.ndarray, axes: Sequence[int] | None = None) -> None:
        self.shape, self.dtype = array.shape, array.dtype
        self._axes = memory_order(array) if axes is None else list(axes)
        laid_out = np.ascontiguousarray(array.transpose(self._axes))
        thick = max(1, _SLAB // max(1, laid_out[:1].nbytes))
        self._starts = range(0, len(laid_out), thick)
        self._kept: list[np.ndarray | bytes] = [laid_out[start : start + thick] for start in self._starts]
        if laid_out.nbytes > _SMALL:
            threading.Thread(target=self._pack, daemon=True).start()

    @property
    def nbytes(self) -> int:
        """Bytes held at present."""
        return sum(len(kept) if isinstance(kept, bytes) else kept.nbytes for kept in self._kept)

    def slabs(self) -> Iterator[tuple[Index, np.ndarray]]:
        """Yield the slabs, each with its index in the array: the same for arrays of the same shape, dtype and order."""
        for start, slab in zip(self._starts, self._unpacked(), strict=True):
            along = [slice(start, start + len(slab)), *[slice(None)] * (slab.ndim - 1)]
            yield tuple(along[axis] for axis in self._back), slab.transpose(self._back)

    def empty(self, dtype: Any = None) -> np.ndarray:
        """Return an array of this shape and order in memory, with anything in it."""
        shape = [self.shape[axis] for axis in self._axes]
        return np.empty(shape, dtype or self.dtype).transpose(self._back)

    @property
    def _back(self) -> list[int]:
        back: list[int] = np.argsort(self._axes).tolist()
        return back

    def _unpacked(self) -> Iterator[np.ndarray]:
        for kept in self._kept:
            if isinstance(kept, bytes):
                shape = [-1, *(self.shape[axis] for axis in self._axes[1:])]
                yield np.frombuffer(_codec(self.dtype.itemsize).decode(kept), self.dtype).reshape(shape)
            else:
                yield kept

    def _pack(self) -> None:
        for place, slab in enumerate(self._unpacked()):
            self._kept[place] = bytes(_codec(self.dtype.itemsize).encode(slab))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.empty(dtype)
        for index, slab in self.slabs():
            array[index] = slab
        return array


def memory_order(array: np.ndarray) -> list[int]:
    """Return the axes of `array` from the one with the largest stride to the one with the smallest."""
    order: list[int] = np.argsort([-abs(stride) for stride in array.strides], kind="stable").tolist()
    return order


def bounds(mask: np.ndarray) -> Index | None:
    """Return the box of the voxels that are set; None if there is none."""
    order = memory_order(mask)
    laid_out = mask.transpose(order)
    box = [slice(0)] * mask.ndim
    for n, axis in enumerate(order):
        used = np.flatnonzero(laid_out.any(axis=tuple(other for other in range(mask.ndim) if other != n)))
        if not used.size:
            return None
        box[axis] = slice(int(used[0]), int(used[-1]) + 1)
    return tuple(box)


def _codec(itemsize: int) -> Any:
    from numcodecs.blosc import SHUFFLE, Blosc

    return Blosc("lz4", 1, SHUFFLE if itemsize > 1 else 0)
