"""Strokes are kept: shown, locked, journalled, offered after a crash, and asked about when the window closes."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.settings import get_settings
from napari.utils.notifications import notification_manager
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QFileDialog, QMainWindow, QMessageBox, QWidget

from napari_scse._napari.edits import Edits
from napari_scse._napari.labels import label_volume_layer
from napari_scse._napari.lost_layers import laid_out, layer_of, subject_of
from napari_scse._widgets.segment import safekeeping
from napari_scse._widgets.segment.lock_bar import LockBar
from napari_scse._widgets.segment.safekeeping import Safekeeper
from napari_scse.images import read_labels
from napari_scse.journal import Journal, Lost, Restored, find_lost, journals_folder
from napari_scse.volume import LabelVolume

LIA = np.array([[-1.0, 0, 0, 15], [0, 0, 1.2, -14], [0, -0.9, 0, 10], [0, 0, 0, 1]])
WAIT = 30_000  # ms


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safekeeping, "_EVERY", 50)


@pytest.fixture
def viewer(make_napari_viewer_proxy: Callable[..., Any]) -> Any:
    return make_napari_viewer_proxy(show=True)


@pytest.fixture
def bar(viewer: Any, qtbot: QtBot) -> LockBar:
    bar = LockBar(viewer)
    viewer.window.add_dock_widget(bar, name="locks")
    qtbot.waitUntil(bar.isVisible)
    return bar


@pytest.fixture
def labels(viewer: Any) -> Any:
    """Labels on an oblique grid, in the layer's own order of axes."""
    data = np.random.default_rng(0).choice(np.array([0, 2, 41], np.uint8), (9, 12, 10))
    shown, keywords, _ = label_volume_layer(LabelVolume(data, LIA), "labels")
    layer = viewer.add_labels(shown, **keywords)
    viewer.layers.selection.active = layer
    return layer


def window_of(widget: QWidget) -> QMainWindow:
    window = widget.window()
    assert isinstance(window, QMainWindow)
    window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)  # the fixture closes it as well
    return window


def keeper_of(bar: LockBar) -> Safekeeper:
    keeper = Safekeeper.of(bar, None)
    assert keeper is not None
    return keeper


def journals() -> list[Path]:
    return sorted(journals_folder().glob("[0-9]*"))


def kept(folder: Path, labels: Any) -> bool:
    """Whether the journal in `folder` holds what the layer shows."""
    if not (folder / "edits.log").exists():
        return False
    back = Lost(folder, subject_of(labels)).restore()
    painted = laid_out(labels, Edits.of(labels).painted)
    return bool((back.labels == laid_out(labels, labels.data)).all() and (back.painted == painted).all())


def paint(labels: Any, *points: tuple[int, ...]) -> None:
    labels.brush_size = 3
    with labels.block_history():
        for point in points:
            labels.paint(point, 7)


def test_without_labels_the_bar_only_says_what_it_is_for(bar: LockBar) -> None:
    assert "is kept when" in bar.text.text()
    assert not any(button.isEnabled() for button in (bar.show_locked, bar.lock, bar.free, bar.free_all))


def test_the_bar_says_and_changes_what_is_kept(bar: LockBar, labels: Any, qtbot: QtBot) -> None:
    assert "is kept" in bar.text.text()
    assert not bar.free_all.isEnabled()
    paint(labels, (3, 4, 5))
    count = int(Edits.of(labels).painted.sum())
    qtbot.waitUntil(lambda: bar.text.text() == f"{count} voxels painted by you are kept.", timeout=WAIT)
    labels.selected_label = 41
    bar.lock.click()
    assert (Edits.of(labels).painted == ((labels.data == 41) | (labels.data == 7))).all()
    bar.free.click()
    assert (Edits.of(labels).painted == (labels.data == 7)).all()
    bar.free_all.click()
    assert not Edits.of(labels).painted.any()
    qtbot.waitUntil(lambda: not bar.free_all.isEnabled(), timeout=WAIT)
    labels.undo()
    assert Edits.of(labels).painted.sum() == count


