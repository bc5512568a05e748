"""Train, as its users meet it: from layers or folders, in a process of its own, watched, left, found again."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication

from napari_scse import images
from napari_scse._widgets.explore.widget import ExploreWidget
from napari_scse._widgets.segment.widget import SegmentWidget
from napari_scse._widgets.train.data import FOLDERS, MAPS
from napari_scse._widgets.train.form import DERIVED, ELSEWHERE
from napari_scse._widgets.train.widget import TrainWidget
from napari_scse.nn.config import NetworkConfig
from napari_scse.runs import Run, user_runs
from napari_scse.training import TrainConfig, Training, find_trainings, load_config
from napari_scse.training.process import PROCESS_FILE, Phase
from napari_scse.volume import LabelVolume, Volume

TIMEOUT = 120_000
TINY: dict[str, Any] = {"canvas": (24, 24), "epochs": 2, "slices": 8, "patience": None, "precision": "float32"}


@pytest.fixture(autouse=True)
def _no_orphans(_own_home: None, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot) -> Iterator[None]:
    """One thread for each training, and none goes on after a test."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    for training in find_trainings():
        if training.status.phase.is_alive:
            kill(training)
            qtbot.waitUntil(lambda training=training: not training.status.phase.is_alive, timeout=TIMEOUT)


def kill(training: Training) -> None:
    os.kill(int(json.loads((training.folder / PROCESS_FILE).read_text())["pid"]), signal.SIGKILL)


@pytest.fixture
def train(place: Callable[..., Any], qtbot: QtBot) -> Callable[[], Any]:
    """Dock the widget, wait until its form is there, and fill in a tiny training."""

    def make() -> Any:
        widget = place(TrainWidget)
        if widget.form is None:
            with qtbot.waitSignal(widget.listed, timeout=TIMEOUT):
                pass
        fill(widget, **TINY)
        return widget

    return make


def fill(widget: Any, **values: Any) -> None:
    form = widget.form
    form.network["maps"], form.network["depth"], form.network["kernel"] = 4, 2, (3, 3)
    for name, value in values.items():
        form.training[name] = value


@pytest.fixture
def painted(viewer: Any, layer: Any) -> Any:
    """Labels over the scan: two structures, one of them named."""
    data = np.zeros(layer.data.shape, np.uint8)
    values = np.asarray(layer.data)
    data[values > 40], data[values > 92] = 1, 2
    names = {"index": [0, 2], "name": ["Background", "Core"]}
    return viewer.add_labels(
        data,
        name="painted",
        features=names,
        scale=layer.scale,
        affine=layer.affine,
        units=layer.units,
        axis_labels=layer.axis_labels,
    )


def wait_for(widget: Any, phase: Phase, qtbot: QtBot) -> None:
    qtbot.waitUntil(
        lambda: widget.monitor is not None and widget.monitor.status.phase is phase and widget.monitor.caught_up,
        timeout=TIMEOUT,
    )


def wait_for_epoch(widget: Any, epoch: int, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: widget.monitor is not None and epoch in widget.monitor.history.done, timeout=TIMEOUT)


def press(widget: Any, what: str) -> None:
    button = widget.panel.buttons[what]
    assert button.isEnabled()
    assert not button.isHidden()
    button.click()


def offered(widget: Any) -> set[str]:
    return {what for what, button in widget.panel.buttons.items() if not button.isHidden()}


