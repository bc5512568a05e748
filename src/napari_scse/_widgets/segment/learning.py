"""Teaching the chosen run with what is painted: learnt, labelled anew, taken back, kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_scse._napari.edits import Edits, unwrapped
from napari_scse._napari.looking import sliced_axis
from napari_scse._napari.pairs import LabelledInput, labelled_input
from napari_scse._napari.rounds import Before, Round
from napari_scse._widgets.arrivals import ARRIVALS
from napari_scse._widgets.jobs import explain, start_job
from napari_scse._widgets.layer_picker import LayerPicker
from napari_scse._widgets.runner import Hooks, Runner
from napari_scse._widgets.segment.lessons import Learnt, Lesson, Restored, account, go_back, keep_all, learn, save
from napari_scse._widgets.segment.segmenting import Segmenting
from napari_scse._widgets.segment.target_picker import TargetPicker
from napari_scse._widgets.state import SegmentState, grouped
from napari_scse.errors import InputError
from napari_scse.events import Event

if TYPE_CHECKING:
    from napari_scse.refinement import Refined

_NO_LABELS = "There are no labels to correct yet: press Run first, or choose a layer in “Labels into”."
_NO_STROKES = "There are no strokes: paint on the labels where they are wrong, with background where there is nothing."


class Learning(QObject):
    """The work of the Teach part; what is learnt belongs to the scan, the run and the epoch that are chosen."""

    changed = Signal()  # there are more rounds, or fewer
    said = Signal(str)  # news that belong to no job
    kept = Signal(object)  # the folder of a new run, or the name of a new model in that place

    def __init__(
        self,
        viewer: Any,
        state: SegmentState,
        picker: LayerPicker,
        target: TargetPicker,
        runner: Runner,
        work: Segmenting,
    ) -> None:
        super().__init__(work)
        self._viewer, self._state, self._picker, self._target = viewer, state, picker, target
        self._runner, self._work = runner, work
        self._learnt: Learnt | None = None
        self._reference: Callable[[], Any] = _nothing
        target.changed.connect(self.changed)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """What the chosen run has learnt on the chosen scan."""
        return () if self._state.run is None else self._work.rounds.of(*self._place())

    @property
    def layer(self) -> Any:
        """The labels layer whose strokes are learnt: the chosen one, the selected one, or that of the last run."""
        active, growing = unwrapped(self._viewer.layers.selection.active), self._work.growing
        looked_at = active if active is not self._reference() else None
        candidates = (self._target.layer, looked_at, None if growing is None else growing.layer)
        return next((layer for layer in candidates if layer is not None and self._target.accepts(layer)), None)

    def compare_with(self, reference: Any) -> None:
        """Take a layer for right labels: it is not learnt from when it is merely selected. None: there is none."""
        self._reference = _nothing if reference is None else ref(reference)
        self.changed.emit()

    def learn(self, reference: Any = None) -> None:
        """Teach the run with all strokes so far; `reference` is a layer of right labels."""
        if self._state.job.is_busy or self._state.card is None:
            return
        try:
            lesson, layer = self._lesson(reference)
        except InputError as error:
            self._runner.refuse(str(error))
            return
        self._learnt = None
        self._work.begin(lesson.task, keep=True, into=layer)
        add = partial(self._work.rounds.add, *self._place())
        name = "" if reference is None else reference.name
        hooks = Hooks(
            partial(self._on_event, lesson.before, add),
            self._work.refresh,
            partial(self._on_result, name),
            partial(self._on_cancelled, name),
            self._work.fail,
        )
        title = f"teaching of {self._state.card.name}"
        self._runner.start(title, partial(learn, self._work.opened, lesson, self._work.front), hooks)
        self.changed.emit()

    def undo(self) -> None:
        """Go back to before the last round: the network, and the labels but for what was painted since."""
        rounds = self.rounds
        if self._state.job.is_busy or not rounds:
            return
        before, place = rounds[-1].before, self._place()
        layer = before.layer
        if layer is None or layer not in self._viewer.layers or layer.data.shape != before.shape:
            self._forget(place)
            self.said.emit("The labels layer is not there any more; the network is as before the round.")
            return
        edits = Edits.of(layer)
        self._work.starting.emit()
        edits.begin()
        hooks = Hooks(
            partial(_put_back, layer, edits),
            partial(layer.refresh, extent=False),
            partial(self._on_gone_back, edits, place),
            partial(_stay, layer, edits),
            partial(_leave, layer, edits),
        )
        axis = (sliced_axis(self._viewer) or 0) if layer.ndim == 3 else 0
        middle = float(layer.world_to_data(self._viewer.dims.point)[axis])
        self._runner.start("way back to before the round", partial(go_back, before, axis, middle), hooks)

    def accept(self, name: str) -> None:
        """Make a run of what was learnt."""
        rounds, place = self.rounds, self._place()
        if self._state.job.is_busy or not rounds:
            return
        last = {one.plane: one.refined for one in rounds}
        names: dict[str, Refined] = {f"{name}-{plane}": refined for plane, refined in last.items()}
        if len(last) == 1:
            names = {name: rounds[-1].refined}
        hooks = Hooks(_nothing, _nothing, partial(self._on_kept, place, name), lambda: "", _nothing)
        self._runner.start(f"writing of the run {name}", partial(keep_all, names), hooks)

    def save_strokes(self, path: Path) -> None:
        """Write the strokes into a file that the command reads; `said` follows."""
        try:
            lesson, _ = self._lesson(None)
        except InputError as error:
            self.said.emit(str(error))
            return
        start_job(
            "saving of strokes",
            partial(save, lesson.task.source, lesson.before, path),
            on_result=lambda written: self.said.emit(f"The strokes are in {written}."),
            on_error=lambda error: self.said.emit(explain(error, "saving of strokes")),
            shown=False,
        )

    # -- the course of a round -----------------------------------------------------------------------------------------

    def _lesson(self, reference: Any) -> tuple[Lesson, Any]:
        layer = self.layer
        if layer is None:
            raise InputError(_NO_LABELS)
        task = self._work.task()
        if not Edits.of(layer).painted.any():
            raise InputError(_NO_STROKES)
        right: LabelledInput | None = None
        if reference is not None:
            right = labelled_input(task.source, self._picker.layer, reference)
        return Lesson(task, Before(layer), {one.plane: one.refined for one in self.rounds}, right), layer

    def _on_event(self, before: Before, add: Callable[[Round], None], event: Event) -> None:
        if isinstance(event, Learnt):
            self._learnt = event
            add(Round(event.refined, event.plane, before))
            self.changed.emit()
        else:
            self._work.take(event)

    def _on_result(self, reference: str, _: object) -> str:
        learnt = self._learnt
        self._work.release()
        self._work.changed.emit()
        return "" if learnt is None else account(learnt, reference)

    def _on_cancelled(self, reference: str) -> str:
        learnt = self._learnt
        if learnt is None:
            self._work.release()
            return "Cancelled: nothing is learnt, and the labels are as they were."
        self._work.suspend()
        return f"Cancelled after learning: Resume labels the rest, Undo goes back. {account(learnt, reference)}"

    def _on_gone_back(self, edits: Edits, place: tuple[Any, ...], _: object) -> str:
        changed = edits.commit()
        self._forget(place)
        return f"As before the round: {grouped(changed)} voxels went back, and so did the network."

    def _on_kept(self, place: tuple[Any, ...], name: str, folders: tuple[Path, ...]) -> str:
        self._work.rounds.clear(*place)
        for folder in folders:
            ARRIVALS.run.emit(folder)
        self.changed.emit()
        self.kept.emit(folders[-1].with_name(name))
        named = " and ".join(f"“{folder.name}”" for folder in folders)
        alone = "" if len(folders) > 1 or len(self._state.planes) < 2 else " It labels slices of that plane alone."
        return f"Kept as {named}, in {folders[-1].parent}.{alone}"

    def _forget(self, place: tuple[Any, ...]) -> None:
        self._work.rounds.pop(*place)
        self._work.changed.emit()
        self.changed.emit()

    def _place(self) -> tuple[Any, Any, Any]:
        return self._picker.layer, self._state.run, self._state.epoch


def _put_back(layer: Any, edits: Edits, event: Event) -> None:
    """Write what was there, but for voxels whose strokes were undone since."""
    if isinstance(event, Restored):
        now = np.asarray(layer.data[event.index])
        edits.write(event.index, np.where(event.painted, now, event.labels))


def _leave(layer: Any, edits: Edits) -> None:
    """Take back what was put back."""
    edits.rollback()
    layer.refresh(extent=False)


def _stay(layer: Any, edits: Edits) -> str:
    _leave(layer, edits)
    return "Cancelled: the round stays."


def _nothing(*_: object) -> None:
    """No layer is touched."""