def test_locks_are_a_layer_that_is_painted_on(viewer: Any, bar: LockBar, labels: Any) -> None:
    paint(labels, (3, 4, 5))
    before = labels.data.copy()
    bar.show_locked.click()
    shown = viewer.layers["labels locked"]
    assert viewer.layers.selection.active == labels  # the brush stays in hand
    assert np.allclose(shown.data_to_world((1, 2, 3)), labels.data_to_world((1, 2, 3)))
    edits = Edits.of(labels)
    assert (shown.data == edits.painted).all()
    paint(labels, (6, 4, 5))
    assert (shown.data == edits.painted).all()
    viewer.layers.selection.active = shown
    assert bar.edits is edits  # not of the outline
    shown.brush_size = 1
    shown.paint((0, 0, 0), 1)
    shown.paint((3, 4, 5), 0)
    assert edits.painted[0, 0, 0]
    assert not edits.painted[3, 4, 5]
    assert (shown.data == edits.painted).all()
    shown.undo()
    shown.undo()
    assert (shown.data == edits.painted).all()
    assert edits.painted[3, 4, 5]
    assert not edits.painted[0, 0, 0]
    shown.redo()
    assert edits.painted[0, 0, 0]
    assert (labels.data == np.where(edits.painted, labels.data, before)).all()
    bar.show_locked.click()
    assert "labels locked" not in viewer.layers
    bar.show_locked.click()
    viewer.layers.remove("labels")
    assert not bar.show_locked.isChecked()
    assert not viewer.layers


def test_the_bar_follows_the_chosen_layer(viewer: Any, bar: LockBar, labels: Any) -> None:
    other = viewer.add_labels(np.zeros((4, 5, 6), np.uint16))
    assert bar.edits is Edits.of(other)
    viewer.layers.selection.active = viewer.add_image(np.zeros((4, 5, 6)))
    assert bar.edits is Edits.of(other)
    lazy = viewer.add_labels(da.zeros((4, 5, 6), dtype=np.uint8))  # may be larger than the memory
    assert bar.edits is Edits.of(other)
    assert Edits.known(lazy) is None
    viewer.layers.remove(other)
    assert bar.edits is None
    viewer.layers.selection.active = labels
    assert bar.edits is Edits.of(labels)


def test_edits_are_journalled_until_they_are_saved(
    viewer: Any, bar: LockBar, labels: Any, qtbot: QtBot, tmp_path: Path
) -> None:
    qtbot.wait(150)
    assert not journals()  # nothing is painted
    paint(labels, (3, 4, 5))
    qtbot.waitUntil(lambda: bool(journals()) and kept(journals()[0], labels), timeout=WAIT)
    Edits.of(labels).write(2, 99)  # ours go with them
    labels.undo()
    qtbot.waitUntil(lambda: kept(journals()[0], labels), timeout=WAIT)
    assert len(journals()) == 1
    assert not find_lost()  # this process lives
    assert not bar.recovery.isVisible()
    viewer.layers.selection = {labels}
    assert viewer.layers.save(str(tmp_path / "labels.nii.gz"), selected=True)
    assert not Edits.of(labels).is_unsaved
    qtbot.waitUntil(lambda: not journals(), timeout=WAIT)
    paint(labels, (5, 4, 5))
    qtbot.waitUntil(lambda: bool(journals()) and kept(journals()[0], labels), timeout=WAIT)
    keeper_of(bar).forget()


def test_nothing_of_a_removed_layer_stays_in_memory(viewer: Any, bar: LockBar, qtbot: QtBot) -> None:
    for n in range(3):
        layer = viewer.add_labels(np.zeros((9, 12, 10), np.uint8), name=f"labels {n}")
        paint(layer, (3, 4, 5))
        qtbot.waitUntil(lambda n=n: len(journals()) == n + 1, timeout=WAIT)
        viewer.layers.remove(layer)
        qtbot.waitUntil(lambda n=n: len(bar.recovery.offers) == n + 1, timeout=WAIT)
        del layer
    gc.collect()
    alive = [thing for thing in gc.get_objects() if type(thing) is Journal]
    assert not alive  # it holds two arrays of the layer's size