@pytest.mark.usefixtures("painted")
def test_from_two_open_layers_to_a_run(viewer: Any, head: Volume, train: Callable[[], Any], qtbot: QtBot) -> None:
    widget = train()
    viewer.dims.set_current_step(1, 14)
    assert offered(widget) == {"start"}
    with qtbot.waitSignal(widget.attached, timeout=TIMEOUT):
        press(widget, "start")
    viewer.add_points(np.zeros((1, 4)))  # the epochs' axis begins at 0 from now on
    wait_for(widget, Phase.FINISHED, qtbot)
    run = Run(user_runs() / "my-run")
    assert run.epochs == (1, 2)
    assert [(c.value, c.name) for c in run.config.classes] == [(0, "Background"), (1, "Label 1"), (2, "Core")]
    kept = run.path / "from-layers"
    image, labels = images.read(kept / "images" / "head.nii.gz"), images.read_labels(kept / "labels" / "head.nii.gz")
    np.testing.assert_array_equal(image.data, head.data)
    np.testing.assert_allclose(image.affine, head.affine, atol=1e-5)
    expected = np.where(head.data > 92, 2, np.where(head.data > 40, 1, 0))
    np.testing.assert_array_equal(labels.data, expected)
    assert "Finished" in widget.panel.message.text()
    assert "my-run" in widget.panel.message.text()
    assert offered(widget) == set()
    assert len(widget.curves.loss.getData()[0]) == 4
    item = widget.curves.structures.findItems("Core", Qt.MatchFlag.MatchExactly)[0]
    item.setCheckState(Qt.CheckState.Checked)
    assert widget.curves.chosen == ["Core"]
    assert widget.curves.lines["Core"].getData()[1].tolist() == [
        pytest.approx(m["structures"]["Core"]) for m in run.metrics()
    ]
    qtbot.waitUntil(lambda: widget.watch.preview.screening is not None, timeout=TIMEOUT)
    screening = widget.watch.preview.screening
    qtbot.waitUntil(lambda: screening.film.next(screening.view) is None, timeout=TIMEOUT)
    names = [one.name for one in viewer.layers]
    assert names[-3:] == ["head my-run labels by epoch", "head my-run sE-1", "head my-run sD-2"]
    film, number = screening.film, screening.view.number
    assert screening.view.epoch == 1  # the newest
    assert film.done[:, number].all()
    assert np.isin(film.labels[1, number], (0, 1, 2)).all()


def test_the_form_is_the_configuration(train: Callable[[], Any], pairs: tuple[Path, Path]) -> None:
    widget = train()
    form = widget.form
    fields = set(TrainConfig.__dataclass_fields__) - ELSEWHERE - {"command"}
    assert set(form.training.widgets) == fields
    assert set(form.network.widgets) == set(NetworkConfig.__dataclass_fields__) - DERIVED
    assert all(one.tooltip for one in (*form.training.widgets.values(), *form.network.widgets.values()))
    form.paper.click()
    form.network["depth"], form.network["kernel"] = 4, (5, 5)
    for name in ("canvas", "precision"):
        form.training[name] = TrainConfig.__dataclass_fields__[name].default
    plain = TrainConfig(out=Path("x"), network=NetworkConfig.preset("fc-densenet"))
    assert form.config(Path("x")) == plain
    assert form.training.widgets["weight_decay"].value == "0.0001"
    form.network["kind"] = "sd-net"
    assert form.config(Path("x")).network == NetworkConfig.preset("sd-net")
    form.quick.click()
    assert form.config(Path("x")).epochs == 8
    widget.data.source.setCurrentIndex(1)
    assert widget.data.source.value == FOLDERS
    for name, folder in zip(("images", "labels"), pairs, strict=True):
        widget.data.fields[name] = folder
    assert widget.data.folders() == {"images": pairs[0], "labels": pairs[1]}


@pytest.fixture
def pairs(tmp_path: Path, head: Volume) -> tuple[Path, Path]:
    """Folders of two scans and their labels."""
    folders = tmp_path / "images", tmp_path / "labels"
    labels = np.where(head.data > 92, 2, np.where(head.data > 40, 1, 0)).astype(np.uint8)
    for folder in folders:
        folder.mkdir()
    for name in ("one", "two"):
        images.write(folders[0] / f"{name}.nii.gz", head)
        images.write_labels(folders[1] / f"{name}.nii.gz", LabelVolume(labels, head.affine))
    return folders


def from_folders(widget: Any, pairs: tuple[Path, Path]) -> None:
    widget.data.source.setCurrentIndex(1)
    for name, folder in zip(("images", "labels"), pairs, strict=True):
        widget.data.fields[name] = folder


