"""Fetch or install a run: a question, then progress and Cancel, then the run, below the combo box of runs."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from psygnal import SignalGroupDescriptor
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_scse._napari.links import Links
from napari_scse._widgets.cards import RunCard, load_card
from napari_scse._widgets.forms import until_destroyed
from napari_scse._widgets.panel import JobPanel
from napari_scse._widgets.runner import Hooks, Runner
from napari_scse._widgets.state import JobState, Phase
from napari_scse.errors import RunError
from napari_scse.events import Event

if TYPE_CHECKING:
    from napari_scse.runs.registry import RegisteredRun


@dataclass
class FetchState:
    """What the panel shows.

    Attributes
    ----------
    question
        The run that waits for an answer.
    source
        Where it would come from.
    job
        Of the fetch or the installation.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    question: RegisteredRun | None = None
    source: str = ""
    job: JobState = field(default_factory=JobState)


class FetchPanel(QWidget):
    """Asks whether to fetch a run, and fetches it; installs one from a file. Hidden while there is nothing to say."""

    brought = Signal(object)  # the RunCard of a run that is here now

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.state = FetchState()
        self.runner = Runner(self.state, self)
        self.panel = JobPanel("Fetch the run, and then choose it.")
        self.panel.run.setText("Fetch")
        self.panel.cancel.setToolTip("Leave it; nothing half-written is kept.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panel)
        self.panel.run_pressed.connect(self.fetch)
        self.panel.cancel_pressed.connect(self.cancel)
        events = self.state.events
        until_destroyed(self, Links(self.render_state, events.question, events.source, events.job))
        self.render_state()

    def ask(self, run: RegisteredRun) -> None:
        """Ask whether to fetch `run`, or say what is missing for that."""
        from napari_scse.runs import find_base, how_to_get

        if self.state.job.is_busy:
            return
        self.state.question = None
        try:
            base = find_base()
        except RunError as error:
            self.runner.refuse(str(error))
            return
        if base is None:
            self.runner.refuse(how_to_get(run))
            return
        self.state.job, self.state.source, self.state.question = JobState(), str(base), run

    def fetch(self) -> None:
        """Fetch the run that was asked about."""
        run, self.state.question = self.state.question, None
        if run is not None:
            self._start(f"fetch of {run.name}", partial(_fetch_card, run.name))

    def install(self, path: Path) -> None:
        """Install the run in the file (or folder) `path`."""
        self.state.question = None
        self._start(f"installation of {path.name}", partial(_install_card, path))

    def cancel(self) -> None:
        """Take the question back, or stop the job."""
        self.state.question = None
        self.runner.cancel()

    def render_state(self, *_: object) -> None:
        """Show the question, the job, or what went wrong."""
        job, run = self.state.job, self.state.question
        self.panel.show_job(job, "")
        asks = run is not None and not job.is_busy
        self.panel.run.setVisible(asks)
        self.panel.cancel.setVisible(asks or job.is_busy)
        self.panel.cancel.setEnabled(asks or job.phase is Phase.RUNNING)
        if run is not None and asks:
            self.panel.message.setText(f"Fetch {run.name}, {run.megabytes}, from {self.state.source}?")
            self.panel.message.setVisible(True)
        elif job.phase is Phase.STOPPING:
            self.panel.message.setText("Stopping …")
        self.setVisible(asks or job.is_busy or bool(job.message))

    def _start(self, title: str, work: partial[Generator[Event, None, RunCard]]) -> None:
        self.runner.start(title, work, Hooks(_nothing, _nothing, self._on_card, lambda: "", _nothing))

    def _on_card(self, card: RunCard) -> str:
        self.brought.emit(card)
        return ""


def _fetch_card(name: str) -> Generator[Event, None, RunCard]:
    """Fetch a run and read its card: runs in the job's thread."""
    from napari_scse.runs import fetch_run

    run = yield from fetch_run(name)
    return (yield from load_card(run.path))


def _install_card(path: Path) -> Generator[Event, None, RunCard]:
    from napari_scse.runs import install_run

    run = yield from install_run(path)
    return (yield from load_card(run.path))


def _nothing(*_: object) -> None:
    """What there is to do at most of a job's steps."""
