"""Explore, as its users meet it: maps and labels computed where one looks, an epoch slider, limits, playing."""

from __future__ import annotations

import gc
import shlex
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtGui import QGuiApplication

from napari_scse._napari.labels import label_volume_layer
from napari_scse._napari.overrides import reference_classes
from napari_scse._widgets.explore.widget import ExploreWidget
from napari_scse._widgets.jobs import Job
from napari_scse.errors import InputError
from napari_scse.events import drain
from napari_scse.exploration import excite
from napari_scse.images import write
from napari_scse.inference import segment
from napari_scse.runs import Run, load_run
from napari_scse.volume import Volume

Dock = Callable[..., Any]
TIMEOUT = 60_000


@pytest.fixture
def explore(dock: Dock, finish: Callable[..., None], qtbot: QtBot) -> Callable[..., Any]:
    """Dock the widget, press Explore, and wait until what is shown is computed."""

    def make(name: str = "tiny-sse", **state: Any) -> Any:
        widget = dock(ExploreWidget, name)
        for key, value in state.items():
            setattr(widget.state, key, value)
        finish(widget)
        assert widget.screening is not None, widget.panel.message.text()
        catch_up(widget, qtbot)
        return widget

    return make


def catch_up(widget: Any, qtbot: QtBot) -> None:
    film = widget.screening.film
    qtbot.waitUntil(lambda: film.next(widget.screening.view) is None, timeout=TIMEOUT)


@pytest.mark.usefixtures("layer")
def test_what_is_shown_is_computed_at_every_epoch(
    viewer: Any, head: Volume, explore: Callable[..., Any], qtbot: QtBot
) -> None:
    viewer.dims.set_current_step(1, 14)  # y: the coronal slice that is shown
    widget = explore()
    names = [one.name for one in viewer.layers]
    assert names == ["head", "head labels by epoch", "head sE-1", "head sD-2"]
    labels, first, last = list(viewer.layers)[1:]
    assert first.axis_labels == labels.axis_labels == ("epoch", "z", "y", "x")
    assert first.data.shape[0] == 3
    assert first.colorbar.visible
    assert not labels.editable
    with pytest.raises(ValueError, match="read-only"):
        labels.data[0] = 1
    film = widget.screening.film
    number = widget.screening.view.number
    assert film.done[:, number].all()
    assert not film.done.all()
    wanted = drain(excite(head, load_run("tiny-sse"), sites=("sE-1", "sD-2"), dtype="float32", batch_size=1))
    np.testing.assert_allclose(film.maps["sE-1"][:, number], wanted["sE-1"][:, number], atol=1e-6)
    shown = np.asarray(first.data)  # nothing is shown where nothing is computed
    there = ~np.isnan(shown)
    axes = first.metadata["napari-scse"]["grid"]["axes"]
    recorded = wanted["sE-1"].transpose(0, *(axis + 1 for axis in axes))
    np.testing.assert_allclose(shown[there], recorded[there], atol=1e-6)
    assert there.sum() == film.done.sum() * recorded[0].size / film.done.shape[1]
    assert np.isnan(shown).any()
    assert np.nanmin(shown) > 0
    assert 0 < last.contrast_limits[0] < last.contrast_limits[1] < 1
    assert set(np.unique(np.asarray(labels.data[2]))) <= set(film.classes.tolist())
    viewer.dims.set_current_step(0, 2)
    assert viewer.canvas.overlays["scse_bottom_left"].text == "epoch 3 · loss 0.333"
    assert widget.curves.epoch == 3
    viewer.dims.set_current_step(2, 3)  # another slice
    catch_up(widget, qtbot)
    assert film.done[:, widget.screening.view.number].all()


@pytest.mark.usefixtures("layer")
def test_the_whole_volume_is_computed_on_request(explore: Callable[..., Any], qtbot: QtBot) -> None:
    widget = explore()
    film = widget.screening.film
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.fill.button.click()
    assert film.done.all()
    assert widget.fill.there.text() == f"{film.done.size} of {film.done.size} frames computed"
    assert not widget.fill.button.isEnabled()
    assert "whole volume" in widget.panel.message.text()


