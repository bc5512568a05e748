"""What is stored slice by slice, read as napari wants it: axes (epoch, z, y, x), when it is looked at."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_LARGE = 1 << 22  # bytes


class StoredArray:
    """Arrays (epoch, slice, row, column) of one shape, made into one that napari can show.

    Nothing is kept or converted ahead: what is indexed is read from the store (arrays in memory, mapped ones, or zarr),
    and what is written to the store meanwhile is seen at the next look.

    Parameters
    ----------
    stored
        What is read.
    axes
        Which of slice, row, column (0, 1, 2) is shown as z, y and x.
    dtype
        Of what is shown.
    make
        Makes it of the stored arrays, with `out` and `where`, as NumPy's ufuncs do.
    done
        Which frames of each stored array are computed, (epoch, slice); the others are not read. Empty: all of them.
    nothing
        Shown where not all is computed.
    """

    ndim = 4

    def __init__(
        self,
        stored: Sequence[Any],
        axes: Sequence[int],
        dtype: Any,
        make: Callable[..., Any] = np.positive,
        done: Sequence[np.ndarray] = (),
        nothing: float = 0,
    ) -> None:
        shape = stored[0].shape
        self._stored = tuple(stored)
        self._done = tuple(done)
        self._order = (0, *(axis + 1 for axis in axes))
        self._make = make
        self._nothing = nothing
        self._spare = _Spare()
        self.dtype = np.dtype(dtype)
        self.shape = tuple(shape[axis] for axis in self._order)
        self.size = int(np.prod(self.shape))

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> np.ndarray:
        parts = [np.asarray(read(one, self._order, key)) for one in self._stored]
        shown = self._spare.like(parts[0], self.dtype)
        if self._done:
            there = np.logical_and.reduce(self._done)[:, :, None, None]
            shown.fill(self._nothing)
            where = read(np.broadcast_to(there, self._stored[0].shape), self._order, key)
            self._make(*parts, out=shown, where=where)
        else:
            self._make(*parts, out=shown)
        return shown

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)


class _Spare:
    """Volumes that nobody looks at any more, to be written to again.

    In 3-D napari asks for a whole volume at every step, and lets go of the one before; memory that is new to a process
    costs it more than the copy, on a virtual machine ten times as much.
    """

    def __init__(self) -> None:
        self._kept: list[np.ndarray] = []

    def like(self, array: np.ndarray, dtype: Any) -> np.ndarray:
        """Return an array of the shape and order of `array`, its values whatever they are."""
        fresh = np.empty_like(array, dtype)  # takes no memory until it is written to
        if fresh.nbytes < _LARGE:
            return fresh
        for place in range(len(self._kept)):
            unused = sys.getrefcount(self._kept[place]) <= 2  # the list and this call; a view holds on to it as well
            if unused and (self._kept[place].shape, self._kept[place].strides) == (fresh.shape, fresh.strides):
                return self._kept[place]
        self._kept = [*self._kept[-1:], fresh]
        return fresh


def read(stored: Any, order: Sequence[int], key: Any) -> np.ndarray:
    """Index `stored` as if its axes stood in `order`, reading no more than is asked for."""
    count = len(order)
    keys = list(key) if isinstance(key, tuple) else [key]
    if not all(k is Ellipsis or isinstance(k, slice | int | np.integer) for k in keys):
        whole: np.ndarray = np.asarray(stored).transpose(order)[key]
        return whole
    if Ellipsis in keys:
        place = keys.index(Ellipsis)
        keys[place : place + 1] = [slice(None)] * (count + 1 - len(keys))
    keys += [slice(None)] * (count - len(keys))
    asked: list[Any] = [None] * count
    for shown, own in enumerate(order):
        asked[own] = keys[shown]
    data = np.asarray(stored[tuple(asked)])
    kept = [own for own in range(count) if isinstance(asked[own], slice)]
    wanted = [own for own in order if own in kept]
    return data.transpose([kept.index(own) for own in wanted])
