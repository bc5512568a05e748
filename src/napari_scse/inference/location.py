"""A coarse first pass: where the labelled region lies, and how bright it is.

Whole slices, evenly spread over the scan, go through the network. What it labels gives the box to work in and the
factor that brings the scan to the intensities the network was trained on; both need only be roughly right. Networks are
trained on windows around the labelled region: whole slices are good enough for this, not for the final labels.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from napari_scse.conform import merge, windows
from napari_scse.events import Event, Progress
from napari_scse.execution import Executor
from napari_scse.inference.islands import ISLAND, main_parts
from napari_scse.inference.scan import Scan
from napari_scse.intensity import foreground_gain, labelled_gain

SLICES = 16  # of the coarse pass
MARGIN_MM = 10.0  # around what it labelled
LEAST_MARGIN_MM = 1.0  # where with less the region fits into one window of the canvas: half the time, or a quarter
_PART = 0.1  # of the largest labelled part that another one must have to count
_OWN_PART = 0.002  # or this, where most of a class lies in it
_BRIDGE_MM = 2.0  # thinner connections within a slice do not count
_FOUND = 500  # labelled pixels that make a region
_FOUND_SHARE = 0.01  # or this share of a small scan's
_NEAR = 1.2  # a second look where the gain changed by more than this factor
_FARTHEST = 4.0  # from the first estimate: beyond, what was labelled is not what the run knows
_STEP = 0.01  # of the gain's logarithm, so that a few pixels more or less change nothing


@dataclass(frozen=True)
class Location:
    """Where the labelled region lies in the conformed slices, and its gain.

    Attributes
    ----------
    first, last
        Half-open range of slices.
    box
        (top, bottom, left, right), half-open, within a slice.
    gain
        Factor on the scan's intensities.
    found
        False if the coarse pass labelled next to nothing: then the region is the whole scan, and the gain an estimate.
    """

    first: int
    last: int
    box: tuple[int, int, int, int]
    gain: float
    found: bool

    @property
    def centre(self) -> tuple[int, int, int]:
        """The middle (n, h, w) of the region, in conformed voxels."""
        top, bottom, left, right = self.box
        return (self.first + self.last) // 2, (top + bottom) // 2, (left + right) // 2


def locate(scan: Scan, executor: Executor) -> Generator[Event, None, Location]:
    """Find the labelled region.

    Yields
    ------
    Progress
        After every batch.

    Returns
    -------
    Location
    """
    target = scan.config.intensity.labelled_median
    numbers = _spread(len(scan.data))
    estimate = gain = foreground_gain(scan.data, target)
    location = _everywhere(scan, gain)
    for _ in range(2):
        region = yield from _look(scan, executor, numbers, gain)
        if np.count_nonzero(region) < min(_FOUND, _FOUND_SHARE * region.size):
            return location
        measured = labelled_gain(scan.data[numbers], region, target) or gain
        location = _around(scan, numbers, region, estimate * _rounded(measured / estimate))
        if 1 / _NEAR < location.gain / gain < _NEAR:
            break
        gain = location.gain
    return location


def locate_labelled(scan: Scan, labels: np.ndarray, gain: float) -> Location:
    """Find the region of what is labelled already, but for islands: whole numbers (n, h, w), laid out as `scan` is."""
    region = main_parts(labels, ISLAND)
    if not region.any():
        return _everywhere(scan, gain)
    return _around(scan, np.arange(len(region)), region, gain)


def everywhere(scan: Scan) -> Location:
    """Return the whole scan, at an estimated gain: what is known before anything is located."""
    return _everywhere(scan, foreground_gain(scan.data, scan.config.intensity.labelled_median))


def look_at_whole(scan: Scan, executor: Executor, numbers: Sequence[int] | np.ndarray, gain: float) -> Tensor:
    """Return the logits (slices, K, h, w) of whole conformed slices."""
    (h, w), canvas = scan.plane_shape, scan.config.canvas
    (window,) = windows((h, w), (max(h, canvas[0]), max(w, canvas[1])), (0, h, 0, w))
    return merge([window], [executor.run(scan.slices(numbers, gain, [window]))], (h, w))


def _spread(count: int) -> np.ndarray:
    """At most `SLICES` slice numbers, each in the middle of its share of all."""
    shares = min(SLICES, count)
    return ((np.arange(shares) + 0.5) * count / shares).astype(np.intp)


def _look(scan: Scan, executor: Executor, numbers: np.ndarray, gain: float) -> Generator[Event, None, np.ndarray]:
    """Return where the network labels something in some whole slices, small parts left out: boolean (slices, h, w)."""
    (h, w), canvas = scan.plane_shape, scan.config.canvas
    size = executor.batch_size(max(h, canvas[0]), max(w, canvas[1]))
    found = []
    for start in range(0, len(numbers), size):
        found.append(look_at_whole(scan, executor, numbers[start : start + size], gain).argmax(1).cpu().numpy())
        yield Progress(min(start + size, len(numbers)), len(numbers), "locating")
    opening = max(1, round(_BRIDGE_MM / min(scan.config.spacing[1:])))
    return main_parts(np.concatenate(found), _PART, _OWN_PART, opening)


def _rounded(change: float) -> float:
    steps = round(np.log(np.clip(change, 1 / _FARTHEST, _FARTHEST)) / _STEP)
    return float(np.exp(steps * _STEP))


def _around(scan: Scan, numbers: np.ndarray, region: np.ndarray, gain: float) -> Location:
    spacing_n, *spacings = scan.config.spacing
    along_n, *in_plane = (np.flatnonzero(region.any(axis)) for axis in ((1, 2), (0, 2), (0, 1)))
    margin_n = int(np.ceil(MARGIN_MM / spacing_n)) + int(np.diff(numbers).max(initial=1))
    box: list[int] = []
    for along, spacing, size, canvas in zip(in_plane, spacings, scan.plane_shape, scan.config.canvas, strict=True):
        start, stop = int(along[0]), int(along[-1]) + 1
        margin, room = int(np.ceil(MARGIN_MM / spacing)), (canvas - (stop - start)) // 2
        if room * spacing >= LEAST_MARGIN_MM:
            margin = min(margin, room)
        box += [max(0, start - margin), min(size, stop + margin)]
    top, bottom, left, right = box
    first = max(0, int(numbers[along_n[0]]) - margin_n)
    last = min(len(scan.data), int(numbers[along_n[-1]]) + margin_n + 1)
    return Location(first, last, (top, bottom, left, right), gain, found=True)


def _everywhere(scan: Scan, gain: float) -> Location:
    return Location(0, len(scan.data), (0, scan.plane_shape[0], 0, scan.plane_shape[1]), gain, found=False)
