"""A box of a volume's voxels: the part that is to be labelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from napari_scse.errors import InputError
from napari_scse.slices import SliceGeometry

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Region:
    """A box along the axes of a volume.

    Attributes
    ----------
    start, stop
        Its first voxel (i, j, k), and the one behind its last.
    """

    start: Triple
    stop: Triple

    @classmethod
    def whole(cls, shape: Triple) -> Self:
        """Return all of a volume of `shape`."""
        return cls((0, 0, 0), shape)

    def within(self, shape: Triple) -> Region:
        """Return the part that lies in a volume of `shape`.

        Raises
        ------
        InputError
            If there is none.
        """
        (i, j, k), (p, q, r) = (
            tuple(min(max(0, place), size) for place, size in zip(corner, shape, strict=True))
            for corner in (self.start, self.stop)
        )
        if not (i < p and j < q and k < r):
            raise InputError("The region holds no voxel of the scan: place it where the scan is.")
        return Region((i, j, k), (p, q, r))

    def numbers(self, geometry: SliceGeometry) -> range:
        """Return which slices of a stack cross the box."""
        axis, size = geometry.axes[0], geometry.stack_shape[0]
        start, stop = self.start[axis], self.stop[axis]
        return range(size - stop, size - start) if geometry.flips[0] else range(start, stop)

    def index(self, geometry: SliceGeometry, number: int) -> tuple[int | slice, ...]:
        """Return where the box's part of slice `number` lies in the volume; see `SliceGeometry.index`."""
        return tuple(
            place if isinstance(place, int) else _all_or(start, stop, size)
            for place, start, stop, size in zip(
                geometry.index(number), self.start, self.stop, geometry.shape, strict=True
            )
        )

    def mask(self, geometry: SliceGeometry) -> np.ndarray:
        """Return for each slice of a stack whether it crosses the box: boolean (N,)."""
        crossed = np.zeros(geometry.stack_shape[0], dtype=bool)
        numbers = self.numbers(geometry)
        crossed[numbers.start : numbers.stop] = True
        return crossed


def _all_or(start: int, stop: int, size: int) -> slice:
    return slice(None) if (start, stop) == (0, size) else slice(start, stop)