@pytest.mark.usefixtures("layer")
def test_the_whole_volume_of_two_runs_is_computed(explore: Callable[..., Any], dock: Dock, qtbot: QtBot) -> None:
    cards = dock(ExploreWidget).state.catalogue.cards
    widget = explore(other=next(card.path for card in cards if card.name == "tiny-scse"))
    both, told = (widget.screening, widget.beside), []
    for screening in both:
        screening.developed.connect(lambda _, screening=screening: told.append(screening))
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.fill.button.click()
    assert all(screening.film.done.all() for screening in both)
    assert set(told) == set(both)
    total = sum(screening.film.done.size for screening in both)
    assert widget.fill.there.text() == f"{total} of {total} frames computed"
    assert not widget.fill.button.isEnabled()


def test_a_film_whose_layers_are_gone_is_computed_no_more(
    viewer: Any, long: Dock, finish: Callable[..., None], qtbot: QtBot
) -> None:
    widget = long(ExploreWidget)
    finish(widget)
    film = widget.screening.film
    widget.fill.button.click()
    qtbot.waitUntil(lambda: widget.state.job.done >= 8, timeout=TIMEOUT)
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        for layer in list(viewer.layers)[1:]:
            viewer.layers.remove(layer)
    assert not film.done.all()
    assert not film.frames._executors  # its networks are let go of


