"""One job at a time for a widget: started, watched, stopped, and ended in every case."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, QTimer, Signal

from napari_scse._widgets.jobs import Job, Work, explain, start_job
from napari_scse._widgets.state import JobState
from napari_scse.errors import ScseError
from napari_scse.events import Event

_REFRESH = 250  # ms between two looks at a growing layer
_REST = 4  # times as long as it took to show that, it is left alone: whole volumes take a while in 3-D


class HasJob(Protocol):
    """A widget's state."""

    job: JobState


@dataclass(frozen=True)
class Hooks:
    """What a widget does in the course of a job; all are called in the GUI thread.

    Attributes
    ----------
    event
        For every event; an error of ours that it raises ends the job.
    refresh
        A few times a second if there were events, and once at the end.
    result
        Takes the work's result, returns the last sentence for the user.
    cancelled
        Returns the last sentence for the user.
    failed
        Tidies up after an error.
    """

    event: Callable[[Event], None]
    refresh: Callable[[], None]
    result: Callable[[Any], str]
    cancelled: Callable[[], str]
    failed: Callable[[], None]


class Runner(QObject):
    """Runs jobs and keeps ``state.job`` up to date."""

    ended = Signal()  # a job has ended, in whatever way; the state is idle again

    def __init__(self, state: HasJob, parent: QObject) -> None:
        super().__init__(parent)
        self._state = state
        self._job: Job | None = None
        self._hooks: Hooks | None = None
        self._title = self._trouble = ""
        self._dirty = False
        self._rested = 0.0  # when what grows may be shown again
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH)
        self._timer.timeout.connect(self._on_tick)

    def start(self, title: str, work: Work[Any], hooks: Hooks) -> None:
        """Start `work` unless a job runs already; `title` is a noun phrase such as "segmentation of T1"."""
        if self._job is not None:
            return
        self._title, self._hooks, self._dirty, self._trouble, self._rested = title, hooks, False, "", 0.0
        self._state.job = JobState().start("Preparing")
        self._timer.start()
        self._job = start_job(
            title,
            work,
            on_event=self._on_event,
            on_result=self._on_result,
            on_error=self._on_error,
            on_abort=self._on_abort,
            on_finish=self._on_finish,
        )

    def cancel(self) -> None:
        """Stop after the event in progress."""
        if self._job is not None:
            self._job.quit()
            self._state.job = self._state.job.stop()

    def refuse(self, sentence: str) -> None:
        """Say why nothing was started, or what else is in the way while a job runs."""
        if self._job is not None:
            show_error(sentence)
            return
        self._state.job = JobState().end(sentence, failed=True)

    def _on_tick(self) -> None:
        if time.monotonic() >= self._rested:
            self._refresh()

    def _refresh(self) -> None:
        if self._dirty and self._hooks is not None:
            self._dirty = False
            began = time.monotonic()
            self._hooks.refresh()
            now = time.monotonic()
            self._rested = now + _REST * (now - began)

    def _on_event(self, event: Event) -> None:
        if self._hooks is None:
            return
        try:
            self._hooks.event(event)
        except ScseError as error:  # every further event would find it so
            self._give_up(error)
            return
        self._dirty = True
        self._state.job = self._state.job.apply(event, time.monotonic())

    def _give_up(self, error: Exception) -> None:
        """Stop the job, as the window cannot take what it tells."""
        hooks, self._hooks = self._hooks, None
        if hooks is not None:
            hooks.failed()
        self.cancel()
        self._trouble = explain(error, self._title)
        show_error(self._trouble)

    def _on_result(self, result: Any) -> None:
        if self._hooks is not None:
            self._refresh()
            self._state.job = self._state.job.end(self._hooks.result(result))

    def _on_abort(self) -> None:
        if self._hooks is not None:
            self._refresh()
            self._state.job = self._state.job.end(self._hooks.cancelled())

    def _on_error(self, error: Exception) -> None:
        sentence = explain(error, self._title)
        if self._hooks is not None:
            self._refresh()
            self._hooks.failed()
        self._state.job = self._state.job.end(sentence, failed=True)
        show_error(sentence)

    def _on_finish(self) -> None:
        self._timer.stop()
        self._job = self._hooks = None
        if self._state.job.is_busy:  # stopped between its last event and its return, or given up
            self._state.job = self._state.job.end(self._trouble, failed=bool(self._trouble))
        self.ended.emit()
