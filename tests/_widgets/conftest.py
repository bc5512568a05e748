"""Fixtures for the dock widgets: a viewer with public access only, tiny runs, and a guard against leaked widgets."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtWidgets import QApplication, QWidget

from napari_scse._napari.layers import Grid, volume_layer
from napari_scse._widgets.cards import RunCard
from napari_scse._widgets.explore.widget import ExploreWidget
from napari_scse._widgets.jobs import Job
from napari_scse._widgets.segment.widget import SegmentWidget
from napari_scse.runs import BUNDLED, Run, user_runs
from napari_scse.volume import Volume

LIA = np.array([[-1.0, 0, 0, 15], [0, 0, 1.2, -14], [0, -0.9, 0, 10], [0, 0, 0, 1]])
TIMEOUT = 60_000  # ms; on a busy machine a few slices can take seconds


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's runs, cache and settings out of the tests."""
    for name in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))


@pytest.fixture(autouse=True)
def _no_leaks(_own_home: None, qapp: QApplication, request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail if a test that passed leaves a window, a dock widget or a running job behind."""
    before = set(QApplication.topLevelWidgets())
    yield
    Job.await_workers(TIMEOUT)
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    qapp.processEvents()
    if list(_made):
        gc.collect()
    if request.node.rep_call.failed:  # its traceback holds on to everything
        _made.clear()
        return
    left = [w for w in set(QApplication.topLevelWidgets()) - before if not _is_napari(w)]
    assert not left
    assert not list(_made)
    assert not Job._worker_set


def _is_napari(widget: QWidget) -> bool:
    """napari and vispy keep some hidden windows of their own."""
    return not type(widget).__module__.startswith("napari_scse")


_made: WeakSet[QWidget] = WeakSet()


@pytest.fixture
def viewer(make_napari_viewer_proxy: Callable[..., Any]) -> Any:
    """A viewer that plugins see: public names only, main thread only."""
    return make_napari_viewer_proxy()


@pytest.fixture
def head(scan: Volume) -> Volume:
    """The scan of conftest, upright in LIA order: napari shows it without a warning."""
    return Volume(scan.data, LIA)


@pytest.fixture
def layer(viewer: Any, head: Volume) -> Any:
    """`head` as a layer of the viewer."""
    data, keywords, _ = volume_layer(head, "head")
    return viewer.add_image(data, **keywords)


@pytest.fixture
def runs(tiny_run: Callable[..., Run]) -> list[Run]:
    """Four runs that are found by name, one of them without a spatial gate."""
    kinds = (("tiny-scse", "scse"), ("tiny-sse", "sse"), ("tiny-cse", "cse"))
    made = [tiny_run(name=name, excitation=se, folder=user_runs()) for name, se in kinds]
    return [*made, tiny_run(name="tiny-unet", kind="u-net", excitation="none", epochs=1, folder=user_runs())]


@pytest.fixture
def dock(viewer: Any, runs: list[Run], qtbot: QtBot) -> Callable[..., Any]:  # noqa: ARG001 - they are installed
    """Dock a widget and wait until it has listed the runs: ``dock(SegmentWidget, "tiny-sse")`` chooses one."""

    def make(kind: type[SegmentWidget] | type[ExploreWidget], name: str = "tiny-sse", where: Any = viewer) -> Any:
        widget = kind(where)
        _made.add(widget)
        where.window.add_dock_widget(widget, name=kind.__name__)
        if not widget.state.catalogue.listed:
            with qtbot.waitSignal(widget.runs.listed, timeout=TIMEOUT):
                pass
        cards = {card.name: card for card in widget.state.catalogue.cards if not _is_bundled(card)}
        widget.state.catalogue = replace(widget.state.catalogue, cards=tuple(cards.values()))
        widget.state.choose(cards[name])
        return widget

    return make


@pytest.fixture
def place(viewer: Any) -> Callable[..., Any]:
    """Dock a widget that needs no runs: ``place(NumbersWidget)``, in another viewer ``place(NumbersWidget, other)``."""

    def make(kind: type[QWidget], where: Any = viewer) -> Any:
        widget = kind(where)
        _made.add(widget)
        where.window.add_dock_widget(widget, name=kind.__name__)
        return widget

    return make


@pytest.fixture
def long(viewer: Any, tiny_run: Callable[..., Run], dock: Callable[..., Any]) -> Callable[..., Any]:
    """Dock a widget with work that takes a while: many slices, a larger network."""
    tiny_run(name="slow", folder=user_runs(), maps=24, depth=3, canvas=(64, 64), epochs=2)
    data = np.random.default_rng(0).normal(100, 30, (40, 36, 90)).astype(np.float32)
    grid = Grid.of(Volume(data, np.array([[-1.0, 0, 0, 15], [0, 0, 1, -14], [0, -1, 0, 10], [0, 0, 0, 1]])))
    viewer.add_image(grid.show(data), name="long", metadata=grid.to_metadata(), **grid.transforms())
    return partial(dock, name="slow")


def _is_bundled(card: RunCard) -> bool:
    return card.path.parent == BUNDLED


@pytest.fixture
def finish(qtbot: QtBot) -> Callable[..., None]:
    """Press Run and wait until the job has ended."""

    def run(widget: Any) -> None:
        with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
            widget.panel.run.click()

    return run
