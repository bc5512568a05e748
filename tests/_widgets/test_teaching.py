"""Teach: a run learns what is painted, labels follow, rounds are taken back or kept; Jump goes to doubtful slices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtGui import QGuiApplication

from napari_scse._napari.edits import Edits
from napari_scse._napari.layers import Grid
from napari_scse._napari.view import show_plane
from napari_scse._widgets.choices import run_choices
from napari_scse._widgets.explore.widget import ExploreWidget
from napari_scse._widgets.jobs import Job
from napari_scse._widgets.segment.teaching import free_name
from napari_scse._widgets.segment.widget import SegmentWidget
from napari_scse.events import drain
from napari_scse.inference import segment
from napari_scse.refinement import Strokes, keep, read_strokes, refine
from napari_scse.runs import Run, load_run, user_runs
from napari_scse.slices import Plane
from napari_scse.volume import LabelVolume, Volume

Dock = Callable[..., Any]
Make = Callable[[], Any]
Finish = Callable[..., None]
TIMEOUT = 60_000
WHITE = 2


def paint(layer: Any) -> np.ndarray:
    """Paint white matter on one slice and background on another: the voxels that are painted."""
    for value, place in ((WHITE, np.s_[8:13, 12, 12:18]), (0, np.s_[9:12, 9, 14:17])):
        stroke = np.zeros(layer.data.shape, bool)
        stroke[place] = True
        layer.data_setitem(np.nonzero(stroke), value)
    return Edits.of(layer).painted.copy()


@pytest.fixture
def press(qtbot: QtBot) -> Callable[..., None]:
    """Press a button of the Teach part and wait until the job has ended."""

    def do(widget: Any, name: str) -> None:
        widget.teach.render_strokes()
        with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
            getattr(widget.teach, name).click()

    return do


@pytest.fixture
def labelled(viewer: Any, layer: Any, dock: Dock, finish: Finish) -> Callable[[], Any]:  # noqa: ARG001 - the layer is the scan
    """Make the dock, and run tiny-scse."""

    def make() -> Any:
        show_plane(viewer, Plane.CORONAL)
        widget = dock(SegmentWidget, "tiny-scse")
        finish(widget)
        return widget

    return make


def test_labels_follow_what_is_learnt_and_undo_goes_back_bit_for_bit(
    viewer: Any, labelled: Make, head: Volume, press: Callable[..., None]
) -> None:
    widget = labelled()
    labels = viewer.layers["head labels"]
    assert not widget.teach.learn.isEnabled()
    original = labels.data.copy()
    painted = paint(labels)
    before, grid = labels.data.copy(), Grid.of(head)
    press(widget, "learn")
    assert not widget.state.job.failed, widget.state.job.message
    assert "of what you painted" in widget.panel.message.text()
    assert "voxels changed" in widget.panel.message.text()
    run = load_run("tiny-scse")
    strokes = Strokes(grid.restore(before), grid.restore(painted))
    refined = drain(refine(head, run, strokes))
    assert widget.learning.rounds[0].refined.right_after == pytest.approx(refined.right_after, abs=0.05)
    wanted = drain(segment(head, keep(widget.learning.rounds[0].refined, "other"))).labels.data
    taught = labels.data.copy()
    np.testing.assert_array_equal(taught, np.where(painted, before, grid.show(wanted)))
    assert np.any(taught != before)
    press(widget, "learn")  # a second round goes on from the first
    assert [one.refined.rounds for one in widget.learning.rounds] == [1, 2]
    labels.data_setitem(tuple(np.array([[3], [3], [3]])), 41)  # since
    press(widget, "undo")
    taught[3, 3, 3] = 41
    np.testing.assert_array_equal(labels.data, taught)
    press(widget, "undo")
    before[3, 3, 3] = 41
    np.testing.assert_array_equal(labels.data, before)
    assert not widget.learning.rounds
    assert not widget.teach.undo.isEnabled()
    for _ in range(7):  # two ways back, a stroke, two rounds, two strokes
        labels.undo()
    np.testing.assert_array_equal(labels.data, original)


def test_a_round_is_one_step_of_the_layers_history(viewer: Any, labelled: Make, press: Callable[..., None]) -> None:
    widget = labelled()
    labels = viewer.layers["head labels"]
    paint(labels)
    before = labels.data.copy()
    press(widget, "learn")
    taught = labels.data.copy()
    labels.undo()
    np.testing.assert_array_equal(labels.data, before)
    labels.redo()
    np.testing.assert_array_equal(labels.data, taught)
    labels.undo()
    press(widget, "undo")  # the labels are back already
    np.testing.assert_array_equal(labels.data, before)


def test_run_and_live_use_what_was_learnt_and_another_run_does_not(
    viewer: Any, labelled: Make, head: Volume, press: Callable[..., None], finish: Finish, qtbot: QtBot
) -> None:
    widget, grid = labelled(), Grid.of(head)
    labels = viewer.layers["head labels"]
    paint(labels)
    press(widget, "learn")
    taught = grid.show(drain(segment(head, keep(widget.learning.rounds[0].refined, "other"))).labels.data)
    finish(widget)  # into a new layer
    np.testing.assert_array_equal(viewer.layers["head labels [1]"].data, taught)
    with qtbot.waitSignal(widget.live.caught_up, timeout=TIMEOUT):
        widget.panel.live.click()
    number = viewer.dims.current_step[1]
    np.testing.assert_array_equal(viewer.layers["head labels [1]"].data[:, number], taught[:, number])
    widget.panel.live.click()
    cards = {card.name: card for card in widget.state.catalogue.cards}
    widget.state.choose(cards["tiny-sse"])
    assert not widget.learning.rounds
    finish(widget)
    own = grid.show(drain(segment(head, load_run("tiny-sse"))).labels.data)
    np.testing.assert_array_equal(viewer.layers["head labels [2]"].data, own)
    widget.state.choose(cards["tiny-scse"])
    assert len(widget.learning.rounds) == 1  # nothing was lost


@pytest.mark.parametrize("learning", [True, False])
def test_cancel_in_the_middle_loses_nothing(
    viewer: Any, long: Dock, tiny_run: Callable[..., Run], finish: Finish, qtbot: QtBot, learning: bool
) -> None:
    show_plane(viewer, Plane.CORONAL)
    tiny_run(name="middle", folder=user_runs(), maps=12, canvas=(64, 64), epochs=1)
    widget = long(SegmentWidget, name="middle")
    widget.state.region, widget.state.slab_mm = "slab", 3.0
    finish(widget)
    labels = viewer.layers["long labels"]
    labels.data_setitem(np.nonzero(np.pad(np.ones((6, 2, 6), bool), ((10, 20), (44, 44), (10, 24)))), WHITE)
    before, painted = labels.data.copy(), Edits.of(labels).painted.copy()
    widget.state.region = "whole"
    widget.teach.render_strokes()
    events = widget.state.events.job

    def look(job: Any) -> None:
        at = job.what == "steps learnt" if learning else job.what == "slices labelled" and job.done > 3
        if job.phase == "running" and at:
            events.disconnect(look)
            widget.panel.cancel.click()

    events.connect(look)
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.teach.learn.click()
    assert "Cancelled" in widget.panel.message.text()
    if learning:
        assert not widget.learning.rounds
        np.testing.assert_array_equal(labels.data, before)
        return
    assert len(widget.learning.rounds) == 1
    assert widget.panel.run.text() == "Resume"
    there = np.flatnonzero(np.any(labels.data != before, axis=(0, 2)))
    assert there.size  # from the slice on screen outwards
    assert np.abs(there - 45).max() < 40
    np.testing.assert_array_equal(labels.data[painted], before[painted])
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.shortcuts.actions["reject"]()
    np.testing.assert_array_equal(labels.data, before)


def test_what_is_accepted_is_a_run_in_every_list(
    viewer: Any,
    labelled: Make,
    head: Volume,
    dock: Dock,
    press: Callable[..., None],
    finish: Finish,
    qtbot: QtBot,
) -> None:
    widget, explore = labelled(), dock(ExploreWidget, "tiny-sse")
    paint(viewer.layers["head labels"])
    press(widget, "learn")
    refined = widget.learning.rounds[-1].refined
    assert widget.teach.name.text() == "tiny-scse-taught-1"
    widget.teach.name.setText("not a name!")
    press(widget, "accept")
    assert "A run's name has" in widget.panel.message.text()
    assert len(widget.learning.rounds) == 1
    widget.teach.name.setText("tiny-scse-taught-1")
    with qtbot.waitSignals([widget.runs.opened, explore.runs.renewed], timeout=TIMEOUT):
        press(widget, "accept")
    assert widget.state.card.name == "tiny-scse-taught-1"
    assert "tiny-scse-taught-1" in {card.name for card in explore.state.catalogue.cards}
    assert widget.teach.name.text() == "tiny-scse-taught-2"
    assert not widget.learning.rounds
    run = load_run("tiny-scse-taught-1")
    assert run.config.lineage["parent"]["run"] == "tiny-scse"
    finish(widget)
    wanted = drain(segment(head, keep(refined, "other"))).labels.data
    np.testing.assert_array_equal(viewer.layers[-1].data, Grid.of(head).show(wanted))


def test_a_model_learns_in_the_plane_that_is_shown(
    viewer: Any,
    layer: Any,
    dock: Dock,
    tiny_run: Callable[..., Run],
    finish: Finish,
    press: Callable[..., None],
    qtbot: QtBot,
) -> None:
    for plane in ("coronal", "axial"):
        tiny_run(name=f"both-{plane}", plane=plane, epochs=1, folder=user_runs())
    show_plane(viewer, Plane.AXIAL)
    widget = dock(SegmentWidget, "both")
    finish(widget)
    painted = paint(viewer.layers["head labels"])
    before = viewer.layers["head labels"].data.copy()
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    for plane in (Plane.CORONAL, Plane.SAGITTAL, Plane.AXIAL):  # there is no sagittal run
        show_plane(viewer, plane)
        widget.teach.copy.buttons["command"].click()
        assert f"--run both-{plane if plane is Plane.AXIAL else 'coronal'} " in clipboard.text()
    press(widget, "learn")
    assert not widget.state.job.failed, widget.state.job.message
    assert [one.plane for one in widget.learning.rounds] == [Plane.AXIAL]
    assert widget.learning.rounds[0].refined.run.name == "both-axial"
    np.testing.assert_array_equal(viewer.layers["head labels"].data[painted], before[painted])
    assert layer in viewer.layers
    show_plane(viewer, Plane.CORONAL)
    press(widget, "learn")
    assert [one.plane for one in widget.learning.rounds] == [Plane.AXIAL, Plane.CORONAL]
    widget.teach.name.setText("mine")
    with qtbot.waitSignal(widget.runs.opened, timeout=TIMEOUT):
        press(widget, "accept")
    assert (widget.state.card.name, widget.state.planes) == ("mine", (Plane.CORONAL, Plane.AXIAL))
    qtbot.waitUntil(lambda: len([c for c in widget.state.catalogue.cards if c.model == "mine"]) == 2, timeout=TIMEOUT)
    listed = [choice.text for choice in run_choices(widget.state.catalogue.cards)]
    assert "mine" in listed
    assert not {"mine-coronal", "mine-axial"} & set(listed)


def test_dice_is_told_where_a_reference_is_chosen(
    viewer: Any, labelled: Make, labels: LabelVolume, head: Volume, press: Callable[..., None]
) -> None:
    widget, grid = labelled(), Grid.of(head)
    viewer.add_labels(grid.show(labels.data), name="right", metadata=grid.to_metadata(), **grid.transforms())
    viewer.layers.selection.active = viewer.layers["head labels"]
    paint(viewer.layers["head labels"])
    widget.teach.reference.choose(viewer.layers["right"])
    press(widget, "learn")
    assert "Mean Dice against “right”" in widget.panel.message.text()
    small = viewer.add_labels(np.ones((3, 4, 5), int), name="small")
    viewer.layers.selection.active = viewer.layers["head labels"]
    widget.learning.learn(small)
    assert "does not lie on the voxels" in widget.panel.message.text()


def test_what_is_taught_is_no_reference_for_itself(
    viewer: Any, labelled: Make, labels: LabelVolume, head: Volume, qtbot: QtBot
) -> None:
    widget, grid = labelled(), Grid.of(head)
    mine, box = viewer.layers["head labels"], widget.teach.reference
    right = viewer.add_labels(grid.show(labels.data), name="right", metadata=grid.to_metadata(), **grid.transforms())
    viewer.layers.selection.active = mine

    def offered(layer: Any) -> bool:
        bare = getattr(layer, "__wrapped__", layer)
        return next(choice.is_open for choice in box.box.choices if choice.value is bare)

    qtbot.waitUntil(lambda: offered(right) and not offered(mine))
    box.choose(right)
    viewer.layers.selection.active = right  # to look at it, say
    widget.teach.render_strokes()
    assert widget.learning.layer.name == "head labels"
    assert box.layer.name == "right"
    widget.target.choose(right)  # that is to be labelled from now on
    assert widget.learning.layer.name == "right"
    qtbot.waitUntil(lambda: offered(mine) and not offered(right))
    assert box.layer is None
    widget.target.choose(None)
    box.choose(mine)
    viewer.layers.selection.active = right
    qtbot.waitUntil(lambda: offered(mine) and not offered(right))
    assert widget.learning.layer.name == "right"


def test_what_cannot_be_learnt_is_a_sentence(viewer: Any, layer: Any, dock: Dock, finish: Finish, qtbot: QtBot) -> None:
    widget = dock(SegmentWidget, "tiny-scse")
    assert "Press Run first" in widget.teach.text.text()
    widget.shortcuts.actions["learn"]()
    assert "Nothing is painted" in widget.teach.said.text()
    widget.shortcuts.actions["reject"]()
    assert "Nothing was learnt" in widget.teach.said.text()
    widget.shortcuts.actions["jump"]()
    assert "press Run" in widget.teach.said.text()
    widget.learning.learn()
    assert "no labels to correct" in widget.panel.message.text()
    finish(widget)
    labels = viewer.layers["head labels"]
    widget.learning.learn()
    assert "no strokes" in widget.panel.message.text()
    labels.data_setitem(tuple(np.array([[9], [9], [9]])), 99)  # which the run does not know
    before = labels.data.copy()
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.learning.learn()
    assert "does not know" in widget.panel.message.text()
    np.testing.assert_array_equal(labels.data, before)
    assert layer in viewer.layers


def test_removing_the_labels_stops_the_teaching(viewer: Any, labelled: Make, qtbot: QtBot) -> None:
    widget = labelled()
    labels = viewer.layers["head labels"]
    paint(labels)
    widget.teach.render_strokes()
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.teach.learn.click()
        viewer.layers.remove(labels)
    assert "Cancelled" in widget.panel.message.text()
    assert [one.name for one in viewer.layers] == ["head"]


def test_jump_goes_through_the_slices_by_doubt(viewer: Any, labelled: Make) -> None:
    widget = labelled()
    session = widget.work.opened.session
    doubts = session.doubts
    assert set(doubts) == set(range(27))
    geometry = session.geometry(Plane.CORONAL)
    visited, looked = [], {geometry.number(viewer.dims.current_step[1])}
    near = int(3 / 1.2)
    for _ in range(4):
        widget.shortcuts.actions["jump"]()
        visited.append(geometry.number(viewer.dims.current_step[1]))
        free = {n for n in doubts if all(abs(n - other) > near for other in looked)}
        assert visited[-1] == max(free, key=lambda n: doubts[n].amount)
        looked.add(visited[-1])
    assert "labelled slices" in widget.teach.said.text()
    for _ in range(30):
        widget.teach.jump.click()
        if "All were looked at" in widget.teach.said.text():
            break
    else:
        pytest.fail("there is no end to it")
    assert geometry.number(viewer.dims.current_step[1]) == max(doubts, key=lambda n: doubts[n].amount)


def test_strokes_are_saved_for_the_command(
    viewer: Any, labelled: Make, head: Volume, tmp_path: Path, qtbot: QtBot
) -> None:
    widget = labelled()
    labels = viewer.layers["head labels"]
    painted = paint(labels)
    widget.teach.copy.buttons["command"].click()
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    assert clipboard.text().startswith("napari-scse refine scan.nii.gz strokes.nii.gz labels.nii.gz --run tiny-scse")
    assert "--name tiny-scse-taught-1" in clipboard.text()
    with qtbot.waitSignal(widget.learning.said, timeout=TIMEOUT):
        widget.learning.save_strokes(tmp_path / "strokes.nii.gz")
    strokes = read_strokes(tmp_path / "strokes.nii.gz", head)
    grid = Grid.of(head)
    np.testing.assert_array_equal(strokes.painted, grid.restore(painted))
    np.testing.assert_array_equal(strokes.labels[strokes.painted], grid.restore(labels.data)[strokes.painted])


def test_names_are_free_ones(labelled: Make) -> None:
    widget = labelled()
    cards = {card.name: card for card in widget.state.catalogue.cards}
    assert free_name(cards["tiny-sse"], widget.state.catalogue) == "tiny-sse-taught-1"


def test_closing_the_dock_stops_the_teaching(viewer: Any, labelled: Make, qtbot: QtBot) -> None:
    widget = labelled()
    paint(viewer.layers["head labels"])
    widget.teach.render_strokes()
    widget.teach.learn.click()
    viewer.window.remove_dock_widget(widget)
    qtbot.waitUntil(lambda: not Job._worker_set, timeout=TIMEOUT)
    assert "Cancelled" in widget.state.job.message
