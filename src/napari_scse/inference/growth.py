"""Fill a session: slices nearest to where the user looks come first.

Before every batch it is asked where that is, so that what nobody looks at any more waits. What the session knows
already is told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import numpy as np

from napari_scse.events import Event, SliceDone
from napari_scse.inference.islands import find_islands
from napari_scse.inference.labelling import LabelledSlice
from napari_scse.inference.passes import Pass, Point
from napari_scse.inference.plausibility import plausibility
from napari_scse.inference.region import Region
from napari_scse.inference.session import Session, tell
from napari_scse.volume import LabelVolume

NOTHING_FOUND = (
    "A first look found next to nothing that this run knows: the whole volume is searched, at an estimated brightness. "
    "Check that the volume shows what the run was trained on, and that its affine is right."
)
Where = Callable[[], Point | None]
_ON_SCREEN = 0.75  # slices between a point and the middle of the slice that shows it


def grow(
    session: Session,
    where: Where | None = None,
    *,
    region: Region | None = None,
    only: Callable[[], Region] | None = None,
    told: set[int] | None = None,
    revise: bool = True,
) -> Generator[Event, None, None]:
    """Label what is not labelled yet, and tell all of it; to stop, stop iterating: the session remembers.

    Parameters
    ----------
    where
        Returns the point in RAS mm that the user looks at, or None where that is not known; asked before every batch,
        from the thread that iterates. Without it the slices come in order, and none is provisional.
    region
        The voxels to deliver, and with them the slices to ask; None: the whole volume.
    only
        Returns the part of the region that is wanted now, for example the slice on screen; asked before every batch.
        It ends when nothing of that is left, and no island is removed.
    told
        Slices of the first plane that need not be told again; those that are told are added.
    revise
        Whether a model's further planes are asked as well.

    Yields
    ------
    SliceDone
        One for each slice of the region in each plane. Before the first plane's region is located, and where one pass
        through the network is not enough, the slice at the point comes first once more, provisionally. If all of the
        volume was labelled, slices from which islands were removed come once more at the end, corrected.
    Progress
        While the region is located.
    Message
        Sentences for the user.
    """
    box = session.require(region)
    planes = session.order if revise else session.order[:1]
    total = sum(len(box.numbers(session.geometry(plane))) for plane in planes)
    done = 0
    for place, plane in enumerate(planes):
        one = session.turn(plane)
        if place == 0:
            filling = _Filling(session, one, box, done, total, where, only)
            yield from filling.run(set() if told is None else told)
        else:
            one.start = one.start or (where() if where is not None else None)
            _follow(session, one)
            filling = _Filling(session, one, box, done, total)
            yield from filling.run(set(np.flatnonzero(one.known).tolist()))
        done = filling.done
        if only is not None:
            return
        if session.votes is not None and not one.counted:
            one.counted = True
            session.votes.close(one.scan)
    if planes == session.order and box == Region.whole(session.volume.shape):
        yield from _finish(session, total)


class _Filling:
    """One plane's part of `grow`; planes after the first grow from where the user looked when they began.

    (Their votes are added to those of the planes before once and for all, so no batch may be asked for again.)
    """

    def __init__(
        self,
        session: Session,
        one: Pass,
        box: Region,
        done: int,
        total: int,
        where: Where | None = None,
        only: Callable[[], Region] | None = None,
    ) -> None:
        self._session, self._one, self._box, self._total = session, one, box, total
        self._mask = box.mask(one.scan.geometry)
        self._labelled = self._mask & one.known  # and told, or known before
        self.done = done + int(np.count_nonzero(self._labelled))
        self._where, self._only = where, only
        self._glanced: int | None = None

    def run(self, told: set[int]) -> Generator[Event, None, None]:
        """Tell all slices but those that are `told`, and add them."""
        one, geometry = self._one, self._one.scan.geometry
        todo = self._mask.copy()
        todo[[number for number in told if todo[number]]] = False
        while todo.any():
            point = one.start if self._where is None else self._where()
            wanted = todo if self._only is None else todo & self._only().mask(geometry)
            if not wanted.any():
                return
            number = one.nearest(wanted, point)
            known_before = bool(one.known[number])
            for ready in [number] if known_before else (yield from self._step(number, point)):
                if wanted[ready]:
                    todo[ready] = False
                    told.add(ready)
                    self.done += not self._labelled[ready]
                    self._labelled[ready] = True
                    yield self._event(ready)

    def _step(self, number: int, point: Point | None) -> Generator[Event, None, list[int]]:
        """Do one batch of work towards the labels of a slice; returns those that have labels now."""
        one, session = self._one, self._session
        seen = self._where is not None and point is not None and abs(one.at(point) - number) < _ON_SCREEN
        if one.location is None:
            if seen and self._glanced != number:
                yield from self._provisional(number, one.glance(number))
            event = one.look()
            if event is not None:
                yield event
            else:
                location = session.located(one)
                yield from tell(session, [] if location.found else [NOTHING_FOUND])
            return []
        labeller = one.prepare(session.votes)
        batch = labeller.missing(number)
        if batch is None:
            one.known[number] = True
            session.take(one.scan.geometry, number, None)
            return [number]
        if seen and not labeller.is_direct and self._glanced != number:
            yield from self._provisional(number, labeller.glance(number))
        fresh = []
        for found in one.compute(batch):
            session.take(one.scan.geometry, found.number, found)
            fresh.append(found.number)
        yield from tell(session, one.executor.messages)
        return fresh

    def _provisional(self, number: int, found: LabelledSlice | None) -> Iterator[SliceDone]:
        self._glanced = number
        if found is None:
            return
        geometry = self._one.scan.geometry
        index = self._box.index(geometry, number)
        labels = np.zeros(self._session.volume.shape, self._session.values.dtype)  # pages of zeros cost nothing
        labels[geometry.index(number)] = geometry.restore_slice(self._session.values[found.classes])
        yield SliceDone(index, labels[index], self.done, self._total, provisional=True)

    def _event(self, number: int) -> SliceDone:
        session = self._session
        index = self._box.index(self._one.scan.geometry, number)
        unsure = None if session.uncertainty is None else session.uncertainty[index].copy()
        return SliceDone(index, session.labels[index].copy(), self.done, self._total, unsure)


def _follow(session: Session, one: Pass) -> None:
    """Have a further plane label where the planes before it found something."""
    first = session.turn(session.order[0])
    if not one.known.any() and session.votes is not None and first.location is not None:
        brightness, of_first = (each.scan.config.intensity.labelled_median for each in (one, first))
        one.follow(session.votes, first.location.gain * brightness / of_first)


def _finish(session: Session, total: int) -> Iterator[Event]:
    """Set islands to background and tell the slices that changed; judge the whole."""
    if session.finished:
        return
    session.finished = True
    geometry = session.geometry(session.order[0])
    islands = find_islands(session.labels)
    session.labels[islands] = 0
    changed = np.flatnonzero(islands.any(tuple({0, 1, 2} - {geometry.axes[0]})))
    for number in sorted(geometry.number(int(index)) for index in changed):
        index = geometry.index(number)
        yield SliceDone(index, session.labels[index].copy(), total, total)
    labelled = LabelVolume(session.labels, session.volume.affine)
    doubt = plausibility(labelled, session.model.runs[0].config.sizes)
    yield from tell(session, [] if doubt is None else [doubt])