def test_what_is_wrong_is_said_before_anything_starts(
    train: Callable[[], Any], pairs: tuple[Path, Path], qtbot: QtBot
) -> None:
    widget = train()
    assert "Open a scan" in widget.panel.message.text()
    assert not widget.panel.buttons["start"].isEnabled()
    from_folders(widget, pairs)

    def refused(words: str) -> None:
        press(widget, "start")
        qtbot.waitUntil(lambda: not widget.state.job.is_busy and bool(widget.state.job.message), timeout=TIMEOUT)
        assert words in widget.panel.message.text()
        assert find_trainings() == []
        assert not (user_runs() / "my-run").exists()
        widget.state.job = widget.state.job.end("")

    for name, wrong, words in (
        ("learning_rate", "fast", "Learning rate: a number"),
        ("canvas", "24", "2 numbers"),
        ("validation", "zebra", "no subject called zebra"),
        ("norm_momentum", "3", "norm momentum"),
        ("init", "nobody", "no run called"),
    ):
        right = widget.form.training.widgets[name].value
        widget.form.training.widgets[name].value = wrong
        refused(words)
        widget.form.training.widgets[name].value = right
    for name in ("../outside", "a" * 101):
        widget.name.setText(name)
        refused("A run's name has letters")
    widget.name.setText("my-run")
    (pairs[1] / "two.nii.gz").unlink()
    refused("no partner: two")
    widget.data.source.setCurrentIndex(2)
    assert widget.data.source.value == MAPS
    refused("Choose the folder of label maps")


def test_labels_elsewhere_or_empty_are_refused(viewer: Any, layer: Any, train: Callable[[], Any], qtbot: QtBot) -> None:
    widget = train()
    viewer.add_labels(np.zeros((5, 6, 7), np.uint8), name="small")
    press(widget, "start")
    assert "“small” does not lie on the voxels of “head”" in widget.panel.message.text()
    same = {"scale": layer.scale, "affine": layer.affine, "units": layer.units, "axis_labels": layer.axis_labels}
    empty = viewer.add_labels(np.zeros(layer.data.shape, np.uint8), name="empty", **same)
    widget.data.labels.choose(empty)
    press(widget, "start")
    qtbot.waitUntil(lambda: "“empty” is empty" in widget.panel.message.text(), timeout=TIMEOUT)
    assert not (user_runs() / "my-run").exists()


def test_pause_leave_come_back_stop_resume(
    viewer: Any, train: Callable[[], Any], pairs: tuple[Path, Path], qtbot: QtBot
) -> None:
    widget = train()
    from_folders(widget, pairs)
    fill(widget, slices=400, epochs=3)  # not so short that it ends before it is stopped
    press(widget, "start")
    wait_for_epoch(widget, 1, qtbot)
    assert offered(widget) == {"pause", "stop"}
    assert not widget.note.isHidden()
    press(widget, "pause")
    wait_for(widget, Phase.PAUSED, qtbot)
    assert offered(widget) == {"go_on", "stop"}
    viewer.window.remove_dock_widget(widget)
    again = train()  # as a later viewer would
    assert again.monitor is not None
    wait_for(again, Phase.PAUSED, qtbot)
    assert 1 in again.monitor.history.done
    press(again, "go_on")
    wait_for(again, Phase.RUNNING, qtbot)
    press(again, "stop")
    wait_for(again, Phase.STOPPED, qtbot)
    assert offered(again) == {"resume"}
    assert "Resume goes on" in again.panel.message.text()
    press(again, "resume")
    wait_for(again, Phase.FINISHED, qtbot)
    assert Run(user_runs() / "my-run").epochs == (1, 2, 3)
    assert sorted(again.monitor.history.done) == [1, 2, 3]
    again.copy_command.click()
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    assert "train --config" in clipboard.text()


def test_closing_the_dock_ends_the_playing(viewer: Any, train: Callable[[], Any]) -> None:
    widget = train()
    play = widget.watch.maps_bar.play
    play.setChecked(True)
    viewer.window.remove_dock_widget(widget)
    assert not play.isChecked()


