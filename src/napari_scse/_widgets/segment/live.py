"""Live: the slice on screen stays segmented while the user scrolls, chooses another run, or edits the scan."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from qtpy.QtCore import QObject, QTimer, Signal

from napari_scse._napari.links import Links
from napari_scse._napari.looking import Front
from napari_scse._widgets.forms import until_destroyed
from napari_scse._widgets.jobs import Job, explain, start_job
from napari_scse._widgets.layer_picker import LayerPicker
from napari_scse._widgets.segment.growing import Growing
from napari_scse._widgets.segment.opened import Opened
from napari_scse._widgets.segment.region_box import SLAB, VIEW
from napari_scse._widgets.segment.segmenting import Segmenting, Task
from napari_scse._widgets.state import SegmentState
from napari_scse.errors import InputError
from napari_scse.events import Event

if TYPE_CHECKING:
    from napari_scse.inference import Region

_STILL = 200  # ms without a turn of the wheel, until what the canvas shows is segmented


class Live(QObject):
    """Computes what is looked at, and nothing that was looked at before; rests while a run is going on.

    From the moment it is switched on until it is switched off (or a run starts) all it writes is one undo step.
    """

    said = Signal(str)  # why it cannot work
    caught_up = Signal()  # the slice on screen is segmented

    def __init__(self, viewer: Any, segmenting: Segmenting, state: SegmentState, picker: LayerPicker) -> None:
        super().__init__(segmenting)
        self._work, self._state, self._picker = segmenting, state, picker
        self._job: Job | None = None
        self._stale = self._looking = False
        self._version = 0  # of the scan's voxels
        self._mark: tuple[Any, ...] | None = None
        self._told: set[int] = set()  # slices, of the region
        self._region: Region | None = None
        self._into: Growing | None = None
        self._settled: tuple[Any, ...] | None = None
        self._scan: Any = _nothing
        self._links: Links | None = None
        self._still = QTimer(self)
        self._still.setSingleShot(True)
        self._still.setInterval(_STILL)
        self._still.timeout.connect(self.restart)
        segmenting.moved.connect(self._on_moved)
        segmenting.starting.connect(self.rest)
        segmenting.removed.connect(self._on_removed)
        picker.changed.connect(self._on_picked)
        camera = viewer.scene.camera.events
        until_destroyed(self, _Closer(self), Links(self._on_camera, camera.zoom, camera.center))

    def switch(self, on: bool) -> None:
        """Begin or end."""
        if on:
            self._told, self._settled = set(), None
            self.restart()
        else:
            self.rest()

    def restart(self, *_: object) -> None:
        """Something else is wanted: drop what is under way."""
        self._follow_scan()
        if not self._state.live:
            return
        self._settled = None
        if self._job is not None:
            self._stale = True
            self._job.quit()
        else:
            self.look()

    def look(self, *_: object) -> None:
        """Segment the slice on screen, if it is not."""
        busy = self._job is not None or self._looking or self._state.job.is_busy
        if not self._state.live or busy or self._state.card is None or self._picker.layer is None:
            return
        self._looking = True  # a new labels layer has the viewer tell of it
        try:
            self._start(self._work.task())
        except InputError as error:
            self.said.emit(str(error))
        finally:
            self._looking = False

    def _start(self, task: Task) -> None:
        front = self._work.front
        front.look_at(task.source)
        if front.slice is None:
            return
        plane = front.plane if task.card.is_model else None
        place = tuple(map(str, (*task.source.grid.to_metadata().values(), *task.source.transforms.values())))
        voxels = (id(task.source.data), self._version, task.source.frame, place)
        runs = [self._state.catalogue.card(task.card.alone(one).path) for one in task.card.planes]
        best = tuple(run.best_epoch for run in runs if run is not None)  # it may change while a run is trained
        how = tuple(sorted(task.options.items(), key=str))
        mark = (voxels, task.card.path, best, plane, how, task.networks)
        wanted = (mark, task.region, front.slice)
        if wanted == self._settled:
            return
        into = self._work.layers(task, keep=True)
        if into is not self._into or mark != self._mark:
            self._told = set()
        self._into = into
        if task.region != self._region:
            self._told, self._region = set(), task.region
        self._mark, self._settled, self._stale = mark, wanted, False
        self._job = start_job(
            f"live segmentation of {task.source.name}",
            partial(_follow, self._work.opened, task, front, self._told, mark),
            on_event=self._on_event,
            on_result=lambda _: None,
            on_error=self._on_error,
            on_finish=self._on_finish,
            shown=False,
        )

    def rest(self) -> None:
        """Stop what is under way; what was written is one undo step."""
        self._stale = False
        if self._job is not None:
            self._job.quit()
        if self._into is not None:
            self._work.release()
            self._into = None

    def _on_event(self, event: Event) -> None:
        if self._into is not None and not self._stale:
            try:
                self._work.take(event)
            except InputError as error:  # every further slice would find it so
                self.rest()
                self._on_error(error)

    def _on_error(self, error: Exception) -> None:
        if self._stale:  # something else is wanted already
            return
        self._state.live = False
        self.said.emit(explain(error, "live segmentation"))

    def _on_finish(self) -> None:
        self._job = None
        if self._work.front.slice is None:
            self._work.refresh()  # what came after the last slice was left for 3-D
        if not self._state.live:
            self.rest()
            return
        if self._stale:
            self._told, self._settled = set(), None
        self.look()
        if self._job is None:
            self.caught_up.emit()

    def _on_removed(self) -> None:
        self._into = None
        if self._state.live and not self._state.job.is_busy:
            self._state.live = False  # whoever removes the labels does not want them back

    def _on_moved(self) -> None:
        """Another slice is on screen; a slab moves with it, also through slices that are labelled one by one."""
        if self._job is not None and self._state.region == SLAB:
            self.restart()
        else:
            self.look()

    def _on_camera(self, *_: object) -> None:
        if self._state.live and self._state.region == VIEW:
            self._still.start()

    def _on_picked(self) -> None:
        self._follow_scan()
        self.look()

    def _follow_scan(self) -> None:
        layer = self._picker.layer
        if layer is self._scan():
            return
        if self._links is not None:
            self._links.close()
        self._scan, self._links = (_nothing, None) if layer is None else (ref(layer), None)
        if layer is not None:
            self._links = Links(self._on_data, layer.events.data)

    def _on_data(self, *_: object) -> None:
        self._version += 1
        self.restart()

    def close(self) -> None:
        """Stop for good."""
        if self._job is not None:
            self._job.quit()
        if self._links is not None:
            self._links.close()


class _Closer:
    """Closes a `Live` with its Qt object; it holds it weakly."""

    def __init__(self, live: Live) -> None:
        self._live = ref(live)

    def close(self) -> None:
        live = self._live()
        if live is not None:
            live.close()


def _follow(
    opened: Opened, task: Task, front: Front, told: set[int], mark: tuple[Any, ...]
) -> Generator[Event, None, None]:
    """Label what is on screen until all of that is labelled: runs in the job's thread."""
    from napari_scse.inference import Region, grow

    nowhere = Region((0, 0, 0), (0, 0, 0))
    with opened.turn():
        session = yield from opened.open(task.source, task.card, task.options, task.networks, mark)
        session.begin_with(front.plane, anew=not session.finished)
        only = lambda: front.slice or nowhere  # noqa: E731 - it is asked anew before every batch
        yield from grow(session, lambda: front.point, region=task.region, only=only, told=told, revise=False)


def _nothing() -> None:
    """No scan is followed."""
