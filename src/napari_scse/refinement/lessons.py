"""What a refinement learns from: the windows of the canvas that have strokes, and others that it must leave alone.

They are the very windows that inference shows the network, since channel gates average over them (eq. 1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from napari_scse.conform import Window, windows
from napari_scse.inference import Location, Scan
from napari_scse.refinement.strokes import Placed
from napari_scse.sides import mirrored

UNPAINTED = -1


@dataclass(frozen=True, eq=False)
class Lesson:
    """One window of one conformed slice.

    Attributes
    ----------
    image
        float32 (C, H, W): what the network sees.
    targets
        int64 (H, W): class indices, `UNPAINTED` where nothing is known.
    inside
        Boolean (H, W): what lies in the scan; the rest is padding.
    """

    image: np.ndarray
    targets: np.ndarray
    inside: np.ndarray

    def mirrored(self, partners: np.ndarray) -> Self:
        """The same seen in a mirror; `partners` (K,) is the other side's class of each class."""
        targets = np.where(self.targets == UNPAINTED, UNPAINTED, partners[self.targets])
        turned = (np.ascontiguousarray(array[..., ::-1]) for array in (self.image, targets, self.inside))
        return type(self)(*turned)


def painted_lessons(scan: Scan, location: Location, placed: Placed) -> Iterator[Lesson]:
    """The windows with strokes, slice by slice; strokes outside of the located region get windows of their own."""
    for number in np.unique(placed.where[:, 0]).tolist():
        own = placed.where[:, 0] == number
        targets = np.full(scan.plane_shape, UNPAINTED, np.int64)
        targets[placed.where[own, 1], placed.where[own, 2]] = placed.classes[own]
        left = targets != UNPAINTED
        for window in _cover(scan, location, left):
            yield _lesson(scan, location, number, window, targets)


def other_lessons(scan: Scan, location: Location, placed: Placed, count: int) -> Iterator[Lesson]:
    """Windows without strokes: of `count` slices, evenly spread over the located region."""
    taken = set(placed.where[:, 0].tolist())
    free = [number for number in range(location.first, location.last) if number not in taken]
    nothing = np.full(scan.plane_shape, UNPAINTED, np.int64)
    for place in range(min(count, len(free))):
        number = free[int((place + 0.5) * len(free) / min(count, len(free)))]
        for window in windows(scan.plane_shape, scan.config.canvas, location.box):
            yield _lesson(scan, location, number, window, nothing)


def partners(scan: Scan) -> np.ndarray:
    """(K,): for each class index that of its left-right partner."""
    values = scan.config.values.tolist()
    other = mirrored(scan.config.classes)
    return np.array([values.index(other[value]) for value in values])


def _cover(scan: Scan, location: Location, left: np.ndarray) -> Sequence[Window]:
    """The inference's windows that have strokes, and further ones for the strokes that none of them has."""
    left = left.copy()
    chosen = []
    for window in windows(scan.plane_shape, scan.config.canvas, location.box):
        inside = window.inside(scan.plane_shape)
        if left[inside].any():
            chosen.append(window)
    for window in chosen:
        left[window.inside(scan.plane_shape)] = False
    if left.any():
        rows, columns = np.nonzero(left)
        box = int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1
        more = windows(scan.plane_shape, scan.config.canvas, box)
        chosen += [window for window in more if left[window.inside(scan.plane_shape)].any()]
    return chosen


def _lesson(scan: Scan, location: Location, number: int, window: Window, targets: np.ndarray) -> Lesson:
    (image,) = scan.slices([number], location.gain, [window])
    own = np.full((window.height, window.width), UNPAINTED, np.int64)
    inside = np.zeros(own.shape, bool)
    rows, columns = window.inside(scan.plane_shape)
    part = window.own(rows, columns)
    own[part], inside[part] = targets[rows, columns], True
    return Lesson(image, own, inside)
