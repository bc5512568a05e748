"""What is known of a training from its events: curves of any length in little memory, where it stands, what is left."""

from __future__ import annotations

from collections import deque

import numpy as np

from napari_scse.events import Began, Continued, Ended, EpochDone, Event, Message, Paused, Progress, StepDone

_POINTS = 1200  # of the loss curve; beyond, two and two become one
_WINDOW = 30.0  # seconds of the past that the remaining time is estimated from


class Thinned:
    """A curve with a bounded number of points: each is the mean of as many values as it takes."""

    def __init__(self, limit: int = _POINTS) -> None:
        self._limit = limit
        self._points: list[tuple[float, float]] = []
        self._open: list[tuple[float, float]] = []
        self.share = 1  # values a point

    def add(self, x: float, y: float) -> None:
        """Append a value."""
        self._open.append((x, y))
        if len(self._open) >= self.share:
            self._points.append(_mean(self._open))
            self._open = []
        if len(self._points) > self._limit:
            pairs = [self._points[at : at + 2] for at in range(0, len(self._points) - 1, 2)]
            rest = self._points[2 * len(pairs) :]
            self._points, self.share = [_mean(pair) for pair in pairs] + rest, 2 * self.share

    def cut(self, x: float) -> None:
        """Forget everything after `x`."""
        self._points = [point for point in self._points if point[0] <= x]
        self._open = []

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y."""
        points = np.asarray(self._points, dtype=float).reshape(-1, 2)
        return points[:, 0], points[:, 1]


class History:
    """What is known of a training.

    Parameters
    ----------
    epochs
        How many it is to have.

    Attributes
    ----------
    losses
        The loss of each step over the epochs: step s of S in epoch e lies at ``e - 1 + s / S``.
    done
        The finished epochs, by number.
    epoch, step, steps
        Where it stands; step 0 between two epochs.
    reading
        How far the data are read; None: they are.
    message
        The last sentence that it said.
    paused
        Whether it waits.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.losses = Thinned()
        self.done: dict[int, EpochDone] = {}
        self.epoch = self.step = self.steps = 0
        self.reading: Progress | None = None
        self.message = ""
        self.paused = False
        self.changes = 0  # of the curves, so that nobody draws them twice
        self._pace: deque[tuple[float, int]] = deque()
        self._fresh = False

    def apply(self, event: Event, now: float) -> None:
        """Take one event that was read at `now` (seconds of any steady clock)."""
        match event:
            case Began():
                self.reading, self.paused, self.message, self._fresh = None, False, "", True
                self._pace.clear()
            case Progress():
                self.reading = event
            case Message(text):
                self.message = text
            case Paused() | Continued() | Ended():
                self.paused = isinstance(event, Paused)
                self._pace.clear()
            case StepDone(epoch, step, steps, loss):
                self._take_step(epoch, step, steps, loss, now)
            case EpochDone(epoch=epoch):
                self.done[epoch] = event
                self.epoch, self.step, self.epochs = epoch, 0, event.epochs
                self._pace.clear()
                self.changes += 1

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of the structures whose Dice is known."""
        return tuple(dict.fromkeys(name for done in self.done.values() for name in done.structures))

    def dice(self, structure: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return epochs and validation Dice, of one structure or (None) the mean of all."""
        numbers = sorted(self.done)
        values = [
            self.done[n].validation_dice if structure is None else self.done[n].structures.get(structure, np.nan)
            for n in numbers
        ]
        return np.asarray(numbers, dtype=float), np.asarray(values, dtype=float)

    @property
    def seconds_left(self) -> float | None:
        """What is left of the epoch's steps at the recent pace; None while that is not known."""
        if len(self._pace) < 2 or not self.steps:
            return None
        (t0, first), (t1, last) = self._pace[0], self._pace[-1]
        if last <= first or t1 - t0 < 1:
            return None
        return (self.steps - self.step) * (t1 - t0) / (last - first)

    @property
    def seconds_in_all(self) -> float | None:
        """What is left of all epochs, from the length of those that are done; None before the first."""
        if not self.done:
            return None
        an_epoch = float(np.mean([done.seconds for done in self.done.values()]))
        share = self.step / self.steps if self.steps else 0.0
        return max(0.0, (self.epochs - max(self.done) - share) * an_epoch)

    def _take_step(self, epoch: int, step: int, steps: int, loss: float, now: float) -> None:
        if self._fresh:  # resumed: what came after the last finished epoch is done again
            self._fresh = False
            self.losses.cut(epoch - 1)
            self.done = {number: done for number, done in self.done.items() if number < epoch}
        self.reading = None
        self.epoch, self.step, self.steps = epoch, step, steps
        self.losses.add(epoch - 1 + step / steps, loss)
        self._pace.append((now, step))
        while len(self._pace) > 2 and now - self._pace[0][0] > _WINDOW:
            self._pace.popleft()
        self.changes += 1


def _mean(points: list[tuple[float, float]]) -> tuple[float, float]:
    x, y = np.mean(points, axis=0)
    return float(x), float(y)
