"""Runs that are not here yet, in the widgets: listed below the others, asked about, fetched, chosen; or a sentence."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from napari_scse._widgets import choices
from napari_scse._widgets.cards import RunCard
from napari_scse._widgets.explore.widget import ExploreWidget
from napari_scse._widgets.segment.widget import SegmentWidget
from napari_scse.runs import RegisteredRun, Run, fetched_runs, user_runs
from napari_scse.runs.publishing import copy_assets, register_runs
from napari_scse.settings import MODELS_VARIABLE

Dock = Callable[..., Any]
TIMEOUT = 60_000


@pytest.fixture
def far(publish: Callable[..., RegisteredRun]) -> RegisteredRun:
    """A published run that is not here."""
    return publish(excitation="sse", epochs=2)


@pytest.fixture
def models(far: RegisteredRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that `far` is fetched from."""
    assert far.name == "far"
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "models"))
    return tmp_path / "models"


def pick(widget: Any, name: str) -> None:
    """Pick a run that is to be fetched."""
    (row,) = [row for row, choice in enumerate(widget.runs.box.choices) if choice.text.startswith(f"{name}  –  fetch")]
    widget.runs.box.setCurrentIndex(row)


def said(widget: Any) -> str:
    """What the panel below the runs says."""
    message = widget.runs.fetching.panel.message
    return message.text() if not widget.runs.fetching.isHidden() and not message.isHidden() else ""


def test_networks_that_can_be_fetched_say_so(far: RegisteredRun, runs: list[Run]) -> None:
    cards = tuple(RunCard.of(run) for run in runs)
    (network,) = (c for c in choices.network_choices(cards, [replace(far, network="sd-net")]) if c.value == "sd-net")
    assert network.reason == "to be fetched"
    assert "end of the list" in network.tooltip
    variants = {c.value: c.reason for c in choices.excitation_choices(cards, "u-net", [replace(far, network="u-net")])}
    assert variants == {"none": "", "cse": "no run", "sse": "to be fetched", "scse": "no run"}


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("kind", [SegmentWidget, ExploreWidget])
def test_a_run_is_fetched_and_chosen(
    kind: type[SegmentWidget] | type[ExploreWidget], far: RegisteredRun, models: Path, dock: Dock, qtbot: QtBot
) -> None:
    widget = dock(kind)
    box, panel = widget.runs.box, widget.runs.fetching.panel
    choice = box.choices[-1]
    assert choice.text == f"far  –  fetch · {far.megabytes}"
    assert far.megabytes in choice.tooltip
    assert far.description in choice.tooltip
    assert widget.runs.fetching.isHidden()
    pick(widget, "far")
    assert (widget.state.card.name, box.currentText()) == ("tiny-sse", "tiny-sse")  # nothing is chosen yet
    assert said(widget) == f"Fetch far, {far.megabytes}, from {models}?"
    assert not panel.run.isHidden()
    with qtbot.waitSignal(widget.runs.fetching.runner.ended, timeout=TIMEOUT):
        panel.run.click()
    assert widget.state.card.path == fetched_runs() / "far"
    assert (box.currentText(), widget.state.card.epochs) == ("far", (1, 2))
    assert widget.runs.fetching.isHidden()
    assert not [choice for choice in box.choices if "fetch" in choice.text]


@pytest.mark.usefixtures("models")
def test_no_is_an_answer(dock: Dock) -> None:
    widget = dock(SegmentWidget)
    pick(widget, "far")
    widget.runs.fetching.panel.cancel.click()
    assert widget.runs.fetching.isHidden()
    assert widget.state.card.name == "tiny-sse"
    assert not fetched_runs().exists()
    pick(widget, "far")  # asks again
    assert "Fetch far" in said(widget)


