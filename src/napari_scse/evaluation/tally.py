"""Sums over the voxels of every label, counted once and then kept up to date edit by edit.

A tally remembers the labels as it has counted them. Whatever happens to the labels, telling it where they may have
changed and what is there now makes it what counting them anew would give, in a time that grows with the number of those
voxels only.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_scse.errors import InputError
from napari_scse.events import Event, Progress
from napari_scse.metrics import count_voxels, whole_numbers

_CHUNK = 1 << 18  # voxels summed at a time: their indices are eight times as large as the voxels
_TABLE = 1 << 16  # labels from 0 to here are found with a table, others by sorting


@dataclass(frozen=True)
class Sums:
    """What is known of one label.

    Attributes
    ----------
    voxels
        How many it has.
    centre
        The mean of their indices along each axis; empty where there are none.
    mean, deviation
        Of the image's finite numbers there (the deviation of all of them, not of a sample); NaN where there are none.
    shared
        How many have the same label in the reference.
    """

    voxels: int
    centre: tuple[float, ...]
    mean: float
    deviation: float
    shared: int


class Tally:
    """Sums over every label but 0 of an array: at first of one that is 0 everywhere.

    Parameters
    ----------
    shape, dtype
        Of the labels.
    image
        Real numbers of that shape; those that are not finite are left out. Not copied.
    reference
        Labels of that shape to compare with. Not copied.

    Attributes
    ----------
    counted
        The labels as they are counted.
    in_reference
        Value → voxels in the reference, background included.

    Raises
    ------
    InputError
        The shapes differ, or labels are no whole numbers.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        image: np.ndarray | None = None,
        reference: np.ndarray | None = None,
    ) -> None:
        for other, what in ((image, "image"), (reference, "reference")):
            if other is not None and other.shape != shape:
                raise InputError(
                    f"Labels of shape {shape} are counted with an {what} of the same shape, not {other.shape}."
                )
        self.counted = np.zeros(shape, dtype)
        self.image = image
        self.reference = None if reference is None else whole_numbers(reference)
        self.in_reference = {} if self.reference is None else count_voxels(self.reference)
        self._pivot = 0.0 if image is None else _middle(image)  # taken off the image, so that sums lose nothing
        self._sums: dict[int, np.ndarray] = {}

    @property
    def values(self) -> tuple[int, ...]:
        """The labels that occur, in increasing order."""
        return tuple(sorted(self._sums))

    def sums(self, value: int) -> Sums:
        """Return the sums over the voxels of `value`; those of nothing where it does not occur."""
        row = self._sums.get(value)
        if row is None:
            row = np.zeros(self.counted.ndim + 5)
        voxels, *indices, seen, intensity, square, shared = row.tolist()
        mean = intensity / seen if seen else float("nan")
        deviation = math.sqrt(max(square / seen - mean * mean, 0.0)) if seen else float("nan")
        centre = tuple(index / voxels for index in indices) if voxels else ()
        return Sums(round(voxels), centre, mean + self._pivot, deviation, round(shared))

    def update(self, where: np.ndarray, labels: np.ndarray) -> int:
        """Take in that the labels at `where` are now `labels`.

        Parameters
        ----------
        where
            (n,) indices into the flattened array (in C order), each at most once.
        labels
            (n,) the labels there, changed or not.

        Returns
        -------
        int
            How many have changed.
        """
        flat = self.counted.reshape(-1)
        changed = flat[where] != labels
        where, new = where[changed], labels[changed]
        old = flat[where]
        flat[where] = new
        for values, sign in ((old, -1.0), (new, 1.0)):
            for start in range(0, len(where), _CHUNK):
                part = slice(start, start + _CHUNK)
                self._add(where[part], values[part], sign)
        return len(where)

    def _add(self, where: np.ndarray, values: np.ndarray, sign: float) -> None:
        """Add the voxels `where` to the sums of their labels `values`, or take them off."""
        labelled = values != 0
        where, values = where[labelled], values[labelled]
        if not len(values):
            return
        present, codes = _codes(values)
        indices = np.unravel_index(where, self.counted.shape)
        weights = [None, *indices, *self._weights(indices, values)]
        columns = [np.bincount(codes, weight, len(present)) for weight in weights]
        for value, row in zip(present.tolist(), sign * np.stack(columns, axis=1), strict=True):
            total = row + self._sums.get(value, 0.0)
            self._sums[value] = total
            if total[0] <= 0:  # with its last voxel go the rounding errors
                del self._sums[value]

    def _weights(self, indices: tuple[np.ndarray, ...], values: np.ndarray) -> list[np.ndarray]:
        """Whether each voxel has a number in the image, the number, its square; whether the reference agrees."""
        nothing = np.zeros(len(values))
        seen, intensity, shared = nothing, nothing, nothing
        if self.image is not None:
            intensity = self.image[indices].astype(np.float64) - self._pivot
            finite = np.isfinite(intensity)
            seen, intensity = finite.astype(np.float64), np.where(finite, intensity, 0.0)
        if self.reference is not None:
            shared = (self.reference[indices] == values).astype(np.float64)
        return [seen, intensity, intensity * intensity, shared]


def count(
    labels: np.ndarray, image: np.ndarray | None = None, reference: np.ndarray | None = None
) -> Generator[Event, None, Tally]:
    """Count `labels`; see `Tally`. The labels are copied, image and reference are not.

    Yields
    ------
    Progress
        After some hundred thousand voxels.
    """
    labels = whole_numbers(labels)
    tally = Tally(labels.shape, labels.dtype, image, reference)
    yield Progress(0, labels.size, "voxels counted")
    for where, values in differences(tally, labels):
        tally.update(where, values)
        yield Progress(int(where[-1]) + 1, labels.size, "voxels counted")
    return tally


def differences(
    tally: Tally, labels: np.ndarray, most: int = _CHUNK
) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
    """Find where `labels` are not what `tally` has counted.

    Yields
    ------
    tuple
        Indices into the flattened array (in C order) and the labels there, never more than `most` at a time.
    """
    counted = tally.counted
    row = counted[0].size
    thick = max(1, _CHUNK // row)
    for start in range(0, len(counted), thick):
        part = np.ascontiguousarray(labels[start : start + thick])
        found = np.flatnonzero(part != counted[start : start + thick])
        for place in range(0, len(found), most):
            here = found[place : place + most]
            yield here + start * row, part.reshape(-1)[here]


def memory_order(array: np.ndarray) -> tuple[int, ...]:
    """Return the order of an array's axes in which it lies in memory: that way it is counted several times as fast.

    Examples
    --------
    >>> memory_order(np.zeros((4, 5, 6), order="F"))
    (2, 1, 0)
    """
    strides = getattr(array, "strides", (0,) * array.ndim)
    return tuple(sorted(range(array.ndim), key=lambda axis: -abs(strides[axis])))


def _codes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the labels that occur, in increasing order; return them, and the number of every element."""
    if values.min() < 0 or values.max() >= _TABLE:
        present, codes = np.unique(values, return_inverse=True)
        return present, codes.reshape(-1)
    small = values.astype(np.intp, copy=False)
    present = np.flatnonzero(np.bincount(small))
    table = np.zeros(int(present[-1]) + 1, np.intp)
    table[present] = np.arange(len(present))
    return present, table[small]


def _middle(image: np.ndarray) -> float:
    """A typical number of an image."""
    step = max(1, round((image.size / 1e4) ** (1 / image.ndim)))
    sample = np.asarray(image[(slice(None, None, step),) * image.ndim], np.float64)
    sample = sample[np.isfinite(sample)]
    return float(np.median(sample)) if sample.size else 0.0
