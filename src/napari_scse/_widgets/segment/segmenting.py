"""Segmenting a scan from where the user looks: started, stopped, resumed; what is found goes into layers."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_scse._napari.inputs import LayerInput, shown_frame
from napari_scse._napari.links import Links
from napari_scse._napari.looking import Front
from napari_scse._napari.rounds import Rounds
from napari_scse._widgets.cards import RunCard
from napari_scse._widgets.forms import until_destroyed
from napari_scse._widgets.layer_picker import LayerPicker
from napari_scse._widgets.runner import Hooks, Runner
from napari_scse._widgets.segment.growing import Growing
from napari_scse._widgets.segment.opened import Opened
from napari_scse._widgets.segment.region_box import region_of
from napari_scse._widgets.segment.target_picker import TargetPicker
from napari_scse._widgets.state import SegmentState, duration
from napari_scse.errors import InputError
from napari_scse.events import Event, SliceDone

if TYPE_CHECKING:
    from torch import nn

    from napari_scse.inference import Region
    from napari_scse.slices import Plane


@dataclass(frozen=True)
class Outcome:
    """What the thread tells at the end; the labels themselves came with the events."""

    found: int
    messages: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """What is to be labelled, as the widget stands now."""

    source: LayerInput
    card: RunCard
    options: dict[str, Any]
    region: Region | None
    networks: Mapping[Plane, nn.Module]  # that have learnt


class Segmenting(QObject):
    """The work of the Segment widget; `Live` uses its session and layers as well."""

    labelled = Signal(object)  # a run went to its end: the LabelVolume
    changed = Signal()  # whether a run can be resumed may have changed
    starting = Signal()  # a run is about to start
    moved = Signal()  # another slice is on screen
    removed = Signal()  # the labels layer is gone

    def __init__(
        self, viewer: Any, state: SegmentState, picker: LayerPicker, target: TargetPicker, runner: Runner
    ) -> None:
        super().__init__(runner.parent())
        self.opened = Opened()
        self.front = Front(viewer, self.moved.emit)
        self.growing: Growing | None = None
        self.rounds = Rounds()
        self._viewer, self._state, self._picker, self._target, self._runner = viewer, state, picker, target, runner
        self._begun: tuple[Any, ...] = ()  # how the last job was set up
        self._stopped: tuple[Any, ...] | None = None  # what was asked for, of a run that was cancelled
        until_destroyed(self, self.front, self.opened, Links(self._on_removed, viewer.layers.events.removed))

    @property
    def can_resume(self) -> bool:
        """Whether a run was cancelled that would go on as it was asked for."""
        return (
            self._stopped is not None
            and self.growing is not None
            and self._target.accepts(self.growing.layer)
            and self._stopped == self._asked(self._settings, self._frame_now)
        )

    def task(self) -> Task:
        """Return what is to be labelled now; raises `InputError` where there is a reason against it."""
        state, card = self._state, self._state.card
        if card is None:
            raise InputError("Choose a trained run first.")
        source = self._picker.input(card.spacing[0])
        for plane in state.planes:
            source.require_plane(plane)
        region = region_of(self._viewer, source, self._picker.layer, state.region, state.slab_mm)
        options = {
            "planes": state.planes,
            "epoch": state.epoch,
            "device": state.device,
            "precision": state.precision,
            "mirror": None if state.mirror else False,
            "uncertainty": state.uncertainty,
        }
        return Task(source, card, options, region, self._networks(self._settings))

    def layers(self, task: Task, keep: bool, into: Any = None) -> Growing:
        """Return layers for the labels, ready to be written to: the present ones if they fit and are to be kept.

        Parameters
        ----------
        task
            What is labelled.
        keep
            Whether the present ones are to be kept.
        into
            The labels layer to write to; None: the one that is chosen.
        """
        growing, into = self.growing, self._target.layer if into is None else into
        fits = (
            growing is not None
            and self._target.accepts(growing.layer)
            and (into is None or growing.layer is into)
            and growing.classes == task.card.classes
            and growing.source.grid.to_metadata() == task.source.grid.to_metadata()
        )
        if growing is None or not keep or not fits:
            self.release()
            growing = Growing(self._viewer.layers, task.source, task.card, into)
            self.growing = growing
        growing.show_uncertainty(task.options["uncertainty"])
        growing.frame = task.source.frame
        if not growing.is_writing:
            growing.resume()
        return growing

    def run(self, anew: bool = False) -> None:
        """Label the chosen layer from the slice on screen outwards, or go on with it; `anew` starts over."""
        if self._state.card is None or self._state.job.is_busy:
            return
        try:
            task = self.task()
        except InputError as error:
            self._runner.refuse(str(error))
            return
        self.begin(task, keep=not anew and (self.can_resume or self._state.live))
        work = partial(_label, self.opened, task, self.front, anew)
        hooks = Hooks(self.take, self.refresh, self._on_result, self.suspend, self.fail)
        self._runner.start(f"segmentation of {task.source.name}", work, hooks)
        self.changed.emit()

    def begin(self, task: Task, keep: bool, into: Any = None) -> None:
        """Have layers ready for a job that is about to start; see `layers`."""
        self.starting.emit()
        self.layers(task, keep, into)
        self._begun, self._stopped = self._settings, None
        self.front.look_at(task.source)

    def take(self, event: Event) -> None:
        """Write a slice, and show it at once if it is on screen."""
        if isinstance(event, SliceDone) and self.growing is not None:
            self.growing.take(event)
            if event.provisional or self._crosses(event):
                self.refresh_shown()

    def refresh(self) -> None:
        """Show what came."""
        if self.growing is not None and self.growing.is_shown:
            self.growing.refresh()

    def refresh_shown(self) -> None:
        """Show what came on the slice on screen."""
        self.refresh()

    def release(self) -> None:
        """End writing: what was written is one undo step."""
        growing = self.growing
        if growing is not None:
            if growing.is_empty:
                self.growing = None  # its layers go
            growing.release()

    def suspend(self) -> str:
        """End writing when a job was cancelled, so that Run resumes it; return a sentence that says so."""
        growing = self.growing
        self.release()
        if growing is None:
            return "Stopped: the labels layer was removed."
        if not growing.seen:
            return "Cancelled before the first slice was labelled."
        self._stopped = self._asked(self._begun, growing.frame)
        self.changed.emit()
        if growing.has_guess:
            return "Cancelled: only the slice on screen has labels, and they are a first guess. Resume goes on."
        kept = f"“{growing.layer.name}” keeps them"
        return f"Cancelled: {growing.done} of {growing.total} slices are labelled, and {kept}. Resume goes on."

    def fail(self) -> None:
        """End writing when a job failed."""
        self._begun = ()
        self.release()
        self.changed.emit()

    # -- the course of a run -------------------------------------------------------------------------------------------

    def _on_result(self, outcome: Outcome) -> str:
        growing, self._begun = self.growing, ()
        self.release()
        if growing is None:
            return ""
        took = duration(time.monotonic() - growing.started)
        self.labelled.emit(growing.result)
        self.changed.emit()
        return " ".join((f"{outcome.found} of {growing.structures} structures found in {took}.", *outcome.messages))

    def _on_removed(self, *_: object) -> None:
        growing = self.growing
        if growing is not None and not growing.is_shown:
            self.growing = None
            growing.release()
            self.removed.emit()
            self.changed.emit()
        elif growing is not None and growing.has_lost_uncertainty:
            growing.show_uncertainty(False)
            self._state.uncertainty = False  # whoever removes it does not want it back

    @property
    def _frame_now(self) -> int | None:
        layer = self._picker.layer
        return None if layer is None else shown_frame(layer, self._viewer.dims.point)

    @property
    def _settings(self) -> tuple[Any, ...]:
        """The scan, the run, the epoch, and how else it is labelled, as they are chosen now."""
        state = self._state
        how = (state.planes, state.device, state.precision, state.mirror, state.uncertainty)
        return (self._picker.layer, state.run, state.epoch, *how, state.region, state.slab_mm)

    def _asked(self, settings: tuple[Any, ...], frame: int | None) -> tuple[Any, ...]:
        return (*settings, frame, self._target.layer, self._networks(settings))

    def _networks(self, settings: tuple[Any, ...]) -> dict[Plane, nn.Module]:
        scan, run, epoch = settings[:3]
        return {} if run is None else self.rounds.networks(scan, run, epoch)

    def _crosses(self, event: SliceDone) -> bool:
        """Whether the slice on screen shows some of an event's voxels; in 3-D, where none is, `refresh` does."""
        shown = self.front.slice
        if shown is None:
            return self.growing is not None and self.growing.source.is_slice
        return all(
            start <= place < stop
            for place, start, stop in zip(event.index, shown.start, shown.stop, strict=True)
            if isinstance(place, int)
        )


def _label(opened: Opened, task: Task, front: Front, anew: bool) -> Generator[Event, None, Outcome]:
    """Read the voxels and label them: runs in the job's thread."""
    from napari_scse.inference import grow

    with opened.turn():
        session = yield from opened.open(task.source, task.card, task.options, task.networks)
        if anew:
            session.forget()
        session.begin_with(front.plane)
        where: Callable[[], Any] | None = (lambda: front.point) if front.point is not None else None
        yield from grow(session, where, region=task.region)
        found = np.count_nonzero(np.bincount(session.labels.ravel(order="K"))[1:])
        return Outcome(int(found), tuple(session.messages))