@pytest.mark.usefixtures("far")
def test_without_an_address_it_says_what_to_do(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    widget = dock(SegmentWidget)
    pick(widget, "far")
    assert f"set {MODELS_VARIABLE}" in said(widget)
    assert widget.runs.fetching.panel.run.isHidden()
    monkeypatch.setenv(MODELS_VARIABLE, "ftp://example.org")
    pick(widget, "far")
    assert "neither" in said(widget)


def test_what_comes_and_is_another_file(models: Path, dock: Dock, qtbot: QtBot) -> None:
    widget = dock(SegmentWidget)
    file = models / "far" / "epoch-0002.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"?")
    pick(widget, "far")
    with qtbot.waitSignal(widget.runs.fetching.runner.ended, timeout=TIMEOUT):
        widget.runs.fetching.panel.run.click()
    assert "SHA-256 differs" in said(widget)
    assert widget.state.card.name == "tiny-sse"
    file.write_bytes(content)
    pick(widget, "far")
    with qtbot.waitSignal(widget.runs.fetching.runner.ended, timeout=TIMEOUT):
        widget.runs.fetching.panel.run.click()
    assert widget.state.card.name == "far"


@pytest.fixture
def slow_server(
    far: RegisteredRun, tmp_path: Path, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[threading.Event]:
    """The address is that of a server that gives the first file, and then waits; the event tells that it does."""
    copy_assets(register_runs(tmp_path / "models"), tmp_path / "models", tmp_path / "assets")
    waits, go_on = threading.Event(), threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            if self.path.endswith("README.md"):
                self.wfile.write((tmp_path / "assets" / self.path[1:]).read_bytes())
            else:
                waits.set()
                go_on.wait(2)

        def log_message(self, *_: object) -> None:
            pass

    assert far.files
    monkeypatch.setenv(MODELS_VARIABLE, serve(Slow))
    yield waits
    go_on.set()


@pytest.mark.parametrize("how", ["cancel", "close the dock"])
def test_a_fetch_is_cancelled(how: str, slow_server: threading.Event, viewer: Any, dock: Dock, qtbot: QtBot) -> None:
    widget = dock(SegmentWidget)
    panel, runner = widget.runs.fetching.panel, widget.runs.fetching.runner
    pick(widget, "far")
    panel.run.click()
    qtbot.waitUntil(lambda: slow_server.is_set() and "kB fetched" in panel.count.text(), timeout=TIMEOUT)
    assert not panel.bar.isHidden()
    assert panel.run.isHidden()
    assert widget.panel.run.isHidden() is False  # the widget itself is not busy
    pick(widget, "far")  # one at a time
    with qtbot.waitSignal(runner.ended, timeout=TIMEOUT):
        if how == "cancel":
            panel.cancel.click()
            assert said(widget) == "Stopping …"
        else:
            viewer.window.remove_dock_widget(widget)
    if how == "cancel":
        assert widget.runs.fetching.isHidden()
        assert widget.state.card.name == "tiny-sse"
    assert sorted(path.name for path in fetched_runs().rglob("*")) == ["README.md", "far"]  # whole, for the next time


def test_a_run_without_spatial_gates_is_closed_in_explore(publish: Callable[..., RegisteredRun], dock: Dock) -> None:
    publish(name="blind", excitation="cse", epochs=1)
    (choice,) = [choice for choice in dock(ExploreWidget).runs.box.choices if choice.text == "blind"]
    assert choice.reason == "cSE: no spatial gates"


def test_a_run_is_installed_from_a_file(
    publish: Callable[..., RegisteredRun], dock: Dock, qtbot: QtBot, tiny_run: Callable[..., Run], tmp_path: Path
) -> None:
    assert publish is not None
    run = tiny_run(name="mailed", epochs=1)
    archive = tmp_path / "mailed.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in run.path.iterdir():
            file.write(path, path.name)
    widget = dock(SegmentWidget)
    assert [action.text() for action in widget.runs.button.menu().actions()] == [
        "Open the folder of a run…",
        "Install from file…",
    ]
    with qtbot.waitSignals([widget.runs.opened, widget.runs.fetching.runner.ended], timeout=TIMEOUT):
        widget.runs.fetching.install(archive)
    assert widget.state.card.path == user_runs() / "mailed"
    with qtbot.waitSignal(widget.runs.fetching.runner.ended, timeout=TIMEOUT):
        widget.runs.fetching.install(archive)
    assert "already" in said(widget)