@pytest.mark.usefixtures("layer")
def test_after_an_error_the_next_slice_is_computed(
    viewer: Any, explore: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    widget = explore()
    film = widget.screening.film

    def refuse() -> None:
        raise InputError("The disk is full.")

    with monkeypatch.context() as full:
        full.setattr(film, "_shelf", SimpleNamespace(require_room=refuse))
        viewer.dims.set_current_step(2, 3)
        qtbot.waitUntil(lambda: widget.state.job.failed, timeout=TIMEOUT)
        assert widget.panel.message.text() == "The disk is full."
    viewer.dims.set_current_step(2, 20)
    catch_up(widget, qtbot)
    assert widget.panel.message.text() == ""

    with monkeypatch.context() as full:
        full.setattr(film, "_shelf", SimpleNamespace(require_room=refuse))
        viewer.dims.set_current_step(2, 10)
        qtbot.waitUntil(lambda: widget.state.job.failed, timeout=TIMEOUT)
    widget.screening.go_on()
    catch_up(widget, qtbot)


def test_cancel_keeps_what_is_computed(long: Dock, finish: Callable[..., None], qtbot: QtBot) -> None:
    widget = long(ExploreWidget)
    finish(widget)
    with qtbot.waitSignal(widget.runner.ended, timeout=TIMEOUT):
        widget.fill.button.click()
        qtbot.waitUntil(lambda: widget.state.job.done >= 8, timeout=TIMEOUT)
        widget.panel.cancel.click()
    film = widget.screening.film
    assert 8 <= film.done.sum() < film.done.size
    assert widget.panel.message.text() == "Cancelled: what is computed stays."
    assert widget.fill.button.isEnabled()


@pytest.mark.usefixtures("layer")
def test_explored_again_it_is_there_at_once(
    viewer: Any, explore: Callable[..., Any], finish: Callable[..., None]
) -> None:
    widget = explore()
    done = int(widget.screening.film.done.sum())
    finish(widget)
    assert int(widget.screening.film.done.sum()) >= done
    assert len(viewer.layers) == 7  # those of before stay


@pytest.mark.usefixtures("layer")
def test_epochs_are_those_of_the_film_beside_another_one(
    viewer: Any, explore: Callable[..., Any], finish: Callable[..., None], tmp_path: Path, qtbot: QtBot
) -> None:
    widget = explore()
    widget.state.epochs = (2, 3)  # the slider still reads 1 to 3
    finish(widget)
    catch_up(widget, qtbot)
    for epoch in (2, 3):
        widget.curves.choose(epoch + 0.1)
        assert viewer.dims.point[0] == epoch
        assert widget.curves.epoch == epoch
    photographed: list[int] = []
    widget.screening.looked.connect(lambda epoch, _: photographed.append(epoch))
    widget.keep.write_film(tmp_path / "film")
    qtbot.waitUntil(lambda: widget.keep.text.text().startswith("Wrote"), timeout=TIMEOUT)
    assert photographed == [0, 1]
    widget.maps_bar.step()  # after the last comes the first
    assert viewer.dims.point[0] == 2


@pytest.mark.usefixtures("layer")
def test_closing_the_dock_ends_the_playing(viewer: Any, explore: Callable[..., Any]) -> None:
    widget = explore()
    play = widget.maps_bar.play
    play.click()
    viewer.window.remove_dock_widget(widget)
    assert not play.isChecked()


@pytest.mark.usefixtures("layer")
def test_limits_grid_and_play(viewer: Any, explore: Callable[..., Any], qtbot: QtBot) -> None:
    widget = explore()
    bar = widget.maps_bar
    assert bar.grid.isChecked()
    assert viewer.canvas.grid.enabled
    layer = viewer.layers["head sE-1"]
    assert layer.name_overlay.visible
    narrow = list(layer.contrast_limits)
    bar.full_range.setChecked(True)
    assert list(layer.contrast_limits) == [0, 1]
    widget.state.full_range = False
    assert layer.contrast_limits == pytest.approx(narrow)
    viewer.canvas.grid.enabled = False
    assert not bar.grid.isChecked()
    viewer.dims.set_current_step(0, 1)
    steps: list[int] = []
    viewer.dims.events.current_step.connect(lambda event: steps.append(event.value[0]))
    bar.play.click()
    qtbot.waitUntil(lambda: steps[:2] == [2, 0], timeout=TIMEOUT)
    bar.play.click()
    assert "Play" in bar.play.text()
    widget.curves.choose(2.4)
    assert viewer.dims.current_step[0] == 1


@pytest.mark.usefixtures("layer")
def test_removing_the_layers_ends_it(viewer: Any, explore: Callable[..., Any], qtbot: QtBot) -> None:
    widget = explore()
    with qtbot.waitSignal(widget.closed, timeout=TIMEOUT):
        for layer in list(viewer.layers)[1:]:
            viewer.layers.remove(layer)
    assert widget.screening is None
    assert not widget.maps_bar.play.isEnabled()
    assert not widget.fill.isVisible()
    qtbot.waitUntil(lambda: not Job._worker_set, timeout=TIMEOUT)


@pytest.mark.usefixtures("layer")
def test_nothing_of_a_film_lives_on(viewer: Any, explore: Callable[..., Any], qtbot: QtBot) -> None:
    widget = explore()
    widget.what_if.boxes["sE-1"].setCurrentIndex(1)
    qtbot.waitUntil(lambda: "pixels" in widget.what_if.text.text(), timeout=TIMEOUT)
    widget.voxel.ask(np.array([0.0, *viewer.dims.point[2:4]]))
    qtbot.waitUntil(lambda: widget.voxel._probe is not None, timeout=TIMEOUT)
    gone = [weakref.ref(widget.screening.film), weakref.ref(widget.screening)]
    while len(viewer.layers) > 1:
        viewer.layers.pop()

    def collected() -> bool:
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        gc.collect()
        return all(ref() is None for ref in gone)

    qtbot.waitUntil(collected, timeout=10_000)


@pytest.mark.usefixtures("layer")
def test_widget_and_state_follow_each_other(dock: Dock) -> None:
    widget = dock(ExploreWidget)
    state = widget.state
    assert widget.sites.values == ("sE-1", "sD-2")
    assert widget.epochs.values == (1, 2, 3)
    widget.sites.button("sE-2").click()  # view -> model
    widget.epochs.button(2).click()
    widget.labels.click()
    assert (state.sites, state.epochs, state.labels) == (("sE-1", "sE-2", "sD-2"), (1, 3), False)
    widget.device.setCurrentIndex(1)
    assert state.device == "cpu"
    state.sites, state.epochs, state.labels = ("sD-1",), (2,), True  # model -> view
    assert (widget.sites.values, widget.epochs.values, widget.labels.isChecked()) == (("sD-1",), (2,), True)
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


def test_a_layer_without_anatomy_gets_maps_over_it(
    viewer: Any, dock: Dock, finish: Callable[..., None], head: Volume, qtbot: QtBot
) -> None:
    plain = viewer.add_image(head.data, scale=(2, 1, 1), translate=(40, 0, -9))
    widget = dock(ExploreWidget)
    widget.picker.editor._directions[0].setCurrentIndex(2)  # z to anterior: the plane of the run is napari's first axis
    widget.state.sites, widget.state.epochs, widget.state.labels = ("sE-1",), (1,), False
    viewer.dims.set_current_step(0, 20)
    finish(widget)
    assert not widget.state.job.failed, widget.state.job.message
    catch_up(widget, qtbot)
    maps = viewer.layers[-1]
    number = widget.screening.view.number
    middle = np.asarray(maps.data_to_world((0, number, 0, 0)))[1]
    assert abs(middle - plain.data_to_world((20, 0, 0))[0]) <= 2  # the slice that is shown


def test_closing_while_computing_is_safe(viewer: Any, long: Dock, finish: Callable[..., None], qtbot: QtBot) -> None:
    widget = long(ExploreWidget)
    finish(widget)
    widget.fill.button.click()
    qtbot.waitUntil(lambda: widget.state.job.done > 0, timeout=TIMEOUT)
    viewer.close()
    qtbot.waitUntil(lambda: not Job._worker_set, timeout=TIMEOUT)


@pytest.mark.usefixtures("layer")
def test_a_click_shows_why(viewer: Any, explore: Callable[..., Any], qtbot: QtBot) -> None:
    widget = explore("tiny-scse")
    panel, film = widget.voxel, widget.screening.film
    before = list(viewer.mouse_drag_callbacks)
    panel.button.click()
    assert len(viewer.mouse_drag_callbacks) == len(before) + 1
    number = widget.screening.view.number
    right, anterior, superior = (film.labels_affine @ (number, 5, 4, 1))[:3]
    panel.ask(np.array([superior, anterior, right]))
    qtbot.waitUntil(lambda: "at epoch 3" in panel.text.text(), timeout=TIMEOUT)
    assert f"R {right:.0f}" in panel.text.text()
    assert len(panel.gates.plot.listDataItems()) == 4
    assert panel.channels.isVisibleTo(panel)
    panel.site.setCurrentIndex(2)
    assert panel._picture.image.shape == (4, 3)
    chosen = panel.site.value
    panel.ask(np.array([superior, anterior, right]))
    assert panel.site.value == chosen
    panel.ask(np.array([500.0, anterior, right]))
    assert "outside" in panel.text.text()
    panel.button.click()
    assert list(viewer.mouse_drag_callbacks) == before


@pytest.mark.usefixtures("layer")
def test_columns_of_channel_gates_are_named_after_their_epochs(explore: Callable[..., Any], qtbot: QtBot) -> None:
    widget = explore("tiny-scse", epochs=(1, 3))
    panel, film = widget.voxel, widget.screening.film
    panel.button.click()
    panel.ask((film.labels_affine @ (widget.screening.view.number, 5, 4, 1))[2::-1])
    qtbot.waitUntil(lambda: "at epoch 3" in panel.text.text(), timeout=TIMEOUT)
    assert panel._picture.mapRectToParent(panel._picture.boundingRect()).left() == -0.5
    assert panel.channels.getAxis("bottom")._tickLevels == [[(0, "1"), (1, "3")]]


@pytest.mark.usefixtures("layer")
def test_a_painted_gate_changes_the_labels_of_the_slice(viewer: Any, explore: Callable[..., Any], qtbot: QtBot) -> None:
    widget = explore()
    panel, screening = widget.what_if, widget.screening
    before = {name: value.clone() for name, value in screening.film.frames.executor(0).network.state_dict().items()}
    box = panel.boxes["sD-2"]
    box.setCurrentIndex(box.findText("painted"))
    qtbot.waitUntil(lambda: "pixels" in panel.text.text(), timeout=TIMEOUT)
    assert panel.text.text().startswith("0 pixels")  # nothing is painted yet
    painted = viewer.layers["head sD-2 painted"]
    assert painted.mode == "paint"
    assert painted.selected_label == 1
    painted.paint(tuple(size // 2 for size in painted.data.shape), 1)  # not in the shown slice, perhaps
    shut = np.zeros(painted.data.shape, np.uint8)
    panel._painted["sD-2"]._grid.restore(shut)[screening.view.number] = 1
    painted.data_setitem(np.nonzero(shut), 1)
    qtbot.waitUntil(lambda: not panel.text.text().startswith("0 pixels"), timeout=TIMEOUT)
    painted.undo()
    painted.undo()
    qtbot.waitUntil(lambda: panel.text.text().startswith("0 pixels"), timeout=TIMEOUT)
    painted.data = painted.data.astype(np.uint16)  # napari's "Convert data type"
    painted.data_setitem(np.nonzero(shut), 1)
    qtbot.waitUntil(lambda: not panel.text.text().startswith("0 pixels"), timeout=TIMEOUT)
    answer = viewer.layers["head labels, what if"]
    assert viewer.layers.selection.active == painted  # the brush stays in hand
    assert len(np.unique(np.asarray(answer.data))) <= 2  # nothing passes: one label
    panel.reset.click()
    assert "head labels, what if" not in viewer.layers
    after = screening.film.frames.executor(0).network.state_dict()
    assert all(bool((after[name] == value).all()) for name, value in before.items())


@pytest.mark.usefixtures("layer")
def test_dice_against_a_reference(viewer: Any, explore: Callable[..., Any], head: Volume, qtbot: QtBot) -> None:
    widget = explore()
    panel, screening = widget.what_if, widget.screening
    found = drain(segment(head, load_run("tiny-sse"), mirror=False))
    data, keywords, _ = label_volume_layer(found.labels, "truth")
    truth = viewer.add_labels(data, **keywords)
    classes = reference_classes(truth, screening.film, screening.source, screening.structures, screening.view.number)
    assert classes.shape == screening.film.frames.layout.plane_shape
    assert set(np.unique(classes)) <= set(range(len(screening.film.classes)))
    assert [choice.text for choice in panel.reference.choices] == ["none", "truth"]
    panel.reference.setCurrentIndex(1)
    panel.boxes["sE-1"].setCurrentIndex(1)
    qtbot.waitUntil(lambda: "Dice against “truth”" in panel.text.text(), timeout=TIMEOUT)


@pytest.mark.usefixtures("layer")
def test_what_is_shown_is_kept(viewer: Any, explore: Callable[..., Any], tmp_path: Path, qtbot: QtBot) -> None:
    widget = explore("tiny-scse", winners=True)
    assert "head wE-1" in viewer.layers
    panel = widget.keep
    for keep, path, how in (
        (panel.write_figure, tmp_path / "figure.png", ""),
        (panel.write_film, tmp_path / "film", ""),
        (panel.write_numbers, tmp_path / "numbers.csv", ", by the run's own labels"),
    ):
        keep(path)
        qtbot.waitUntil(lambda path=path, how=how: panel.text.text() == f"Wrote {path}{how}.", timeout=TIMEOUT)
        qtbot.waitUntil(lambda: panel._job is None, timeout=TIMEOUT)
    assert len(list((tmp_path / "film").iterdir())) == 3
    assert "auc" in (tmp_path / "numbers.csv").read_text()
    assert (tmp_path / "numbers.pdf").exists()
    panel.write_figure(tmp_path / "figure.txt")
    qtbot.waitUntil(lambda: "A plot ends in" in panel.text.text(), timeout=TIMEOUT)


@pytest.mark.usefixtures("layer")
def test_one_thing_is_kept_at_a_time(explore: Callable[..., Any], tmp_path: Path, qtbot: QtBot) -> None:
    panel = explore().keep
    buttons = (panel.figure, panel.film, panel.numbers)
    panel.write_film(tmp_path / "film")
    qtbot.waitUntil(lambda: panel.text.text().startswith("1 of 3"), timeout=TIMEOUT)
    assert not any(button.isEnabled() for button in buttons)
    panel.write_figure(tmp_path / "figure.png")
    qtbot.waitUntil(lambda: panel.text.text() == f"Wrote {tmp_path / 'film'}.", timeout=TIMEOUT)
    qtbot.waitUntil(lambda: all(button.isEnabled() for button in buttons), timeout=TIMEOUT)
    assert len(list((tmp_path / "film").iterdir())) == 3
    assert not (tmp_path / "figure.png").exists()


@pytest.mark.usefixtures("layer")
def test_a_film_is_of_one_slice(viewer: Any, explore: Callable[..., Any], tmp_path: Path, qtbot: QtBot) -> None:
    panel = explore().keep
    panel.write_film(tmp_path / "film.gif")
    qtbot.waitUntil(lambda: "photographed" in panel.text.text(), timeout=TIMEOUT)
    viewer.dims.set_current_step(2, 3)
    qtbot.waitUntil(lambda: panel.text.text().startswith("No film"), timeout=TIMEOUT)
    assert not (tmp_path / "film.gif").exists()


@pytest.mark.usefixtures("layer")
def test_numbers_are_measured_by_labels_of_structures(
    viewer: Any, explore: Callable[..., Any], head: Volume, tmp_path: Path, qtbot: QtBot
) -> None:
    widget = explore()
    data, keywords, _ = label_volume_layer(drain(segment(head, load_run("tiny-sse"), mirror=False)).labels, "truth")
    viewer.add_labels(data, **keywords)
    boxes = widget.what_if.boxes
    assert {site for site, box in boxes.items() if box.findText("painted") > 0} == {"sE-1", "sD-2"}  # that are recorded
    boxes["sE-1"].setCurrentIndex(boxes["sE-1"].findText("painted"))
    qtbot.waitUntil(lambda: "head labels, what if" in viewer.layers, timeout=TIMEOUT)
    assert [choice.text for choice in widget.what_if.reference.choices] == ["none", "truth"]
    widget.keep.write_numbers(tmp_path / "numbers.csv")
    qtbot.waitUntil(lambda: widget.keep.text.text().endswith("numbers.csv, by “truth”."), timeout=TIMEOUT)


@pytest.mark.usefixtures("layer")
def test_it_is_copied_as_python_that_runs(
    viewer: Any, explore: Callable[..., Any], head: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = explore(sites=("sE-2",), epochs=(1, 3), precision="float32")
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "scan.nii.gz", head)
    widget.copy.buttons["python"].click()
    names: dict[str, Any] = {}
    exec(QGuiApplication.clipboard().text(), names)  # noqa: S102 - it is our own text that is tested
    view, film = widget.screening.view, widget.screening.film
    copied = names["film"]
    assert copied.epochs == (1, 3)
    np.testing.assert_allclose(copied.maps["sE-2"][:, view.number], film.maps["sE-2"][:, view.number], atol=1e-5)
    widget.copy.buttons["command"].click()
    words = shlex.split(QGuiApplication.clipboard().text())
    assert words[:4] == ["napari-scse", "excite", "scan.nii.gz", "maps.zarr"]
    assert "1,3" in words

    widget.state.sites, widget.state.epochs = ("sE-1",), (2,)
    viewer.layers.selection.active = viewer.layers["head"]
    widget.copy.buttons["restore"].click()
    assert "Select a layer" in widget.copy.text.text()
    viewer.layers.selection.active = viewer.layers["head sE-2"]
    widget.copy.buttons["restore"].click()
    assert (widget.state.sites, widget.state.epochs) == (("sE-2",), (1, 3))


@pytest.mark.usefixtures("layer")
def test_what_is_shown_is_copied_whatever_is_chosen_since(explore: Callable[..., Any]) -> None:
    widget = explore(sites=("sE-2",), epochs=(1, 3))

    def copied() -> list[str]:
        texts = []
        for what in ("python", "command"):
            widget.copy.buttons[what].click()
            texts.append(QGuiApplication.clipboard().text())
        return texts

    before = copied()
    widget.state.choose(next(card for card in widget.state.catalogue.cards if card.name == "tiny-scse"))
    widget.state.sites, widget.state.epochs, widget.state.labels = (), (2,), False
    assert copied() == before
    assert "load_run('tiny-sse')" in before[0]


def test_the_frame_of_a_series_is_copied(
    viewer: Any, head: Volume, dock: Dock, finish: Callable[..., None], qtbot: QtBot
) -> None:
    viewer.add_image(np.stack([head.data.transpose(2, 1, 0)] * 3), name="series")
    widget = dock(ExploreWidget)
    viewer.dims.set_current_step(0, 2)
    finish(widget)
    catch_up(widget, qtbot)
    viewer.dims.set_current_step(0, 1)
    widget.copy.buttons["python"].click()
    assert "read('scan.nii.gz', frame=2)" in QGuiApplication.clipboard().text()
    widget.copy.buttons["command"].click()
    assert QGuiApplication.clipboard().text().endswith("--frame 2")


@pytest.mark.usefixtures("layer")
def test_two_runs_are_compared(viewer: Any, explore: Callable[..., Any], dock: Dock, qtbot: QtBot) -> None:
    first = dock(ExploreWidget)
    second = next(card for card in first.state.catalogue.cards if card.name == "tiny-scse")
    assert [choice.text for choice in first.other.choices] == ["none", "tiny-scse"]
    widget = explore(other=second.path)
    qtbot.waitUntil(lambda: widget.beside.film.next(widget.beside.view) is None, timeout=TIMEOUT)
    names = {layer.name for layer in viewer.layers}
    assert {"head tiny-sse sE-1", "head tiny-scse sE-1", "head sE-1 difference", "head disagreement"} <= names
    one, other = viewer.layers["head tiny-sse sE-1"], viewer.layers["head tiny-scse sE-1"]
    widget.screening._update_limits()
    widget.beside._update_limits()
    assert one.contrast_limits == pytest.approx(other.contrast_limits)
    gap = np.asarray(viewer.layers["head sE-1 difference"].data)
    assert np.isfinite(gap).any()
    assert not np.isfinite(gap).all()
    differ = np.asarray(viewer.layers["head disagreement"].data)
    assert set(np.unique(differ)) <= {0, 1}
    for layer in list(viewer.layers)[1:]:
        viewer.layers.remove(layer)
    assert widget.screening is None
    assert widget.beside is None
