"""Train: set up a training, start it as a process of its own, and watch it, now or later."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_scse._napari.links import Links
from napari_scse._napari.maps import EpochCaption
from napari_scse._widgets.arrivals import ARRIVALS
from napari_scse._widgets.copy_bar import put_on_clipboard
from napari_scse._widgets.dock import DockedWidget
from napari_scse._widgets.forms import ChoiceBox, form, line, scrolled, until_destroyed
from napari_scse._widgets.jobs import Work, explain, start_job
from napari_scse._widgets.preferences import preferred_convention, preferred_device
from napari_scse._widgets.runner import Hooks, Runner
from napari_scse._widgets.shortcuts import Shortcuts
from napari_scse._widgets.train.curves import TrainCurves
from napari_scse._widgets.train.data import LAYERS, DataPanel
from napari_scse._widgets.train.form import TrainForm
from napari_scse._widgets.train.monitor import Monitor
from napari_scse._widgets.train.panel import TrainPanel
from napari_scse._widgets.train.state import (
    TrainState,
    as_command,
    as_python,
    begin,
    colors_of,
    discard,
    epochs_of,
    prepare,
    resume,
)
from napari_scse._widgets.train.watch import WatchPanel
from napari_scse._widgets.view_bar import ViewBar
from napari_scse.errors import ScseError
from napari_scse.training.process import Phase, Training

if TYPE_CHECKING:
    import napari

_SEARCH = "search for trainings"
_GOES_ON = "It goes on when this window is closed: open Train again to find it here."


class TrainWidget(DockedWidget):
    """The Train dock widget."""

    listed = Signal()  # the trainings are known, and the form is there
    attached = Signal(object)  # a training is shown: its Monitor

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.state = TrainState()
        self.runner = Runner(self.state, self)
        self.monitor: Monitor | None = None
        self.form: TrainForm | None = None
        self._build()
        self._connect()
        until_destroyed(self, EpochCaption(viewer))
        self.render()
        self.list_trainings()

    def _build(self) -> None:
        self.box = ChoiceBox("looking for trainings …")
        self.again = QPushButton("↻")
        self.again.setFixedWidth(28)
        self.again.setToolTip("Look again for trainings, also those started elsewhere.")
        self.data = DataPanel(self.viewer)
        self.name = QLineEdit("my-run")
        self.name.setToolTip("What the run is called, and its folder among your runs.")
        self.setup = QWidget()
        self._setup = QVBoxLayout(self.setup)
        self._setup.setContentsMargins(0, 0, 0, 0)
        self.panel = TrainPanel()
        self.note = QLabel(_GOES_ON)
        self.note.setWordWrap(True)
        self.watch = WatchPanel(self.viewer, self.state, self.data)
        self.curves = TrainCurves()
        self.copying = QWidget()
        self.copy_python, self.copy_command = QPushButton("Copy as Python"), QPushButton("Copy as command")
        buttons = QHBoxLayout(self.copying)
        buttons.setContentsMargins(0, 0, 0, 0)
        for button in (self.copy_python, self.copy_command):
            button.setToolTip("What trains the same once more, into another run.")
            buttons.addWidget(button)
        chooser, names = QHBoxLayout(), form()
        chooser.setContentsMargins(0, 0, 0, 0)
        chooser.addWidget(self.box)
        chooser.addWidget(self.again)
        self.view_bar = ViewBar(self.viewer, preferred_convention())
        self.shortcuts = Shortcuts(self, self.viewer, {**self.panel.keyed, **self.watch.maps_bar.keyed})
        top = form()
        top.addRow("Training", chooser)
        names.addRow("Name", self.name)
        self._setup.addLayout(names)
        parts = (
            self.setup,
            self.panel,
            self.note,
            line(),
            self.watch,
            self.curves,
            self.copying,
            line(),
            self.view_bar,
            self.shortcuts.fold,
        )
        scrolled(self, top, self.data, *parts)

    def _connect(self) -> None:
        self.box.picked.connect(self._on_picked)
        self.again.clicked.connect(self.list_trainings)
        self.data.changed.connect(self.render)
        self.name.textChanged.connect(self.render)
        self.panel.pressed.connect(self._on_pressed)
        self.panel.missed.connect(self._on_said)
        self.watch.preview.said.connect(self._on_said)
        self.copy_python.clicked.connect(self._on_copy_python)
        self.copy_command.clicked.connect(self._on_copy_command)
        self.taken_out.connect(self._on_taken_out)
        events = self.state.events
        until_destroyed(self, Links(self.render, events.job, events.trainings, events.chosen, events.ready))

    # -- what is shown -------------------------------------------------------------------------------------------------

    def render(self, *_: object) -> None:
        """Show the form of a new training, or where the chosen one stands."""
        state, new = self.state, self.state.chosen is None
        self.box.set_choices(state.choices if state.ready else [], state.chosen)
        self.setup.setVisible(new)
        self.data.show_for(watching=not new)
        for part in (self.copying, self.curves):
            part.setVisible(not new)
        job = state.job
        if new or self.monitor is None:
            text = job.message or (f"{job.what} …" if job.is_busy else "")
            self.panel.show_new(text, self._obstacle(), job.failed, job.is_busy)
            self.note.setVisible(False)
        else:
            self.panel.show_training(self.monitor, job.message, job.failed)
            self.note.setVisible(self.monitor.status.phase.is_alive)
            self.curves.draw()

    def _obstacle(self) -> str:
        if not self.state.ready:
            return "Preparing the form …"
        return self.data.obstacle or ("" if self.name.text().strip() else "Give the run a name.")

    # -- trainings -----------------------------------------------------------------------------------------------------

    def list_trainings(self, *_: object) -> None:
        """Find this user's trainings; `listed` follows. The first time, the form is made as well."""
        start_job(_SEARCH, prepare, on_result=self._on_trainings, on_error=self._on_error, shown=False)

    def show_training(self, folder: Path) -> None:
        """Follow the training in `folder`, whether it runs or not."""
        self._leave()
        try:
            epochs = epochs_of(folder)
        except ScseError as error:
            self.runner.refuse(str(error))
            return
        self.state.job = self.state.job.end("")
        self.monitor = monitor = Monitor(Training(folder), epochs, self)
        self.watch.follow(monitor)
        monitor.changed.connect(self.render)
        monitor.epoch_done.connect(self._on_epoch)
        monitor.phase_changed.connect(self._on_phase)
        self.curves.show_history(monitor.history, colors_of(folder))
        self.state.chosen = folder
        self.attached.emit(monitor)

    def start(self) -> None:
        """Start what the form says."""
        from napari_scse.runs import user_runs
        from napari_scse.runs.registry import require_name

        if self.form is None or self.state.job.is_busy:
            return
        try:
            folder = user_runs() / self.name.text().strip()
            require_name(self.name.text().strip())
            layers = self.data.source.value == LAYERS
            config = self.form.config(folder, **({} if layers else self.data.folders()))
            pairs = self.data.all_pairs(config.spacing[0]) if layers else []
            for pair in pairs:
                pair.source.require_plane(config.plane)
        except ScseError as error:
            self.runner.refuse(str(error))
            return
        self._do(f"start of {folder.name}", partial(begin, config, pairs), self._on_started)

    def _do(self, title: str, work: Work[Any], done: Any) -> None:
        self.runner.start(title, work, Hooks(_nothing, _nothing, done, lambda: "Cancelled.", _nothing))

    def _leave(self) -> None:
        """Let go of the training that is shown; it goes on."""
        monitor, self.monitor = self.monitor, None
        self.watch.follow(None)
        self.curves.show_history(None)
        if monitor is not None:
            monitor.close()
            monitor.deleteLater()

    # -- what comes back -----------------------------------------------------------------------------------------------

    def _on_trainings(self, trainings: tuple[tuple[Training, Phase], ...]) -> None:
        self.state.trainings = trainings
        if self.form is None:
            self.form = TrainForm(preferred_device())
            self.data.add_fields()
            self._setup.addWidget(self.form)
            self.state.ready = True
            alive = [training for training, phase in trainings if phase.is_alive]
            if alive:  # that is what one comes back for
                self.show_training(alive[0].folder)
        self.listed.emit()

    def _on_error(self, error: Exception) -> None:
        self.runner.refuse(explain(error, _SEARCH))

    def _on_started(self, training: Training) -> str:
        self.show_training(training.folder)
        self.list_trainings()
        return ""

    def _on_resumed(self, _: Training) -> str:
        if self.monitor is not None:
            self.monitor.wake()
        return ""

    def _on_discarded(self, _: None) -> str:
        self._leave()
        self.state.chosen = None
        self.list_trainings()
        return "Removed."

    def _on_epoch(self, epoch: int) -> None:
        if self.monitor is None:
            return
        ARRIVALS.run.emit(self.monitor.training.folder)
        self.curves.show_history(self.monitor.history, colors_of(self.monitor.training.folder))
        self.watch.show_epoch(epoch)

    def _on_phase(self, _: object) -> None:
        self.list_trainings()

    def _on_said(self, sentence: str, failed: bool) -> None:
        if not self.state.job.is_busy:
            self.state.job = self.state.job.end(sentence, failed)

    # -- what the user does --------------------------------------------------------------------------------------------

    def _on_picked(self, folder: Path | None) -> None:
        if folder is None:
            self._leave()
            self.state.job = self.state.job.end("")
            self.state.chosen = None
        elif folder != self.state.chosen:
            self.show_training(folder)

    def _on_pressed(self, what: str) -> None:
        monitor = self.monitor
        if what == "start":
            self.start()
        elif monitor is not None and what == "resume":
            self._do(f"resumption of {monitor.training.name}", partial(resume, monitor.training), self._on_resumed)
        elif monitor is not None and what == "discard":
            self._do(f"removal of {monitor.training.name}", partial(discard, monitor.training), self._on_discarded)
        elif monitor is not None:
            {"pause": monitor.training.pause, "go_on": monitor.training.go_on, "stop": monitor.training.stop}[what]()
            self.state.job = self.state.job.end("")
            self.render()

    def _on_copy_python(self) -> None:
        if self.state.chosen is not None:
            put_on_clipboard(as_python(self.state.chosen))

    def _on_copy_command(self) -> None:
        if self.state.chosen is not None:
            put_on_clipboard(as_command(self.state.chosen))

    def _on_taken_out(self) -> None:
        self.runner.cancel()
        self.watch.maps_bar.stop()
        if self.monitor is not None and self.monitor.status.phase.is_alive:
            show_info(f"The training {self.monitor.training.name} goes on. Open Train again to see it.")
        self._leave()


def _nothing(*_: object) -> None:
    """Nothing is to be done."""
