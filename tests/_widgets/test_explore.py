"""Explore, as its users meet it: maps that grow, an epoch slider with a caption, limits, playing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from napari_scse._widgets.cards import RunCard
from napari_scse._widgets.explore import ExploreWidget
from napari_scse._widgets.jobs import Job
from napari_scse._widgets.recording import maps_size
from napari_scse.events import drain
from napari_scse.exploration import excite
from napari_scse.runs import Run, load_run
from napari_scse.volume import Volume

Dock = Callable[..., Any]
TIMEOUT = 60_000


@pytest.mark.usefixtures("layer")
def test_maps_become_layers_with_an_epoch_slider(
    viewer: Any, head: Volume, dock: Dock, finish: Callable[..., None]
) -> None:
    widget = dock(ExploreWidget)
    widget.slab.count.setValue(5)
    viewer.dims.set_current_step(1, 14)  # y: the coronal slice that is shown
    finish(widget)
    assert [one.name for one in viewer.layers] == ["head", "head sE-1", "head sD-2"]
    first, last = list(viewer.layers)[1:]
    assert first.axis_labels == ("epoch", "z", "y", "x")
    assert first.data.shape[::2] == (3, 5)  # epochs, slices
    assert first.colorbar.visible
    sites = ("sE-1", "sD-2")
    wanted = drain(excite(head, load_run("tiny-sse"), sites=sites, slab=5, centre=14, dtype="float32"))
    assert np.array_equal(first.data.stored, wanted["sE-1"])
    assert last.contrast_limits == pytest.approx(wanted.limits("sD-2"))
    viewer.dims.set_current_step(0, 2)
    assert viewer.canvas.overlays["scse_bottom_left"].text == "epoch 3 · loss 0.333"
    assert "30 maps" not in widget.panel.message.text()
    assert "15 maps of 2 sites" in widget.panel.message.text()


@pytest.mark.usefixtures("layer")
def test_limits_grid_and_play(viewer: Any, dock: Dock, finish: Callable[..., None], qtbot: QtBot) -> None:
    widget = dock(ExploreWidget)
    bar = widget.maps_bar
    assert not bar.play.isEnabled()
    widget.state.slab = 2
    finish(widget)
    layer = viewer.layers["head sE-1"]
    narrow = list(layer.contrast_limits)
    bar.full_range.setChecked(True)
    assert list(layer.contrast_limits) == [0, 1]
    widget.state.full_range = False
    assert layer.contrast_limits == pytest.approx(narrow)
    bar.grid.setChecked(True)
    assert viewer.canvas.grid.enabled
    assert layer.name_overlay.visible
    viewer.canvas.grid.enabled = False
    assert not bar.grid.isChecked()
    viewer.dims.set_current_step(0, 1)
    steps: list[int] = []
    viewer.dims.events.current_step.connect(lambda event: steps.append(event.value[0]))
    bar.play.click()
    qtbot.waitUntil(lambda: steps[:2] == [2, 0], timeout=TIMEOUT)
    bar.play.click()
    assert "Play" in bar.play.text()
    viewer.layers.remove("head sE-1")
    viewer.layers.remove("head sD-2")
    assert not bar.play.isEnabled()


@pytest.mark.usefixtures("layer")
def test_widget_and_state_follow_each_other(dock: Dock) -> None:
    widget = dock(ExploreWidget)
    state = widget.state
    assert widget.sites.values == ("sE-1", "sD-2")
    assert widget.epochs.values == (1, 2, 3)
    widget.sites.button("sE-2").click()  # view -> model
    widget.epochs.button(2).click()
    assert (state.sites, state.epochs) == (("sE-1", "sE-2", "sD-2"), (1, 3))
    widget.slab.box.setCurrentIndex(1)
    assert state.slab is None
    widget.device.setCurrentIndex(1)
    assert state.device == "cpu"
    state.sites, state.epochs, state.slab = ("sD-1",), (2,), 7  # model -> view
    assert (widget.sites.values, widget.epochs.values, widget.slab.value) == (("sD-1",), (2,), 7)
    state.sites = ()
    assert not widget.panel.run.isEnabled()
    assert widget.panel.message.text() == "Choose at least one site."
    state.sites, state.epochs = ("sE-1",), ()
    assert widget.panel.message.text() == "Choose at least one epoch."
    widget.runs.box.setCurrentIndex(widget.runs.box.findText("tiny-scse"))
    assert state.card.name == "tiny-scse"


def test_runs_without_spatial_gates_are_closed(dock: Dock, qtbot: QtBot, tiny_run: Callable[..., Run]) -> None:
    widget = dock(ExploreWidget)
    texts = [choice.text for choice in widget.runs.box.choices if not choice.is_open]
    assert {"tiny-cse", "tiny-unet"} <= set(texts)
    blind = tiny_run(name="blind", excitation="cse")
    with qtbot.waitSignal(widget.runs.opened, timeout=TIMEOUT):
        widget.runs.open_folder(blind.path)
    assert "no spatial gate" in widget.panel.message.text()
    assert widget.state.card.name == "tiny-sse"


def test_cancel_keeps_the_finished_maps(viewer: Any, long: Dock, qtbot: QtBot) -> None:
    widget = long(ExploreWidget)
    widget.state.slab = None
    panel = ref(widget.panel)

    def look(job: Any) -> None:
        if job.phase == "running" and "maps" in job.what and job.done >= 8:
            panel().cancel.click()

    widget.state.events.job.connect(look)
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.panel.run.click()
    job = widget.state.job
    assert 8 <= job.done < job.total == 180
    assert "the layers keep them" in widget.panel.message.text()
    stored = viewer.layers["long sE-1"].data.stored
    assert np.all(stored[0, :8].max((1, 2)) > 0)
    assert not stored[-1, -1].any()


def test_removing_the_maps_stops_the_run(viewer: Any, long: Dock, qtbot: QtBot) -> None:
    widget = long(ExploreWidget)
    widget.state.slab = None
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.panel.run.click()
        qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=TIMEOUT)
        for name in ("long sE-1", "long sD-3"):
            viewer.layers.remove(name)
    assert [one.name for one in viewer.layers] == ["long"]
    assert not widget.state.job.is_busy


def test_a_layer_without_anatomy_gets_maps_over_it(
    viewer: Any, dock: Dock, finish: Callable[..., None], head: Volume
) -> None:
    plain = viewer.add_image(head.data, scale=(2, 1, 1), translate=(40, 0, -9))
    widget = dock(ExploreWidget)
    widget.picker.editor._directions[0].setCurrentIndex(2)  # z to anterior: the plane of the run is napari's first axis
    widget.state.sites, widget.state.epochs, widget.state.slab = ("sE-1",), (1,), 3
    viewer.dims.set_current_step(0, 20)
    finish(widget)
    assert not widget.state.job.failed, widget.state.job.message
    maps = viewer.layers[-1]
    middle = np.asarray(maps.data_to_world((0, 1, 0, 0)))[1]
    assert abs(middle - plain.data_to_world((20, 0, 0))[0]) <= 2  # the slab lies around the slice that is shown
    assert maps.data.shape[1] == 3


def test_closing_while_running_is_safe(viewer: Any, long: Dock, qtbot: QtBot) -> None:
    widget = long(ExploreWidget)
    widget.state.slab = None
    widget.panel.run.click()
    qtbot.waitUntil(lambda: widget.state.job.done > 0, timeout=TIMEOUT)
    viewer.close()
    qtbot.waitUntil(lambda: not Job._worker_set, timeout=TIMEOUT)


def test_maps_that_would_not_fit_are_kept_in_eight_bits(runs: list[Run], head: Volume) -> None:
    card = RunCard.of(runs[0])
    assert dict(zip(card.sites, card.strides, strict=True)) == {"sE-1": 1, "sE-2": 2, "sD-1": 2, "sD-2": 1}
    whole = maps_size(head, card, ("sE-1",), 3, None)
    assert whole == pytest.approx(4 * 3 * np.prod(np.asarray(head.shape) * head.spacing))
    assert maps_size(head, card, ("sE-2",), 3, None) == pytest.approx(whole / 4)
    assert maps_size(head, card, ("sE-1",), 3, 2) < whole / 4
