"""A scan at every epoch of a run's training, computed where it is looked at.

The numbers lie in files that are mapped into memory: what is not computed takes no space, what is computed is there at
once when the same scan is looked at again, and memory does not grow with the scan or the epochs. A gate is never
exactly 0: a 0 in a map says that it is not computed yet.

A film may hold winner maps as well: ``"wD-4"`` (`nn.sites`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Condition, Lock
from types import TracebackType
from typing import Self

import numpy as np

from napari_scse.errors import RunError
from napari_scse.events import Event, MapDone, Message
from napari_scse.exploration.frames import Frame, Frames
from napari_scse.exploration.layout import Layout
from napari_scse.exploration.maps import ExcitationMaps, display_limits
from napari_scse.exploration.shelf import Shelf, release
from napari_scse.runs import Run
from napari_scse.volume import LabelVolume

LABELS = "labels"
_SAMPLED = 48  # frames that display limits are taken from
_RELEASED_AFTER = 32  # frames: what was written is given back to the system's file cache then


@dataclass(frozen=True)
class View:
    """What is looked at.

    Attributes
    ----------
    number
        The slice, counted from the film's first.
    epoch
        Index of the epoch.
    reach
        How many slices on each side are wanted as well; None: all.
    """

    number: int
    epoch: int
    reach: int | None = 0


class Turns:
    """One thread at a time runs the networks, and a question goes before what is computed ahead."""

    def __init__(self) -> None:
        self._busy = Lock()
        self._asked = 0
        self._nobody_asks = Condition()

    @contextmanager
    def question(self) -> Iterator[None]:
        """Take the next turn."""
        with self._nobody_asks:
            self._asked += 1
        try:
            with self._busy:
                yield
        finally:
            with self._nobody_asks:
                self._asked -= 1
                self._nobody_asks.notify_all()

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """Take a turn once nobody asks."""
        with self._nobody_asks:
            self._nobody_asks.wait_for(lambda: self._asked == 0)
        with self._busy:
            yield


class Film:
    """The maps and labels of one scan at every epoch, as far as they are computed; made by `open_film`.

    Attributes
    ----------
    maps
        The gates: axes (epoch, slice, row, column), float32, 0 where nothing is computed.
    labels
        Label values (epoch, slice, row, column), uint8 or uint16, 0 where nothing is computed; None where they were not
        asked for.
    labels_affine
        Index (slice, row, column) of `labels` to RAS+ mm.
    gates
        Names of all the network's gates, also those that the film does not hold.
    done
        Which frames are computed, bool (epoch, slice).
    frames
        Makes further frames.
    turns
        To be taken while `frames` is at work: its networks do one thing at a time.
    classes
        Label value of each class index; (K,).
    """

    def __init__(
        self,
        run: Run,
        layout: Layout,
        frames: Frames,
        shelf: Shelf,
        arrays: dict[str, np.ndarray],
        done: np.ndarray,
    ) -> None:
        self.run = run
        self._shelf = shelf
        self.frames = frames
        self.labels = arrays.get(LABELS)
        self.done = done
        self.gates = tuple(layout.sites)
        self.maps: ExcitationMaps = layout.maps(run, {site: arrays[site] for site in layout.records})
        self.labels_affine = np.array(layout.affine(1))
        self.turns = Turns()
        self._computed = 0
        self.classes = run.config.values

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def epochs(self) -> tuple[int, ...]:
        """Numbers of the epochs."""
        return self.maps.epochs

    @property
    def there(self) -> np.ndarray:
        """Which epochs have a checkpoint, bool (epoch,)."""
        return np.ones(len(self.epochs), np.bool_)

    def number_at(self, point: np.ndarray) -> int | None:
        """Return the slice through `point` (RAS+ mm, (3,)); None where there is none."""
        number = round(float((np.linalg.inv(self.labels_affine) @ [*point, 1.0])[0]))
        return number if 0 <= number < self.done.shape[1] else None

    def next(self, view: View) -> tuple[int, int] | None:
        """Return the (epoch index, slice) to compute next; None where nothing of what `view` wants is missing.

        The slice that is shown comes first, at the epoch that is shown, then at the others; then its neighbours at the
        epoch that is shown, nearest first; then those at the others.
        """
        epochs, count = self.done.shape
        distance = np.abs(np.arange(count) - view.number)
        missing = ~np.asarray(self.done) & (distance <= (count if view.reach is None else view.reach))
        missing &= self.there[:, None]
        if not missing.any():
            return None
        age = np.abs(np.arange(epochs) - view.epoch)[:, None]
        shown, here = age == 0, distance == 0
        rank = np.where(here, age, np.where(shown, epochs + distance, epochs + count + distance * epochs + age))
        epoch, number = divmod(int(np.where(missing, rank, np.iinfo(np.int64).max).argmin()), count)
        return epoch, number

    def compute(self, epoch: int, number: int) -> Frame:
        """Compute one frame and keep it; raises `InputError` where the disk is full."""
        self._shelf.require_room()
        with self.turns.ahead():
            (frame,) = self.frames.look(epoch, [number], self.maps.sites, labels=self.labels is not None)
        for site, array in self.maps.arrays.items():
            array[epoch, number] = frame.gates[site]
        if self.labels is not None and frame.labels is not None:
            self.labels[epoch, number] = self.classes[frame.labels]
        self.done[epoch, number] = True
        self._computed += 1
        if self._computed % _RELEASED_AFTER == 0:
            release(*self.maps.arrays.values(), *([] if self.labels is None else [self.labels]))
        return frame

    def limits(self, site: str) -> tuple[float, float]:
        """Return display limits of a site, from a sample of what is computed; 0 and 1 where nothing is."""
        there = np.argwhere(self.done)
        if not len(there):
            return 0.0, 1.0
        chosen = there[np.unique(np.linspace(0, len(there) - 1, _SAMPLED).round().astype(int))]
        stored = self.maps[site]
        return display_limits(np.stack([stored[epoch, number, ::2, ::2] for epoch, number in chosen]))

    def computed_around(self, number: int) -> tuple[int, int] | None:
        """Return the half-open range of slices around `number` that are computed at every epoch; None if it is not."""
        whole = np.array([bool(column.all()) for column in np.asarray(self.done).T])
        if not whole[number]:
            return None
        gaps = np.flatnonzero(~whole)
        before, after = gaps[gaps < number], gaps[gaps > number]
        return (int(before[-1]) + 1 if len(before) else 0), (int(after[0]) if len(after) else len(whole))

    def part(self, first: int, last: int) -> ExcitationMaps:
        """Return the maps of slices `first` to `last` (half-open, counted from the film's first), in memory.

        Raises
        ------
        RunError
            If not all of them are computed at every epoch.
        """
        if not np.asarray(self.done)[:, first:last].all() or first >= last:
            raise RunError("Not all of these slices are computed at every epoch.")
        records, arrays = {}, {}
        for site, record in self.maps.records.items():
            affine = record.affine
            if affine is not None:
                moved = np.array(affine)
                moved[:3, 3] += first * moved[:3, 0]
                affine = tuple(tuple(row) for row in moved.tolist())
            arrays[site] = np.array(self.maps[site][:, first:last])
            records[site] = replace(record, affine=affine, shape=arrays[site].shape)
        start = self.maps.slices[0]
        return replace(self.maps, records=records, arrays=arrays, slices=(start + first, start + last))

    def label_volume(self, first: int, last: int) -> LabelVolume:
        """Return the last epoch's labels of slices `first` to `last` (half-open), where they are computed."""
        if self.labels is None:
            raise RunError("This film has no labels: they were not asked for.")
        affine = self.labels_affine.copy()
        affine[:3, 3] += first * affine[:3, 0]
        return LabelVolume(np.array(self.labels[-1, first:last]), affine)

    def close(self) -> None:
        """Let go of the networks; what is computed stays on disk."""
        self.frames.close()


def develop(film: Film, view: Callable[[], View]) -> Generator[Event, None, int]:
    """Compute what `view` wants, frame by frame; it is asked before each, so that what nobody looks at is dropped.

    Yields
    ------
    MapDone
        After each frame; `done` and `total` count the frames of the whole scan.
    Message
        Sentences for the user.

    Returns
    -------
    int
        How many frames were computed.
    """
    count = 0
    said: set[str] = set()
    while (wanted := film.next(view())) is not None:
        film.compute(*wanted)
        count += 1
        yield from (Message(text) for text in film.frames.messages() if text not in said)
        said.update(film.frames.messages())
        yield MapDone(*wanted, int(np.count_nonzero(film.done)), film.done.size)
    return count
