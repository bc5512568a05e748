"""The tally of a labels layer: counted in a thread, and then following what happens to the layer."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_scse._napari.label_source import LabelSource, edited_voxels
from napari_scse._napari.links import Links
from napari_scse._widgets.jobs import Job, Work, explain, start_job
from napari_scse.evaluation.numbers import comparable
from napari_scse.evaluation.tally import Tally, count, differences
from napari_scse.events import Event
from napari_scse.metrics import count_voxels

_LATER = 300  # ms until it is looked for what else has changed, at most so often
_AT_ONCE = 1 << 16  # voxels that are taken in within the GUI thread: some ten milliseconds
_MAPPED = "The reference is FreeSurfer's aseg: it is mapped to the 27 structures."


@dataclass(frozen=True, eq=False)
class _Found(Event):
    """Voxels that are not what was counted, as indices into the flattened array, and the labels there."""

    where: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class _Result:
    """A tally, the reference as it was before it was mapped, and a sentence on that, or nothing."""

    tally: Tally
    reference: np.ndarray | None
    note: str


class Counting(QObject):
    """Keeps the tally of a labels layer.

    What is painted is taken in at once. Whatever else happens to the layer (undo, labels that grow over it, other data)
    is found by comparing it with what was counted, in a thread, when the layer says that it was drawn anew.

    Attributes
    ----------
    source
        What is counted; None: nothing.
    tally
        Of `source`; None while it is counted for the first time.
    order
        Which axes of the labels are those of the tally.
    """

    changed = Signal()  # other numbers, or none
    said = Signal(str)  # a sentence for the user; empty: nothing is wrong
    replaced = Signal()  # a layer has other data: what lies on its grid may be something else

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.source: LabelSource | None = None
        self.tally: Tally | None = None
        self.order: tuple[int, ...] = ()
        self._job: Job | None = None
        self._reference: np.ndarray | None = None  # as it was counted
        self._stale = False  # whether the job is about something that is not shown any more
        self._again = False  # whether to look once more when the job has ended
        self._links: tuple[Links, ...] = ()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_LATER)
        self._timer.timeout.connect(self._compare)
        self._painted: list[np.ndarray] = []  # voxels to be taken in
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._take_painted)

    @property
    def is_busy(self) -> bool:
        """Whether something is counted or about to be."""
        return self._job is not None or self._timer.isActive() or self._soon.isActive()

    def show(self, source: LabelSource | None) -> None:
        """Count `source` from now on; None: nothing."""
        self.close()
        self.source, self.tally = source, None
        self.said.emit("")
        if source is not None:
            events, self.order = source.layer.events, source.order
            looks = [events.set_data, events.visible, events.labels_update]
            looks += [] if source.reference is None else [source.reference.events.set_data]
            news = [one.events.data for one in (source.layer, source.image, source.reference) if one is not None]
            self._links = (
                Links(self.look, *looks),
                Links(self._on_paint, events.paint),
                Links(self._on_data, *news),
            )
            self._count()
        self.changed.emit()

    def close(self) -> None:
        """Stop following; the tally stays as it is."""
        for links in self._links:
            links.close()
        self._links = ()
        self._timer.stop()
        self._soon.stop()
        self._painted = []
        self._again = False
        if self._job is not None:
            self._stale = True
            self._job.quit()

    def look(self, *_: object) -> None:
        """Find out soon what has changed."""
        if self.source is not None and self.source.layer.visible:
            if self._job is not None:
                self._again = True
            elif not self._timer.isActive():
                self._timer.start()

    # -- what happens to the layer -------------------------------------------------------------------------------------

    def _on_paint(self, event: Any) -> None:
        source, tally = self.source, self.tally
        places = None
        if source is not None and tally is not None and source.is_in_memory:
            places = edited_voxels(source.layer, event.value, _AT_ONCE)
        if places is None or tally is None:
            self.look()
        else:
            self._painted.append(np.ravel_multi_index(tuple(places[axis] for axis in self.order), tally.counted.shape))
            self._soon.start()  # napari tells before it writes

    def _take_painted(self) -> None:
        where = np.unique(np.concatenate(self._painted))
        self._painted = []
        self._take(where, None)

    def _on_data(self, *_: object) -> None:
        """A layer has another array, perhaps of another shape."""
        self.replaced.emit()

    def _take(self, where: np.ndarray, labels: np.ndarray | None) -> None:
        """Take in what the layer has at `where`: now if that is quickly read, otherwise the `labels` that were seen."""
        if self.tally is None or self.source is None:
            return
        if self.source.is_in_memory:
            now = self.source.labels().transpose(self.order)
            labels = now[np.unravel_index(where, now.shape)]
        if labels is not None and self.tally.update(where, labels):
            self.changed.emit()

    # -- jobs ----------------------------------------------------------------------------------------------------------

    def _count(self) -> None:
        if self.source is not None and self._job is None:
            self._start("counting of labels", partial(_count, self.source), self._on_counted)

    def _compare(self) -> None:
        if self.source is not None and self.tally is not None and self._job is None:
            work = partial(_compare, self.source, self.tally, self._reference)
            self._start("comparison of labels", work, self._on_compared)

    def _start(self, title: str, work: Work[Any], on_result: Callable[[Any], None]) -> None:
        self._stale = False
        self._job = start_job(
            title,
            work,
            on_event=self._on_event,
            on_result=on_result,
            on_error=self._on_error,
            on_finish=self._on_finish,
            shown=False,
        )

    def _on_event(self, event: Event) -> None:
        if isinstance(event, _Found) and not self._stale:
            self._take(event.where, event.labels)

    def _on_counted(self, result: _Result) -> None:
        if not self._stale:
            self.tally, self._reference = result.tally, result.reference
            self._again = True  # it may have been edited while it was counted
            self.said.emit(result.note)
            self.changed.emit()

    def _on_compared(self, other_reference: bool) -> None:
        if other_reference and not self._stale:
            self.tally = None  # counted anew when this job has ended

    def _on_error(self, error: Exception) -> None:
        if not self._stale:
            self.said.emit(explain(error, "counting of labels"))
            self.source = None

    def _on_finish(self) -> None:
        self._job = None
        if self.tally is None:
            self._count()
        elif self._again:
            self._again = False
            self.look()


def _count(source: LabelSource) -> Generator[Event, None, _Result]:
    """Count: runs in the job's thread."""
    labels = source.labels()
    order = source.order
    image, reference = source.others()
    compared, mapped = reference, False
    if reference is not None:
        compared, mapped = comparable(reference, count_voxels(labels).keys())
    laid = [None if other is None else other.transpose(order) for other in (image, compared)]
    tally = yield from count(labels.transpose(order), *laid)
    return _Result(tally, reference, _MAPPED if mapped else "")


def _compare(source: LabelSource, tally: Tally, reference: np.ndarray | None) -> Generator[Event, None, bool]:
    """Find what has changed; tell whether the reference has: runs in the job's thread."""
    labels = source.labels().transpose(source.order)
    if labels.shape == tally.counted.shape:
        for where, seen in differences(tally, labels, most=_AT_ONCE):
            yield _Found(where, seen)
    yield from ()
    return reference is not None and not np.array_equal(source.reference_now(), reference)