def test_a_layer_that_is_removed_is_offered_again(viewer: Any, bar: LockBar, labels: Any, qtbot: QtBot) -> None:
    paint(labels, (3, 4, 5))
    data, painted, features = labels.data.copy(), Edits.of(labels).painted.copy(), labels.features.copy()
    world = labels.data_to_world((1, 2, 3))
    color = labels.get_color(41)
    qtbot.waitUntil(lambda: bool(journals()) and kept(journals()[0], labels), timeout=WAIT)
    viewer.layers.remove(labels)
    qtbot.waitUntil(lambda: bar.recovery.isVisible(), timeout=WAIT)
    ((folder, offer),) = bar.recovery.offers.items()
    assert offer.text.text().startswith("Unsaved edits of “labels” from ")
    with qtbot.waitSignal(bar.recovery.restored, timeout=WAIT):
        offer.restore.click()
    assert not bar.recovery.isVisible()
    again = viewer.layers["labels"]
    assert (again.data == data).all()
    assert (Edits.of(again).painted == painted).all()
    assert again.features.equals(features)
    assert np.allclose(again.data_to_world((1, 2, 3)), world)
    assert np.allclose(again.get_color(41), color)
    assert Edits.of(again).is_unsaved
    qtbot.waitUntil(lambda: not folder.exists() and len(journals()) == 1, timeout=WAIT)  # there is a new one
    viewer.layers.remove(again)
    qtbot.waitUntil(lambda: bar.recovery.isVisible(), timeout=WAIT)
    next(iter(bar.recovery.offers.values())).discard.click()
    assert not journals()


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[QMessageBox.StandardButton]]:
    """What is pressed in the questions to come; napari asks nothing of its own."""
    monkeypatch.setattr(get_settings().application, "confirm_close_window", False)
    wanted: list[QMessageBox.StandardButton] = []
    timer = QTimer()

    def press() -> None:
        box = QApplication.activeModalWidget()
        if isinstance(box, QMessageBox):
            assert "“labels” is not saved" in box.text()
            box.button(wanted.pop(0)).click()

    timer.timeout.connect(press)
    timer.start(20)
    yield wanted
    timer.stop()
    assert not wanted


def test_cancel_leaves_the_window_open(
    bar: LockBar, labels: Any, answers: list[QMessageBox.StandardButton], qtbot: QtBot
) -> None:
    window = window_of(bar)
    paint(labels, (3, 4, 5))
    answers.append(QMessageBox.StandardButton.Cancel)
    assert not window.close()
    assert window.isVisible()
    qtbot.waitUntil(lambda: bool(journals()), timeout=WAIT)
    keeper_of(bar).forget()
    assert not journals()


def test_a_layer_whose_type_was_converted_is_kept_on(viewer: Any, bar: LockBar, labels: Any, qtbot: QtBot) -> None:
    """napari's "Convert data type" lets larger values in."""
    keeper = keeper_of(bar)
    paint(labels, (3, 3, 3))
    keeper.keep(wait=True)
    labels.data = np.asarray(labels.data).astype(np.int32)
    labels.paint((5, 5, 5), 300)
    with qtbot.waitSignal(keeper.dropped, timeout=WAIT) as dropped:
        viewer.layers.remove(labels)
    (journal,) = journals()
    assert dropped.args[0].folder == journal
    restored = dropped.args[0].restore()
    assert restored.labels.dtype == np.int32
    assert {7, 300} <= set(np.unique(restored.labels[restored.painted]).tolist())


def test_discard_closes_and_forgets(
    bar: LockBar, labels: Any, answers: list[QMessageBox.StandardButton], qtbot: QtBot
) -> None:
    window = window_of(bar)
    paint(labels, (3, 4, 5))
    qtbot.waitUntil(lambda: bool(journals()), timeout=WAIT)
    answers.append(QMessageBox.StandardButton.Discard)
    assert window.close()
    assert not window.isVisible()
    assert not journals()


def test_discard_forgets_what_the_question_names_only(
    viewer: Any, bar: LockBar, labels: Any, answers: list[QMessageBox.StandardButton], qtbot: QtBot
) -> None:
    window = window_of(bar)
    paint(labels, (3, 4, 5))
    removed = [viewer.add_labels(np.zeros((9, 12, 10), np.uint8), name=name) for name in ("removed", "just now")]
    for layer in removed:
        paint(layer, (3, 4, 5))
    qtbot.waitUntil(lambda: len(journals()) == 3, timeout=WAIT)
    viewer.layers.remove(removed[0])
    qtbot.waitUntil(lambda: len(bar.recovery.offers) == 1, timeout=WAIT)
    viewer.layers.remove(removed[1])
    answers.append(QMessageBox.StandardButton.Discard)
    assert window.close()
    assert [folder.name for folder in journals()] == sorted(folder.name for folder in bar.recovery.offers)
    assert len(journals()) == 2


def test_save_asks_for_a_name_and_closes(
    bar: LockBar,
    labels: Any,
    answers: list[QMessageBox.StandardButton],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = window_of(bar)
    paint(labels, (3, 4, 5))
    target = tmp_path / "out.nii.gz"
    paths = ["", str(target)]
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (paths.pop(0), ""))  # the system's own window
    answers += [QMessageBox.StandardButton.Save, QMessageBox.StandardButton.Save]
    assert not window.close()  # no name was given
    assert window.close()
    saved = read_labels(target)
    assert np.allclose(saved.affine, LIA)
    assert np.count_nonzero(saved.data == 7) == np.count_nonzero(labels.data == 7)
    assert not journals()


