"""Segment, as its users meet it: real runs, a real viewer, labels that grow and stay."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import ref

import dask.array as da
import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from pytestqt.qtbot import QtBot

from napari_scse import images
from napari_scse._napari.layers import METADATA_KEY, Grid, lead
from napari_scse._napari.view import show_plane
from napari_scse._napari.writer import write_labels_layer
from napari_scse._widgets.choices import run_choices
from napari_scse._widgets.jobs import Job
from napari_scse._widgets.segment.widget import SegmentWidget
from napari_scse.events import drain
from napari_scse.inference import segment
from napari_scse.runs import Model, Run, load_run, user_runs
from napari_scse.slices import Plane
from napari_scse.volume import Volume, same_grid

Dock = Callable[..., Any]
TIMEOUT = 60_000


def cancel_after(widget: Any, slices: int) -> None:
    """Press Cancel as soon as that many slices are labelled."""
    panel = ref(widget.panel)

    def look(job: Any) -> None:
        if job.phase == "running" and "labelled" in job.what and job.done >= slices:
            widget_events.disconnect(look)
            panel().cancel.click()

    widget_events = widget.state.events.job
    widget_events.connect(look)


def test_labels_become_a_layer_on_the_scans_grid(
    viewer: Any, layer: Any, head: Volume, dock: Dock, finish: Callable[..., None], tmp_path: Path
) -> None:
    widget = dock(SegmentWidget, "tiny-scse")
    finish(widget)
    labels = viewer.layers[-1]
    assert labels.name == "head labels"
    assert "structures found in" in widget.panel.message.text()
    wanted = drain(segment(head, load_run("tiny-scse")))
    write_labels_layer(str(tmp_path / "out.nii.gz"), *labels.as_layer_data_tuple()[:2])
    saved = images.read_labels(tmp_path / "out.nii.gz")
    assert same_grid(saved, head)
    assert np.array_equal(saved.data, wanted.labels.data)
    assert np.any(saved.data)
    assert np.allclose(labels.extent.world, layer.extent.world)
    assert (labels.units, labels.axis_labels) == (layer.units, layer.axis_labels)
    assert labels.editable
    finish(widget)  # a second run never writes over the first
    assert [one.name for one in viewer.layers] == ["head", "head labels", "head labels [1]"]


def test_a_model_is_asked_in_its_planes_and_tells_its_uncertainty(
    viewer: Any, layer: Any, head: Volume, dock: Dock, tiny_run: Callable[..., Run], finish: Callable[..., None]
) -> None:
    runs = [tiny_run(name=f"both-{plane}", plane=plane, epochs=1, folder=user_runs()) for plane in ("coronal", "axial")]
    show_plane(viewer, Plane.CORONAL)
    widget = dock(SegmentWidget, "both")
    assert not {run.path for run in runs} & {choice.value for choice in run_choices(widget.state.catalogue.cards)}
    widget.uncertainty.setChecked(True)
    finish(widget)
    assert [one.name for one in viewer.layers] == ["head", "head uncertainty", "head labels"]
    assert all(np.allclose(one.extent.world, layer.extent.world) for one in viewer.layers)
    together = drain(segment(head, Model("both", tuple(runs)), uncertainty=True))
    assert together.uncertainty is not None
    grid = Grid.of(head)
    np.testing.assert_array_equal(viewer.layers[2].data, grid.show(together.labels.data))
    np.testing.assert_allclose(viewer.layers[1].data, grid.show(together.uncertainty.data), atol=1e-6)
    widget.uncertainty.setChecked(False)
    widget.state.planes = (Plane.AXIAL,)
    assert widget.planes.value == (Plane.AXIAL,)
    finish(widget)
    alone = drain(segment(head, runs[1])).labels.data
    np.testing.assert_array_equal(viewer.layers[-1].data, grid.show(alone))


def test_widget_and_state_follow_each_other(dock: Dock) -> None:
    widget = dock(SegmentWidget, "tiny-sse")
    state = widget.state
    assert (widget.network.value, widget.excitation.value, widget.epoch.value) == ("fc-densenet", "sse", "best")
    widget.excitation.setCurrentIndex(3)  # view -> model
    assert state.card.name == "tiny-scse"
    widget.epoch.setCurrentIndex(2)
    widget.device.setCurrentIndex(1)
    widget.precision.setCurrentIndex(1)
    widget.mirror.setChecked(True)
    assert (state.epoch, state.device, state.precision, state.mirror) == (2, "cpu", "bfloat16", True)
    state.epoch, state.device, state.precision, state.mirror = 3, "auto", "float32", False  # model -> view
    assert (widget.epoch.value, widget.device.value, widget.precision.value) == (3, "auto", "float32")
    assert not widget.mirror.isChecked()
    state.choose_network("u-net")
    assert (widget.excitation.value, widget.runs.box.currentText()) == ("none", "tiny-unet")
    widget.network.setCurrentIndex(2)
    assert state.card.network == "fc-densenet"


def test_without_a_scan_there_is_nothing_to_run(viewer: Any, dock: Dock, head: Volume) -> None:
    widget = dock(SegmentWidget)
    assert not widget.panel.run.isEnabled()
    assert "drag a NIfTI" in widget.panel.message.text()
    viewer.add_image(head.data)
    assert widget.panel.run.isEnabled()
    viewer.layers.clear()
    assert not widget.panel.run.isEnabled()


def test_another_run_is_opened_by_its_folder(
    dock: Dock, qtbot: QtBot, tiny_run: Callable[..., Run], tmp_path: Path
) -> None:
    widget = dock(SegmentWidget)
    elsewhere = tiny_run(name="elsewhere", kind="sd-net", excitation="cse", depth=2)
    with qtbot.waitSignal(widget.runs.opened, timeout=TIMEOUT):
        widget.runs.open_folder(elsewhere.path)
    assert (widget.state.card.name, widget.network.value) == ("elsewhere", "sd-net")
    with qtbot.waitSignal(widget.runs.failed, timeout=TIMEOUT):
        widget.runs.open_folder(tmp_path)
    assert "no run" in widget.panel.message.text()
    assert widget.state.card.name == "elsewhere"


def test_cancel_keeps_the_finished_slices(viewer: Any, long: Dock, qtbot: QtBot) -> None:
    widget = long(SegmentWidget)
    cancel_after(widget, 20)
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.panel.run.click()
        assert not widget.panel.run.isEnabled()
        assert widget.panel.cancel.isEnabled()
        assert viewer.layers["long labels"].editable
    job = widget.state.job
    assert 20 <= job.done < job.total == 90
    assert f"{job.done} of 90 slices are labelled" in widget.panel.message.text()
    labels = viewer.layers["long labels"]
    labelled = np.flatnonzero(np.any(labels.data, axis=(0, 2)))  # coronal slices: (z, y, x)
    middle = 44.5  # where a viewer begins
    assert np.abs(labelled - middle).max() < job.done / 2 + 9
    assert {40, 45, 50} <= set(labelled)
    assert widget.panel.run.isEnabled()
    assert widget.panel.run.text() == "Resume"
    before = labels.data.copy()
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.panel.run.click()
    assert widget.panel.run.text() == "Run"
    assert [one.name for one in viewer.layers] == ["long", "long labels"]
    assert np.count_nonzero(np.any(labels.data, axis=(0, 2))) > len(labelled)
    labels.undo()  # resuming was one step
    np.testing.assert_array_equal(labels.data, before)
    labels.undo()
    assert not labels.data.any()


def test_what_was_cancelled_is_resumed_as_it_was_begun(viewer: Any, long: Dock, qtbot: QtBot) -> None:
    widget = long(SegmentWidget)
    widget.panel.run.click()
    qtbot.waitUntil(lambda: widget.state.job.done > 3, timeout=TIMEOUT)
    widget.state.epoch = 1
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.panel.cancel.click()
    assert widget.panel.run.text() == "Run"  # it would be another epoch's labels
    widget.state.epoch = "best"
    assert widget.panel.run.text() == "Resume"
    assert len(viewer.layers) == 2


def test_a_folder_that_is_no_run_does_not_disturb_a_run(viewer: Any, long: Dock, qtbot: QtBot, tmp_path: Path) -> None:
    widget = long(SegmentWidget)
    widget.panel.run.click()
    qtbot.waitUntil(lambda: widget.state.job.done > 3, timeout=TIMEOUT)
    with qtbot.waitSignal(widget.runs.failed, timeout=TIMEOUT):
        widget.runs.open_folder(tmp_path)
    assert "run.json" in notification_manager.records[-1].message
    assert widget.state.job.is_busy
    assert widget.panel.cancel.isEnabled()
    widget.run()
    assert len(viewer.layers) == 2
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.panel.cancel.click()


def test_uncertainty_can_be_added_to_the_same_labels(viewer: Any, layer: Any, dock: Dock, qtbot: QtBot) -> None:
    del layer
    widget = dock(SegmentWidget)
    with qtbot.waitSignal(widget.live.caught_up, timeout=TIMEOUT):
        widget.state.live = True
    with qtbot.waitSignal(widget.live.caught_up, timeout=TIMEOUT):
        widget.state.uncertainty = True
    assert [one.name for one in viewer.layers] == ["head", "head uncertainty", "head labels"]
    assert viewer.layers.selection.active.name == "head labels"
    assert [choice.text for choice in widget.picker.box.choices] == ["head"]
    with qtbot.waitSignal(widget.live.caught_up, timeout=TIMEOUT):
        viewer.layers.remove("head uncertainty")
    assert not widget.uncertainty.isChecked()
    assert [one.name for one in viewer.layers] == ["head", "head labels"]
    with qtbot.waitSignal(widget.live.caught_up, timeout=TIMEOUT):
        widget.state.uncertainty = True
    with qtbot.waitSignal(widget.live.caught_up, timeout=TIMEOUT):
        widget.state.uncertainty = False
    assert [one.name for one in viewer.layers] == ["head", "head labels"]


def test_in_3d_the_layer_is_not_drawn_anew_for_every_slice(viewer: Any, long: Dock, qtbot: QtBot) -> None:
    widget = long(SegmentWidget)
    viewer.dims.ndisplay = 3
    widget.panel.run.click()
    qtbot.waitUntil(lambda: widget.work.growing is not None, timeout=TIMEOUT)
    growing, drawn = widget.work.growing, []
    growing.refresh = lambda: drawn.append(time.sleep(0.3))
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        qtbot.waitUntil(lambda: widget.state.job.done > 20, timeout=TIMEOUT)
        widget.panel.cancel.click()
    assert 0 < len(drawn) < 10
    del growing.refresh


def test_no_layer_of_ours_beside_the_labels_has_locks(viewer: Any, layer: Any, dock: Dock) -> None:
    widget = dock(SegmentWidget)
    metadata = {METADATA_KEY: {"film": "run"}}
    film = viewer.add_labels(np.zeros((2, *layer.data.shape), np.uint8), metadata=metadata)
    viewer.layers.selection.active = film
    assert widget.locks.edits is None
    viewer.layers.selection.active = viewer.add_labels(np.zeros(layer.data.shape, np.uint8))
    assert widget.locks.edits is not None


def test_starting_over_makes_another_layer(viewer: Any, long: Dock, qtbot: QtBot) -> None:
    widget = long(SegmentWidget)
    cancel_after(widget, 5)
    assert widget.panel.again.isHidden()
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.panel.run.click()
    assert not widget.panel.again.isHidden()
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.panel.again.click()
    assert [one.name for one in viewer.layers] == ["long", "long labels", "long labels [1]"]
    widget.state.epoch = 1  # something else is asked for now
    assert widget.panel.run.text() == "Run"
    assert widget.panel.again.isHidden()


def test_what_the_user_paints_while_it_grows_stays_and_undo_gives_back_what_was_there(
    viewer: Any, layer: Any, head: Volume, dock: Dock, qtbot: QtBot
) -> None:
    widget = dock(SegmentWidget, "tiny-scse")
    grid = Grid.of(head)
    mine = viewer.add_labels(
        np.full(layer.data.shape, 7, np.uint8), name="mine", metadata=grid.to_metadata(), **grid.transforms()
    )
    widget.target.choose(mine)
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.panel.run.click()
        qtbot.waitUntil(lambda: widget.state.job.done > 3, timeout=TIMEOUT)
        mine.data_setitem(tuple(np.array([[5, 6], [8, 8], [9, 9]])), 3)
    assert [one.name for one in viewer.layers] == ["head", "mine"]
    wanted = grid.show(drain(segment(head, load_run("tiny-scse"))).labels.data).copy()
    wanted[5:7, 8, 9] = 3
    np.testing.assert_array_equal(mine.data, wanted)
    mine.undo()
    painted = np.full(layer.data.shape, 7)
    painted[5:7, 8, 9] = 3
    np.testing.assert_array_equal(mine.data, painted)
    mine.undo()
    assert (mine.data == 7).all()


def test_labels_that_lie_elsewhere_than_the_scan_are_not_written_to(
    viewer: Any, head: Volume, dock: Dock, finish: Callable[..., None]
) -> None:
    plain = viewer.add_image(head.data.transpose(2, 1, 0), name="plain")
    widget = dock(SegmentWidget, "tiny-scse")
    finish(widget)
    labels = [viewer.layers[-1]]
    for layer, change in ((plain, ("translate", (0, 50, 0))), (labels[0], ("translate", (0, 9, 0)))):
        widget.target.choose(labels[-1])
        setattr(layer if layer is plain else labels[-1], *change)
        assert widget.target.layer is None
        finish(widget)
        labels.append(viewer.layers[-1])
        assert np.allclose(labels[-1].extent.world, plain.extent.world)
    widget.target.choose(labels[-1])
    plain.data = plain.data[:-4]
    finish(widget)
    assert viewer.layers[-1].data.shape == plain.data.shape
    assert len(viewer.layers) == 5


def test_only_a_slab_is_labelled(
    viewer: Any, layer: Any, head: Volume, dock: Dock, finish: Callable[..., None]
) -> None:
    show_plane(viewer, Plane.CORONAL)
    widget = dock(SegmentWidget, "tiny-scse")
    viewer.dims.point = tuple(np.asarray(layer.data_to_world((12, 9, 11))))
    widget.state.region, widget.state.slab_mm = "slab", 2.0
    assert not widget.region.reach.isHidden()
    finish(widget)
    assert "structures found" in widget.panel.message.text()
    labels = viewer.layers["head labels"].data
    wanted = Grid.of(head).show(drain(segment(head, load_run("tiny-scse"))).labels.data)
    assert labels[:, 8:11].any()
    assert not np.delete(labels, np.s_[8:11], axis=1).any()  # 1.2 mm a slice
    assert np.mean(labels[:, 8:11] == wanted[:, 8:11]) > 0.99  # islands go only where all is known
    widget.state.region = "shapes"
    widget.panel.run.click()
    assert "draw a rectangle" in widget.panel.message.text()


def test_the_result_belongs_to_the_layer_it_was_started_on(viewer: Any, long: Dock, qtbot: QtBot, head: Volume) -> None:
    widget = long(SegmentWidget)
    cancel_after(widget, 5)
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.panel.run.click()
        other = viewer.add_image(head.data, name="other")
        widget.picker.choose(other)
        viewer.layers.selection.active = other
        viewer.layers.remove("long")
    labels = viewer.layers["long labels"]
    assert labels.data.shape == (36, 90, 40)
    assert labels.metadata["napari-scse"]["grid"]["shape"] == [40, 36, 90]
    assert np.any(labels.data)


def test_removing_the_labels_stops_the_run(viewer: Any, long: Dock, qtbot: QtBot) -> None:
    widget = long(SegmentWidget)
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.panel.run.click()
        qtbot.waitUntil(lambda: widget.state.job.done > 0, timeout=TIMEOUT)
        viewer.layers.remove("long labels")
    assert "was removed" in widget.panel.message.text()
    assert [one.name for one in viewer.layers] == ["long"]


def test_labels_of_another_shape_end_the_run_with_one_sentence(viewer: Any, long: Dock, qtbot: QtBot) -> None:
    widget = long(SegmentWidget)
    before = len(notification_manager.records)
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.panel.run.click()
        qtbot.waitUntil(lambda: widget.state.job.done > 0, timeout=TIMEOUT)
        viewer.layers["long labels"].data = np.zeros((3, 4, 5), np.uint8)
    assert widget.state.job.failed
    assert "“long labels” was given another shape" in widget.panel.message.text()
    assert len(notification_manager.records) == before + 1
    assert not viewer.layers["long labels"].data.any()
    assert widget.panel.run.isEnabled()


def test_a_crash_inside_the_job_is_a_sentence(
    viewer: Any, dock: Dock, finish: Callable[..., None], head: Volume, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: np.ndarray) -> np.ndarray:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    broken = da.from_array(head.data, chunks=-1).map_blocks(
        fail, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32)
    )
    viewer.add_image(np.zeros((3, 4, 5)), name="broken", contrast_limits=(0, 1))
    widget = dock(SegmentWidget)
    widget.picker.layer._data = broken  # lazy data that fail only when they are read
    before = len(notification_manager.records)
    finish(widget)
    assert "mat1 and mat2" in widget.panel.message.text()
    assert "Traceback" not in widget.panel.message.text()
    assert widget.panel.run.isEnabled()
    assert len(notification_manager.records) == before + 1
    assert [one.name for one in viewer.layers] == ["broken"]  # an empty labels layer does not stay
    assert "RuntimeError" in caplog.text


def test_bad_input_is_a_sentence(viewer: Any, dock: Dock, finish: Callable[..., None]) -> None:
    viewer.add_image(np.full((9, 8, 7), 5.0), name="flat", contrast_limits=(0, 9))
    widget = dock(SegmentWidget)
    finish(widget)
    assert widget.state.job.failed
    assert "constant" in widget.panel.message.text()
    assert len(viewer.layers) == 1


def test_a_slice_of_another_plane_is_refused(viewer: Any, dock: Dock, head: Volume) -> None:
    viewer.add_image(head.data[10], name="slice")
    widget = dock(SegmentWidget)
    widget.picker.editor._directions[1].setCurrentIndex(3)  # rows to posterior: an axial slice
    widget.panel.run.click()
    assert "taken for axial and the run reads coronal" in widget.panel.message.text()
    assert widget.panel.run.isEnabled()
    assert len(viewer.layers) == 1


@pytest.mark.parametrize("kind", ["2-D", "4-D", "pyramid", "dask"])
def test_any_image_layer_is_segmented(
    viewer: Any, dock: Dock, finish: Callable[..., None], head: Volume, kind: str
) -> None:
    grid = Grid.of(head)
    shown = grid.show(head.data)
    if kind == "2-D":
        layer = viewer.add_image(shown[:, 12], scale=(0.9, 1.0))
    elif kind == "4-D":
        layer = viewer.add_image(
            np.stack([shown * 0, shown]),
            metadata=grid.to_metadata(),
            **lead(grid.transforms(), "t"),
            contrast_limits=(0, 99),
        )
        viewer.dims.set_current_step(0, 1)
    elif kind == "pyramid":
        layer = viewer.add_image([shown, shown[::2, ::2, ::2]], multiscale=True, **grid.transforms())
    else:
        layer = viewer.add_image(da.from_array(shown, chunks=10), **grid.transforms(), contrast_limits=(0, 99))
    widget = dock(SegmentWidget, "tiny-sse")
    finish(widget)
    assert not widget.state.job.failed, widget.state.job.message
    labels = viewer.layers[-1]
    assert labels.data.shape == (shown[:, 12].shape if kind == "2-D" else shown.shape)
    assert np.allclose(labels.extent.world, layer.extent.world[:, -labels.ndim :])
    assert np.any(labels.data)


def test_closing_the_dock_stops_the_run(viewer: Any, long: Dock, qtbot: QtBot) -> None:
    widget = long(SegmentWidget)
    widget.panel.run.click()
    qtbot.waitUntil(lambda: widget.state.job.done > 0, timeout=TIMEOUT)
    viewer.window.remove_dock_widget(widget)
    assert widget.state.job.phase == "stopping"
    qtbot.waitUntil(lambda: not Job._worker_set, timeout=TIMEOUT)
    assert "Cancelled" in widget.state.job.message


def test_closing_the_window_stops_the_run(viewer: Any, long: Dock, qtbot: QtBot) -> None:
    widget = long(SegmentWidget)
    widget.panel.run.click()
    qtbot.waitUntil(lambda: widget.state.job.done > 0, timeout=TIMEOUT)
    viewer.close()
    qtbot.waitUntil(lambda: not Job._worker_set, timeout=TIMEOUT)
