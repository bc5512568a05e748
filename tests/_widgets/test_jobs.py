"""A job passes every event, every error and its result on, closes its generator, and can always be stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from napari_scse._widgets.jobs import Job, explain, start_job
from napari_scse.errors import InputError
from napari_scse.events import Event, Message

SECONDS = 30


class Log:
    """What a job told, in order."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.thread: int | None = None

    def start(self, work: Callable[[], Generator[Event, None, Any]]) -> Job:
        return start_job(
            "counting",
            work,
            on_event=lambda event: self.told.append(event.text),
            on_result=lambda result: self.told.append(("result", result)),
            on_error=lambda error: self.told.append(("error", error)),
            on_abort=lambda: self.told.append("aborted"),
            on_finish=self.finish,
        )

    def finish(self) -> None:
        self.thread = threading.get_ident()
        self.told.append("finished")


@pytest.fixture
def log() -> Log:
    return Log()


def test_events_and_result_come_in_order_in_the_gui_thread(qtbot: QtBot, log: Log) -> None:
    def work() -> Generator[Event, None, int]:
        assert threading.get_ident() != gui
        for word in ("one", "two", "three"):
            yield Message(word)
        return 3

    gui = threading.get_ident()
    log.start(work)
    qtbot.waitUntil(lambda: "finished" in log.told, timeout=SECONDS * 1000)
    assert log.told == ["one", "two", "three", ("result", 3), "finished"]
    assert log.thread == gui


def test_work_that_ends_though_it_should_stop_hands_over_its_result(qtbot: QtBot, log: Log) -> None:
    """A stop is asked for during the last step: what is finished is finished."""
    last, stopped = threading.Event(), threading.Event()

    def work() -> Generator[Event, None, int]:
        yield Message("last event")
        last.set()
        assert stopped.wait(SECONDS)
        return 3

    job = log.start(work)
    qtbot.waitUntil(last.is_set, timeout=SECONDS * 1000)
    job.quit()
    stopped.set()
    qtbot.waitUntil(lambda: "finished" in log.told, timeout=SECONDS * 1000)
    assert log.told == ["last event", ("result", 3), "finished"]


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), InputError("no"), MemoryError(), KeyError("x")])
@pytest.mark.parametrize("at_once", [False, True])
def test_no_error_is_lost(qtbot: QtBot, log: Log, error: Exception, at_once: bool) -> None:
    closed = threading.Event()

    def work() -> Generator[Event, None, None]:
        try:
            if not at_once:
                yield Message("started")
            raise error
        finally:
            closed.set()

    log.start(work)
    qtbot.waitUntil(lambda: "finished" in log.told, timeout=SECONDS * 1000)
    assert log.told[-2:] == [("error", error), "finished"]
    assert closed.is_set()


def test_quit_closes_the_generator_in_its_own_thread(qtbot: QtBot, log: Log) -> None:
    threads: list[int] = []
    stopped = threading.Event()

    def work() -> Generator[Event, None, None]:
        threads.append(threading.get_ident())
        try:
            while True:
                yield Message("more")
                stopped.wait(0.001)
        finally:
            threads.append(threading.get_ident())

    job = log.start(work)
    qtbot.waitUntil(lambda: "more" in log.told, timeout=SECONDS * 1000)
    job.quit()
    qtbot.waitUntil(lambda: "finished" in log.told, timeout=SECONDS * 1000)
    assert log.told[-2:] == ["aborted", "finished"]
    assert threads[0] == threads[1] != threading.get_ident()


def test_a_job_that_ended_keeps_nothing_alive(qtbot: QtBot, log: Log) -> None:
    def work() -> Generator[Event, None, None]:
        yield Message("one")

    job = log.start(work)
    qtbot.waitUntil(lambda: "finished" in log.told, timeout=SECONDS * 1000)
    assert job._work is None


def test_napari_knows_the_task_and_can_stop_it(viewer: Any, qtbot: QtBot, log: Log) -> None:
    go = threading.Event()

    def work() -> Generator[Event, None, None]:
        while not go.is_set():
            yield Message("more")
            go.wait(0.001)

    log.start(work)
    qtbot.waitUntil(lambda: "more" in log.told, timeout=SECONDS * 1000)
    tasks = viewer.__wrapped__.window._task_status_manager
    assert any("counting" in text for text in tasks.get_status())
    tasks.cancel_all()  # what closing the window does
    qtbot.waitUntil(lambda: "finished" in log.told, timeout=SECONDS * 1000)
    assert not tasks.is_busy()


def test_errors_become_sentences(caplog: pytest.LogCaptureFixture) -> None:
    assert explain(InputError("Say which."), "counting") == "Say which."
    assert "memory" in explain(MemoryError(), "counting")
    assert not caplog.records
    text = explain(RuntimeError("mat1 and mat2\nshapes"), "counting")
    assert "counting" in text
    assert "mat1 and mat2" in text
    assert "\n" not in text
    assert explain(RuntimeError(), "counting")
    assert len(caplog.records) == 2