def test_a_program_that_closes_its_viewer_is_not_asked(viewer: Any, bar: LockBar, labels: Any, qtbot: QtBot) -> None:
    window = window_of(bar)
    paint(labels, (3, 4, 5))
    qtbot.waitUntil(lambda: bool(journals()), timeout=WAIT)
    paint(labels, (6, 4, 5))
    data, painted = labels.data.copy(), Edits.of(labels).painted.copy()
    subject = subject_of(labels)
    viewer.close()
    assert not window.isVisible()
    (folder,) = journals()  # but nothing is lost
    back = layer_of(subject, Lost(folder, subject).restore())
    assert (back.data == data).all()
    assert (Edits.of(back).painted == painted).all()


@pytest.mark.parametrize("shape", [(8, 9), (5, 6, 7), (2, 3, 4, 5)])
def test_a_described_layer_is_made_again(viewer: Any, shape: tuple[int, ...]) -> None:
    data = np.random.default_rng(1).integers(0, 1000, shape[::-1]).astype(np.uint16).T
    layer = viewer.add_labels(data, scale=np.arange(1, len(shape) + 1), translate=[3.5] * len(shape), name="x")
    edits = Edits.of(layer)
    layer.brush_size = 2
    layer.paint((1,) * len(shape), 7)
    subject = subject_of(layer, viewer.layers)
    again = layer_of(
        subject, Restored(laid_out(layer, layer.data).copy(), np.ascontiguousarray(laid_out(layer, edits.painted)))
    )
    assert (again.data == layer.data).all()
    assert again.data.strides == layer.data.strides
    assert (Edits.of(again).painted == edits.painted).all()
    assert np.allclose(again.extent.world, layer.extent.world)
    assert again.units == layer.units


_CHILD = """
import time
import napari
import numpy as np
from qtpy.QtCore import Qt, QTimer
from napari_scse._widgets.segment.lock_bar import LockBar
viewer = napari.Viewer()
layer = viewer.add_labels(np.zeros((60, 70, 80), np.uint8).transpose(2, 0, 1), name="painting")
viewer.window.add_dock_widget(LockBar(viewer))
layer.brush_size = 1
count = [0]
def paint():
    layer.paint(np.unravel_index(count[0], layer.data.shape), count[0] % 250 + 1)
    print(count[0], time.time(), flush=True)
    count[0] += 1
timer = QTimer()
timer.timeout.connect(paint)
timer.start(20)
napari.run()
"""


def test_a_killed_viewer_loses_seconds_at_most(viewer: Any, qtbot: QtBot) -> None:
    child = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _CHILD], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert child.stdout is not None
    strokes: list[float] = []
    while not strokes or strokes[-1] - strokes[0] < 7:
        strokes.append(float(child.stdout.readline().split()[1]))
    child.send_signal(signal.SIGKILL)
    killed = time.time()
    strokes += [float(line.split()[1]) for line in child.stdout.read().splitlines() if len(line.split()) == 2]
    child.wait()
    child.stdout.close()
    bar = LockBar(viewer)
    viewer.window.add_dock_widget(bar)
    qtbot.waitUntil(lambda: bar.recovery.isVisible(), timeout=WAIT)
    (offer,) = bar.recovery.offers.values()
    with qtbot.waitSignal(bar.recovery.restored, timeout=WAIT):
        offer.restore.click()
    layer = viewer.layers["painting"]
    back = layer.data.ravel()[: len(strokes)]
    held = np.count_nonzero(back)
    assert (back[:held] == np.arange(held) % 250 + 1).all()
    assert not layer.data.ravel()[held:].any()
    assert np.count_nonzero(Edits.of(layer).painted) in {held, held + 1}
    assert held > 0
    assert held >= len(strokes) or killed - strokes[held] < 10  # seconds
    keeper_of(bar).forget()


def test_a_disk_that_refuses_is_said_once(
    bar: LockBar, labels: Any, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    notification_manager.records.clear()
    paint(labels, (3, 4, 5))
    qtbot.waitUntil(lambda: bool(notification_manager.records), timeout=WAIT)
    assert "Edits cannot be kept in" in notification_manager.records[0].message
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "DATA"))
    qtbot.waitUntil(lambda: bool(journals()) and kept(journals()[0], labels), timeout=WAIT)
    assert len(notification_manager.records) == 1
    keeper_of(bar).forget()
