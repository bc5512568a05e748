"""Live: what is on screen is segmented, and nothing that is not looked at any more; the window never stands still."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QTimer

from napari_scse._napari.layers import Grid, lead, volume_layer
from napari_scse._napari.view import show_plane
from napari_scse._widgets.cards import RunCard
from napari_scse._widgets.jobs import Job
from napari_scse._widgets.segment.widget import SegmentWidget
from napari_scse.errors import InputError
from napari_scse.events import SliceDone, drain
from napari_scse.inference import segment
from napari_scse.runs import load_run
from napari_scse.slices import Plane
from napari_scse.volume import Volume

Dock = Callable[..., Any]
TIMEOUT = 60_000
ACROSS = 1  # coronal slices of (z, y, x)


@pytest.fixture
def settle(qtbot: QtBot) -> Callable[..., None]:
    """Do something, and wait until the slice on screen is segmented."""

    def wait(widget: Any, act: Callable[[], object]) -> None:
        with qtbot.waitSignal(widget.live.caught_up, timeout=TIMEOUT):
            act()

    return wait


def test_the_shown_slice_stays_segmented(
    viewer: Any, layer: Any, head: Volume, dock: Dock, settle: Callable[..., None]
) -> None:
    show_plane(viewer, Plane.CORONAL)
    viewer.dims.set_current_step(ACROSS, 10)
    widget = dock(SegmentWidget, "tiny-scse")
    settle(widget, widget.panel.live.click)
    assert [one.name for one in viewer.layers] == ["head", "head labels"]
    labels = viewer.layers["head labels"]
    wanted = {e: Grid.of(head).show(drain(segment(head, load_run("tiny-scse"), epoch=e)).labels.data) for e in (3, 1)}
    assert {n for n in range(27) if labels.data[:, n].any()} == {10}
    np.testing.assert_array_equal(labels.data[:, 10], wanted[3][:, 10])
    settle(widget, lambda: viewer.dims.set_current_step(ACROSS, 14))
    assert {n for n in range(27) if labels.data[:, n].any()} == {10, 14}
    settle(widget, lambda: setattr(widget.state, "epoch", 1))
    np.testing.assert_array_equal(labels.data[:, 14], wanted[1][:, 14])
    np.testing.assert_array_equal(labels.data[:, 10], wanted[3][:, 10])  # until it is looked at
    settle(widget, lambda: viewer.dims.set_current_step(ACROSS, 10))
    np.testing.assert_array_equal(labels.data[:, 10], wanted[1][:, 10])
    edited = Volume(head.data[::-1] * 2, head.affine)
    settle(widget, lambda: setattr(layer, "data", Grid.of(edited).show(edited.data)))
    anew = Grid.of(head).show(drain(segment(edited, load_run("tiny-scse"), epoch=1)).labels.data)
    np.testing.assert_array_equal(labels.data[:, 10], anew[:, 10])
    widget.panel.live.click()
    labels.undo()  # all of it
    assert not labels.data.any()


def test_another_best_epoch_is_live_at_once(viewer: Any, layer: Any, dock: Dock, settle: Callable[..., None]) -> None:
    del layer
    show_plane(viewer, Plane.CORONAL)
    widget = dock(SegmentWidget, "tiny-scse")
    settle(widget, widget.panel.live.click)
    before, card = widget.work.opened.session, widget.state.card
    run = load_run("tiny-scse")
    run.save_epoch(4, run.network(1), {"loss": 0.1, "validation_dice": 0.9, "seconds": 1.0})
    settle(widget, lambda: widget.runs.renewed.emit(RunCard.of(run)))
    settle(widget, lambda: viewer.dims.set_current_step(ACROSS, 9))
    assert card.best_epoch == 3
    assert widget.work.opened.session is not before
    assert widget.work.opened.session.epochs == (4,)


def test_another_frame_is_segmented_anew(viewer: Any, head: Volume, dock: Dock, settle: Callable[..., None]) -> None:
    """The labels over the slice are those of the frame on screen."""
    other = Volume(np.ascontiguousarray(head.data[:, ::-1]), head.affine)
    data, keywords, _ = volume_layer(head, "series")
    series = np.stack([data, Grid.of(head).show(other.data)])
    viewer.add_image(series, **lead(Grid.of(head).transforms(), "t"), metadata=keywords["metadata"], name="series")
    show_plane(viewer, Plane.CORONAL)
    viewer.dims.set_current_step(0, 0)
    viewer.dims.set_current_step(1 + ACROSS, 12)
    widget = dock(SegmentWidget, "tiny-scse")
    settle(widget, widget.panel.live.click)
    labels = viewer.layers["series labels"]
    for frame, scan in ((0, head), (1, other)):
        if frame:
            settle(widget, lambda: viewer.dims.set_current_step(0, 1))
        wanted = Grid.of(head).show(drain(segment(scan, load_run("tiny-scse"))).labels.data)
        np.testing.assert_array_equal(labels.data[:, 12], wanted[:, 12])


@pytest.mark.usefixtures("layer")
def test_labels_that_cannot_take_a_slice_end_live_with_a_sentence(
    dock: Dock, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise InputError("It no longer fits.")

    widget = dock(SegmentWidget, "tiny-scse")
    monkeypatch.setattr(widget.work, "take", refuse)
    widget.panel.live.click()
    qtbot.waitUntil(lambda: not widget.state.live, timeout=TIMEOUT)
    assert widget.panel.message.text() == "It no longer fits."
    assert not widget.work.growing or not widget.work.growing.is_writing


def test_a_scan_that_is_moved_gets_labels_where_it_is(
    viewer: Any, head: Volume, dock: Dock, settle: Callable[..., None]
) -> None:
    plain = viewer.add_image(head.data.transpose(2, 1, 0), name="plain")
    widget = dock(SegmentWidget, "tiny-scse")
    settle(widget, widget.panel.live.click)
    settle(widget, lambda: setattr(plain, "translate", (0, 0, 80)))
    before, after = viewer.layers[1:]
    assert np.allclose(after.extent.world, plain.extent.world)
    assert after.data.any()
    before.undo()  # its step is done
    assert not before.data.any()
    widget.panel.live.click()


def test_what_is_scrolled_past_is_never_computed(
    viewer: Any, long: Dock, settle: Callable[..., None], qtbot: QtBot
) -> None:
    show_plane(viewer, Plane.CORONAL)
    viewer.dims.set_current_step(ACROSS, 20)
    widget = long(SegmentWidget)
    settle(widget, widget.panel.live.click)

    def scroll() -> None:
        for number in (30, 40, 50, 60, 70):
            viewer.dims.set_current_step(ACROSS, number)

    settle(widget, scroll)
    labels = viewer.layers["long labels"].data
    labelled = {n for n in range(90) if labels[:, n].any()}
    assert 70 in labelled
    assert len(labelled & set(range(31, 69))) <= 3
    viewer.layers.remove("long labels")  # who removes the labels does not want them back
    assert not widget.state.live
    assert not widget.panel.live.isChecked()
    qtbot.waitUntil(lambda: not Job._worker_set, timeout=TIMEOUT)
    assert [one.name for one in viewer.layers] == ["long"]


def test_what_is_painted_survives_live(viewer: Any, layer: Any, dock: Dock, settle: Callable[..., None]) -> None:  # noqa: ARG001 - the layer is the scan
    show_plane(viewer, Plane.CORONAL)
    viewer.dims.set_current_step(ACROSS, 10)
    widget = dock(SegmentWidget, "tiny-scse")
    settle(widget, widget.panel.live.click)
    labels = viewer.layers["head labels"]
    labels.data_setitem(tuple(np.array([[7, 8], [10, 10], [9, 9]])), 99)
    settle(widget, lambda: setattr(widget.state, "epoch", 1))
    assert (labels.data[7:9, 10, 9] == 99).all()
    widget.panel.run.click()
    assert (labels.data[7:9, 10, 9] == 99).all()


def test_a_run_goes_before_live_and_live_goes_on_after_it(
    viewer: Any, layer: Any, head: Volume, dock: Dock, settle: Callable[..., None], qtbot: QtBot
) -> None:
    show_plane(viewer, Plane.CORONAL)
    widget = dock(SegmentWidget, "tiny-scse")
    settle(widget, widget.panel.live.click)
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.panel.run.click()
    assert [one.name for one in viewer.layers] == ["head", "head labels"]  # into the same layer
    wanted = Grid.of(head).show(drain(segment(head, load_run("tiny-scse"))).labels.data)
    np.testing.assert_array_equal(viewer.layers["head labels"].data, wanted)
    settle(widget, lambda: setattr(widget.state, "epoch", 1))
    assert layer in viewer.layers


@pytest.mark.parametrize("seed", [0, 1])
def test_anything_in_any_order_leaves_nothing_behind(viewer: Any, long: Dock, qtbot: QtBot, seed: int) -> None:
    chance = np.random.default_rng(seed)
    show_plane(viewer, Plane.CORONAL)
    widget = long(SegmentWidget)

    def undo() -> None:
        for one in viewer.layers:
            if isinstance(one, Labels):
                one.undo()

    actions: list[Callable[[], object]] = [
        widget.panel.run.click,
        widget.panel.cancel.click,
        widget.panel.again.click,
        widget.panel.live.click,
        undo,
        lambda: viewer.dims.set_current_step(ACROSS, int(chance.integers(90))),
        lambda: show_plane(viewer, list(Plane)[int(chance.integers(3))]),
        lambda: setattr(widget.state, "epoch", int(chance.integers(1, 3))),
        lambda: setattr(viewer.dims, "ndisplay", int(chance.integers(2, 4))),
        lambda: viewer.layers.remove(viewer.layers[-1]) if len(viewer.layers) > 1 else None,
    ]
    for _ in range(40):
        actions[int(chance.integers(len(actions)))]()
        qtbot.wait(int(chance.integers(60)))
    viewer.dims.ndisplay = 2
    viewer.window.remove_dock_widget(widget)  # in the middle of something
    qtbot.waitUntil(lambda: not Job._worker_set, timeout=TIMEOUT)
    assert widget.work.opened.session is None
    assert not widget.state.job.is_busy


def test_no_slot_holds_the_window(viewer: Any, long: Dock, qtbot: QtBot) -> None:
    show_plane(viewer, Plane.CORONAL)
    widget = long(SegmentWidget)
    slots: list[float] = []
    for name in ("take", "refresh"):  # all that is called while it runs
        own = getattr(widget.work, name)

        def timed(*arguments: Any, own: Callable[..., None] = own) -> None:
            began = time.thread_time()
            own(*arguments)
            slots.append(time.thread_time() - began)

        setattr(widget.work, name, timed)
    scroll = QTimer()
    scroll.timeout.connect(lambda: viewer.dims.set_current_step(ACROSS, (viewer.dims.current_step[ACROSS] + 7) % 90))
    scroll.start(40)
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.panel.run.click()
    scroll.stop()
    assert len(slots) > 90
    assert np.percentile(slots, 99) < 0.05  # of this thread's own time: other programs do not count


@pytest.mark.parametrize("plane", [Plane.AXIAL, Plane.SAGITTAL])
def test_the_shown_slice_is_segmented_in_another_plane_than_the_runs(
    viewer: Any, layer: Any, head: Volume, dock: Dock, settle: Callable[..., None], plane: Plane
) -> None:
    show_plane(viewer, plane)
    across = viewer.dims.order[0]
    viewer.dims.set_current_step(across, 12)
    widget = dock(SegmentWidget, "tiny-scse")
    order: list[int] = []
    take = widget.work.take

    def note(event: Any) -> None:
        if isinstance(event, SliceDone) and not event.provisional:
            order.append(next(index for index in event.index if isinstance(index, int)))
        take(event)

    widget.work.take = note
    settle(widget, widget.panel.live.click)
    labels = viewer.layers["head labels"].data
    wanted = Grid.of(head).show(drain(segment(head, load_run("tiny-scse"))).labels.data)
    assert _shown(viewer, labels).any()
    assert np.mean(labels == wanted) > 0.99  # but for islands, which Live leaves
    assert len(order) == len(set(order)) == 27
    assert abs(order[0] - 13) <= 1  # from the middle of the view
    settle(widget, lambda: viewer.dims.set_current_step(across, 9))
    assert len(order) == 27  # all of that is known
    settle(widget, lambda: setattr(widget.state, "epoch", 1))
    other = Grid.of(head).show(drain(segment(head, load_run("tiny-scse"), epoch=1)).labels.data)
    assert np.mean(_shown(viewer, labels) == _shown(viewer, other)) > 0.99
    assert layer in viewer.layers


@pytest.mark.parametrize("plane", [Plane.AXIAL, Plane.SAGITTAL])
def test_a_slab_follows_the_slice_on_screen(
    viewer: Any, layer: Any, head: Volume, dock: Dock, settle: Callable[..., None], plane: Plane
) -> None:
    show_plane(viewer, plane)
    across = viewer.dims.order[0]
    viewer.dims.set_current_step(across, 14)
    widget = dock(SegmentWidget, "tiny-scse")
    widget.state.region, widget.state.slab_mm = "slab", 0.0
    settle(widget, widget.panel.live.click)
    labels = viewer.layers["head labels"].data
    wanted = Grid.of(head).show(drain(segment(head, load_run("tiny-scse"))).labels.data)

    def labelled() -> int:
        return sum(bool(np.take(labels, n, across).any()) for n in range(labels.shape[across]))

    for slices, step in enumerate((14, 9), 1):
        if slices > 1:
            settle(widget, partial(viewer.dims.set_current_step, across, step))
        assert _shown(viewer, labels).any()
        assert np.mean(_shown(viewer, labels) == _shown(viewer, wanted)) > 0.98
        assert labelled() == slices
    assert layer in viewer.layers


def test_what_the_canvas_shows_is_segmented_and_what_it_shows_next(
    make_napari_viewer_proxy: Callable[..., Any], head: Volume, dock: Dock, settle: Callable[..., None], qtbot: QtBot
) -> None:
    viewer = make_napari_viewer_proxy(show=True)  # what is not drawn has no field of view
    data, keywords, _ = volume_layer(head, "head")
    layer = viewer.add_image(data, **keywords)
    show_plane(viewer, Plane.CORONAL)
    viewer.dims.set_current_step(ACROSS, 13)
    widget = dock(SegmentWidget, "tiny-scse", viewer)

    def zoom_in(*middle: int) -> tuple[slice, slice]:
        camera = viewer.scene.camera
        camera.zoom *= 3
        camera.center = tuple(np.asarray(layer.data_to_world(middle)))
        qtbot.waitUntil(lambda: _seen(layer)[0].stop - _seen(layer)[0].start < layer.data.shape[0])
        return _seen(layer)

    height, width = zoom_in(8, 13, 8)
    widget.state.region = "view"
    settle(widget, widget.panel.live.click)
    labels = viewer.layers["head labels"].data
    wanted = Grid.of(head).show(drain(segment(head, load_run("tiny-scse"))).labels.data)
    there = np.zeros(labels.shape, bool)
    there[height, 13, width] = True
    assert wanted[~there].any()
    assert not labels[~there].any()
    assert np.mean(labels[there] == wanted[there]) > 0.98
    settle(widget, viewer.reset_view)
    assert np.mean(labels[:, 13] == wanted[:, 13]) > 0.98
    assert {n for n in range(27) if labels[:, n].any()} == {13}


def _shown(viewer: Any, data: np.ndarray) -> np.ndarray:
    """Return the part of an array on the scan's grid that is on screen."""
    place = viewer.layers[0].world_to_data(viewer.dims.point)
    across = viewer.dims.order[0]
    return np.take(data, round(float(place[across])), across)


def _seen(layer: Any) -> tuple[slice, slice]:
    """Return the rows and columns of a coronal slice that the canvas shows."""
    (top, _, left), (bottom, _, right) = (corner.tolist() for corner in layer.corner_pixels)
    return slice(top, bottom + 1), slice(left, right + 1)