def test_keys_pause_stop_and_resume(train: Callable[[], Any], pairs: tuple[Path, Path], qtbot: QtBot) -> None:
    widget = train()
    from_folders(widget, pairs)
    keys = widget.shortcuts.actions
    for name in ("pause", "stop", "resume"):
        keys[name]()
        assert f"no training to {name} here" in widget.panel.message.text()
    assert {"pause", "stop", "resume", "next_epoch", "play", "labels"} <= set(keys)
    assert not widget.shortcuts.taken
    fill(widget, slices=400, epochs=3)
    press(widget, "start")
    wait_for_epoch(widget, 1, qtbot)
    keys["pause"]()
    wait_for(widget, Phase.PAUSED, qtbot)
    keys["pause"]()  # the same key goes on
    wait_for(widget, Phase.RUNNING, qtbot)
    keys["stop"]()
    wait_for(widget, Phase.STOPPED, qtbot)
    keys["pause"]()
    assert "no training to pause here" in widget.panel.message.text()
    keys["resume"]()
    wait_for(widget, Phase.RUNNING, qtbot)
    keys["stop"]()
    wait_for(widget, Phase.STOPPED, qtbot)
    assert Run(user_runs() / "my-run").epochs[0] == 1


def test_a_killed_training_says_so_and_goes_on(
    train: Callable[[], Any], pairs: tuple[Path, Path], qtbot: QtBot
) -> None:
    widget = train()
    from_folders(widget, pairs)
    fill(widget, slices=400, epochs=2)  # not so short that it ends before it is killed
    press(widget, "start")
    wait_for_epoch(widget, 1, qtbot)
    kill(widget.monitor.training)
    wait_for(widget, Phase.INTERRUPTED, qtbot)
    assert "ended from outside" in widget.panel.message.text()
    press(widget, "resume")
    wait_for(widget, Phase.FINISHED, qtbot)
    assert load_config(user_runs() / "my-run" / "train.json").epochs == 2


def test_a_failing_training_says_why_and_is_removed(
    train: Callable[[], Any], pairs: tuple[Path, Path], head: Volume, qtbot: QtBot
) -> None:
    images.write(pairs[0] / "two.nii.gz", Volume(head.data[:-2], head.affine))
    widget = train()
    from_folders(widget, pairs)
    press(widget, "start")
    wait_for(widget, Phase.FAILED, qtbot)
    assert "grids differ" in widget.panel.message.text()
    assert offered(widget) == {"resume", "discard"}
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        press(widget, "discard")
    assert find_trainings() == []
    assert not (user_runs() / "my-run").exists()
    assert offered(widget) == {"start"}


@pytest.mark.usefixtures("painted")
def test_the_name_of_a_bundled_run_is_taken(viewer: Any, train: Callable[[], Any], qtbot: QtBot) -> None:
    widget = train()
    viewer.dims.set_current_step(1, 14)
    widget.name.setText("brain-t1-densenet-sse")
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        press(widget, "start")
    assert "published already" in widget.panel.message.text()
    assert not (user_runs() / "brain-t1-densenet-sse").exists()


@pytest.mark.usefixtures("painted")
def test_a_folder_of_other_files_stays_as_it_is(viewer: Any, train: Callable[[], Any], qtbot: QtBot) -> None:
    other = user_runs() / "my-run" / "from-layers"
    other.mkdir(parents=True)
    (other.parent / "notes.txt").write_text("mine")
    widget = train()
    viewer.dims.set_current_step(1, 14)
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        press(widget, "start")
    assert "with other files" in widget.panel.message.text()
    assert other.exists()
    assert (other.parent / "notes.txt").read_text() == "mine"


def test_the_new_run_is_in_the_other_docks(
    dock: Callable[..., Any], train: Callable[[], Any], pairs: tuple[Path, Path], qtbot: QtBot
) -> None:
    others = [dock(SegmentWidget, "tiny-scse"), dock(ExploreWidget)]
    before = [other.state.run for other in others]
    widget = train()
    from_folders(widget, pairs)
    press(widget, "start")
    folder = user_runs() / "my-run"
    for other in others:
        qtbot.waitUntil(lambda other=other: other.state.catalogue.card(folder) is not None, timeout=TIMEOUT)
    wait_for(widget, Phase.FINISHED, qtbot)
    for other in others:
        qtbot.waitUntil(lambda other=other: other.state.catalogue.card(folder).epochs == (1, 2), timeout=TIMEOUT)
        assert folder in [choice.value for choice in other.runs.box.choices]
    assert [other.state.run for other in others] == before  # nothing was chosen for the user
