"""Long work in a thread: a plain generator of events, iterated so that it can always be stopped and always is closed.

napari's own generator workers lose a `RuntimeError` (every error of torch is one), never close the generator on quit,
and so leave a widget "running" for ever. `Job` passes every error on, closes the generator in its own thread, and
hands its return value over. Started by napari's `create_worker`, it is on napari's list of running tasks: closing the
window asks first, and then stops it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from typing import Any, TypeVar

from napari.qt.threading import WorkerBase, WorkerBaseSignals, create_worker
from qtpy.QtCore import Signal

from napari_scse.errors import ScseError
from napari_scse.events import Event

Result = TypeVar("Result")
Work = Callable[[], Generator[Event, None, Result]]

_log = logging.getLogger(__name__)


class JobSignals(WorkerBaseSignals):
    """Signals of a job; `started`, `errored` and `finished` are inherited.

    `returned` is never told when a stop was asked for, not even of work that came to its end: `completed` always is.
    """

    yielded = Signal(object)  # every event
    completed = Signal(object)  # what the generator returned
    aborted = Signal()  # the work was stopped before its end


class Job(WorkerBase):
    """Iterates `work()` in a thread of Qt's pool; `quit` stops it after the event in progress."""

    def __init__(self, title: str, work: Work[Any]) -> None:
        super().__init__(SignalsClass=JobSignals)
        self.title = title
        self._work: Work[Any] | None = work

    def run(self) -> None:
        """Run in the thread; once the application is closing there are no signals left to tell anybody."""
        with suppress(RuntimeError):  # errors of the work itself have been handed over already
            super().run()

    def work(self) -> None:
        """Run in the thread: emit every event, and what the generator returns."""
        make, self._work = self._work, None  # napari keeps finished tasks: keep no volume alive with them
        if make is None:
            return
        with closing(make()) as events:
            while not self.abort_requested:
                try:
                    event = next(events)
                except StopIteration as stop:
                    self.completed.emit(stop.value)
                    return
                self.yielded.emit(event)
        self.aborted.emit()


def start_job(
    title: str,
    work: Work[Result],
    *,
    on_result: Callable[[Result], None],
    on_error: Callable[[Exception], None],
    on_event: Callable[[Event], None] | None = None,
    on_abort: Callable[[], None] | None = None,
    on_finish: Callable[[], None] | None = None,
    shown: bool = True,
) -> Job:
    """Start `work` in a thread; the functions are called in the GUI thread, `on_finish` last and in every case.

    Parameters
    ----------
    title
        A noun phrase, such as "segmentation of T1": napari names the task by it.
    work
        Makes the generator; it is called in the thread.
    shown
        Whether napari shows it among its activities.
    """
    connections: dict[str, Any] = {
        "completed": on_result,
        "errored": on_error,
        "yielded": on_event,
        "aborted": on_abort,
        "finished": on_finish,
    }
    job: Job = create_worker(
        title,
        work,
        _worker_class=Job,
        _start_thread=False,
        _connect={name: slot for name, slot in connections.items() if slot is not None},
        _progress={"desc": title} if shown else None,
    )
    job.start()
    return job


def explain(error: Exception, title: str) -> str:
    """Turn an error into a sentence for the user; what is no error of ours goes to the log in full."""
    if isinstance(error, ScseError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory for this. Close other programs, or choose less at once."
    _log.error("%s failed", title, exc_info=error)
    first = str(error).strip().splitlines()[:1]
    detail = f"{type(error).__name__}: {first[0][:160]}" if first else type(error).__name__
    return f"Something unexpected stopped the {title} ({detail}). The log has the details; please report them."
