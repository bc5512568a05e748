"""The Numbers dock: what it shows, that it follows the layer, where a click leads, and that nothing hidden is lost."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Layer
from napari.utils.colormaps import DirectLabelColormap
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QModelIndex, Qt, QTimer
from qtpy.QtGui import QGuiApplication

from napari_scse._napari.labels import labels_layer
from napari_scse._napari.layers import Grid, volume_layer
from napari_scse._napari.lost_layers import subject_of
from napari_scse._widgets.numbers.widget import NumbersWidget
from napari_scse.evaluation.numbers import structure_numbers
from napari_scse.evaluation.tally import count
from napari_scse.evaluation.volumes import voxel_mm3
from napari_scse.events import drain
from napari_scse.structures import FREESURFER27
from napari_scse.volume import LabelVolume, Volume

TIMEOUT = 60_000
Docked = Callable[[], NumbersWidget]


@pytest.fixture
def truth(head: Volume, labels: LabelVolume) -> LabelVolume:
    """Labels of `head`."""
    return LabelVolume(labels.data, head.affine)


@pytest.fixture
def labels_(viewer: Any, layer: Any, truth: LabelVolume) -> Any:  # noqa: ARG001 - it lies below
    """`truth` as a layer over `layer`."""
    data, keywords, _ = labels_layer(np.array(truth.data), Grid.of(truth), FREESURFER27, "labels")
    return viewer.add_labels(data, **keywords)


@pytest.fixture
def wait(qtbot: QtBot) -> Callable[[NumbersWidget], None]:
    """Wait until a dock has counted all there is."""

    def until_settled(widget: NumbersWidget) -> None:
        qtbot.waitUntil(lambda: not widget.counting.is_busy, timeout=TIMEOUT)

    return until_settled


@pytest.fixture
def docked(labels_: Any, place: Callable[..., Any], wait: Callable[..., None]) -> Docked:  # noqa: ARG001
    """A maker of the dock, with everything counted."""

    def make() -> NumbersWidget:
        widget: NumbersWidget = place(NumbersWidget)
        wait(widget)
        return widget

    return make


def _anew(labels: Any, image: Any = None, reference: Any = None, mm3: float = 1.0) -> tuple[Any, ...]:
    arrays = [None if one is None else np.asarray(one.data) for one in (image, reference)]
    return structure_numbers(drain(count(np.asarray(labels.data), *arrays)), FREESURFER27, mm3)


def _agree(widget: NumbersWidget, expected: tuple[Any, ...]) -> None:
    assert [row.name for row in widget.numbers] == [row.name for row in expected]
    for row, other in zip(widget.numbers, expected, strict=True):
        for name in ("voxels", "ml", "share_percent", "asymmetry_percent", "mean", "sd", "dice"):
            assert getattr(row, name) == pytest.approx(getattr(other, name), rel=1e-6, abs=1e-6, nan_ok=True), name


def test_it_shows_the_numbers_of_the_file(docked: Docked, layer: Any, labels_: Any, truth: LabelVolume) -> None:
    dock = docked()
    assert dock.labels.layer is labels_.__wrapped__
    assert dock.image.layer is layer.__wrapped__
    assert dock.reference.layer is None
    _agree(dock, _anew(labels_, layer, None, voxel_mm3(truth)))
    assert dock.text.text().startswith("4 structures, ")
    assert dock.table.isColumnHidden(8)
    assert not dock.table.isColumnHidden(6)
    assert dock.model.data(dock.model.index(0, 1), Qt.ItemDataRole.DecorationRole).name() == "#f5f5f5"


def test_a_stroke_is_in_the_table_at_once(
    docked: Docked, layer: Any, labels_: Any, truth: LabelVolume, qtbot: QtBot
) -> None:
    dock = docked()
    mm3 = voxel_mm3(truth)
    labels_.brush_size = 5
    labels_.paint((14, 10, 12), 17)
    qtbot.wait(1)
    _agree(dock, _anew(labels_, layer, None, mm3))  # long before it is compared with what was counted
    labels_.fill((2, 2, 2), 53)
    labels_.data_setitem((np.array([3, 4]), np.array([5, 5]), np.array([6, 7])), 16)
    with labels_.block_history():
        labels_.paint((10, 10, 12), 0)
        labels_.paint((10, 11, 12), 10)  # overlaps what was just painted
    qtbot.wait(1)
    _agree(dock, _anew(labels_, layer, None, mm3))


def test_undo_and_growth_are_followed(
    docked: Docked, layer: Any, labels_: Any, truth: LabelVolume, wait: Callable[..., None], qtbot: QtBot
) -> None:
    dock = docked()
    mm3 = voxel_mm3(truth)
    before = dock.numbers
    labels_.brush_size = 9
    labels_.paint((14, 10, 12), 17)
    labels_.undo()
    qtbot.waitUntil(lambda: dock.counting.is_busy, timeout=TIMEOUT)
    wait(dock)
    assert [row.voxels for row in dock.numbers] == [row.voxels for row in before]
    for number in range(5):
        labels_.data[number] = 50 + number
        labels_.refresh()
    wait(dock)
    _agree(dock, _anew(labels_, layer, None, mm3))
    labels_.visible = False
    labels_.data[7] = 2
    labels_.visible = True
    qtbot.waitUntil(lambda: dock.counting.is_busy, timeout=TIMEOUT)
    wait(dock)
    _agree(dock, _anew(labels_, layer, None, mm3))
    labels_.data = labels_.data[:, :, 3:].copy()  # not on the image's grid any more
    wait(dock)
    assert dock.image.layer is None
    assert [row.voxels for row in dock.numbers] == [row.voxels for row in _anew(labels_)]


def test_a_reference_gives_dice_and_may_be_edited(
    viewer: Any, docked: Docked, layer: Any, labels_: Any, truth: LabelVolume, wait: Callable[..., None]
) -> None:
    dock = docked()
    moved = np.roll(truth.data, 1, axis=0)
    data, keywords, _ = labels_layer(np.array(moved), Grid.of(truth), FREESURFER27, "reference")
    reference = viewer.add_labels(data, **keywords)
    assert dock.labels.layer is labels_.__wrapped__  # stays
    dock.reference.choose(reference)
    wait(dock)
    mm3 = voxel_mm3(truth)
    _agree(dock, _anew(labels_, layer, reference, mm3))
    assert "mean Dice" in dock.text.text()
    assert not dock.table.isColumnHidden(8)
    reference.data[:4] = 17
    reference.refresh()
    dock.counting.look()
    wait(dock)
    _agree(dock, _anew(labels_, layer, reference, mm3))
    labels_.paint((12, 8, 9), 17)
    wait(dock)
    _agree(dock, _anew(labels_, layer, reference, mm3))
    viewer.layers.remove(reference)
    wait(dock)
    assert dock.reference.layer is None
    assert all(math.isnan(row.dice) for row in dock.numbers)
    assert dock.table.isColumnHidden(8)


def test_what_does_not_lie_on_the_grid_says_why(viewer: Any, docked: Docked, head: Volume) -> None:
    dock = docked()
    viewer.add_image(np.zeros((4, 5, 6)), name="small")
    data, keywords, _ = volume_layer(Volume(head.data, head.affine + _shift(2.0)), "moved")
    viewer.add_image(data, **keywords)
    reasons = {choice.text: choice.reason for choice in dock.image.box.choices}
    assert reasons == {"moved": "another place", "small": "another grid", "head": "", "no image": ""}
    tips = {choice.text: choice.tooltip for choice in dock.image.box.choices}
    assert "2 mm" in tips["moved"]
    assert [choice.reason for choice in dock.reference.box.choices] == ["", "counted"]


def _shift(mm: float) -> np.ndarray:
    moved = np.zeros((4, 4))
    moved[0, 3] = mm
    return moved


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
@pytest.mark.parametrize("ndisplay", [2, 3])
def test_a_row_leads_to_a_voxel_of_its_structure(
    viewer: Any, docked: Docked, labels_: Any, order: tuple[int, ...], ndisplay: int
) -> None:
    dock = docked()
    viewer.dims.order = order
    viewer.dims.ndisplay = ndisplay
    for row, value in enumerate((2, 3, 41, 42)):
        viewer.dims.set_current_step(0, 0)
        dock.table.clicked.emit(dock.table.sorted.index(row, 1))
        index = tuple(np.round(labels_.world_to_data(viewer.dims.point)).astype(int))
        assert labels_.data[index] == value
        assert labels_.selected_label == value
        if ndisplay == 3:
            world = np.asarray(labels_.data_to_world(index))[list(viewer.dims.displayed)]
            assert np.allclose(viewer.scene.camera.center, world, atol=1.0)


def test_sorting_copying_and_writing(docked: Docked, tmp_path: Path, layer: Any) -> None:
    dock = docked()
    dock.table.sortByColumn(2, Qt.SortOrder.DescendingOrder)
    sizes = [row.voxels for row in dock.table.rows_in_view()]
    assert sizes == sorted(sizes, reverse=True)
    dock.bar.copy.click()
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    header, *lines = [line.split("\t") for line in clipboard.text().splitlines()]
    assert header == ["Value", "Structure", "Voxels", "mL", "%", "L–R %", "Mean", "SD"]
    assert [int(line[2]) for line in lines] == sizes
    dock.bar.write(tmp_path / "numbers.csv")
    with (tmp_path / "numbers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["voxels"]) for row in rows] == [row.voxels for row in dock.numbers]
    dock.bar.write(tmp_path / "numbers.txt")
    assert "ends in .csv" in dock.text.text()
    dock.bar.write(tmp_path / "nowhere" / "numbers.csv")
    assert not list(tmp_path.glob("**/numbers.txt"))
    assert layer.name == "head"


def _box(dock: NumbersWidget, row: int, seen: bool) -> None:
    """Tick or clear the box of a row, as its view does."""
    state = Qt.CheckState.Checked if seen else Qt.CheckState.Unchecked
    assert dock.model.setData(dock.model.index(row, 0), state, Qt.ItemDataRole.CheckStateRole)


def _alpha(layer: Any, value: int) -> float:
    return float(layer.colormap.map(value)[..., -1])


def test_hiding_and_showing_again(docked: Docked, labels_: Any) -> None:
    dock = docked()
    own = labels_.__wrapped__.colormap
    _box(dock, 0, False)
    _box(dock, 2, False)
    assert [_alpha(labels_, value) for value in (2, 3, 41, 42)] == [0, 1, 0, 1]
    assert dock.model.data(dock.model.index(0, 0), Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Unchecked
    _box(dock, 0, True)
    assert [_alpha(labels_, value) for value in (2, 3, 41, 42)] == [1, 1, 0, 1]
    dock.everything.click()
    assert labels_.__wrapped__.colormap is own


def test_a_copy_of_the_layer_hides_nothing(viewer: Any, docked: Docked, labels_: Any) -> None:
    dock = docked()
    _box(dock, 0, False)
    copy = viewer.add_layer(Layer.create(*deepcopy(labels_.__wrapped__.as_layer_data_tuple())))  # as napari does
    assert [_alpha(labels_, 2), _alpha(copy, 2)] == [0, 1]
    assert dict(subject_of(labels_.__wrapped__).look["colors"])[2][-1] == 1  # nor does what a crash leaves


def test_a_colormap_set_elsewhere_is_kept(docked: Docked, labels_: Any) -> None:
    dock = docked()
    _box(dock, 1, False)
    colors = {None: "white", 0: "transparent", 2: "red", 3: "green", 41: "blue", 42: "yellow"}
    other = DirectLabelColormap(color_dict=colors)
    labels_.colormap = other
    assert [_alpha(labels_, value) for value in (2, 3, 41, 42)] == [1, 0, 1, 1]
    assert labels_.colormap.map(2)[..., 0] == 1
    dock.show_all()
    assert labels_.__wrapped__.colormap is other


def test_hiding_in_a_cycle_of_colours(viewer: Any, docked: Docked, wait: Callable[..., None], head: Volume) -> None:
    dock = docked()
    plain = viewer.add_labels((np.arange(31 * 23 * 27).reshape(31, 23, 27) % 5).astype(int), name="plain")
    dock.labels.choose(plain)
    wait(dock)
    assert [row.name for row in dock.numbers] == [f"Label {n}" for n in range(1, 5)]
    assert "no unit of length" in dock.text.text()
    before = {value: plain.colormap.map(value).tolist() for value in range(1, 9)}
    own = plain.__wrapped__.colormap
    _box(dock, 0, False)
    assert _alpha(plain, 1) == 0
    assert {value: plain.colormap.map(value).tolist() for value in (2, 3, 4)} == {v: before[v] for v in (2, 3, 4)}
    plain.paint((3, 3, 3), 8)  # a label that was not there
    wait(dock)
    assert plain.colormap.map(8).tolist() == before[8]
    dock.show_all()
    assert plain.__wrapped__.colormap is own
    assert head.shape == (31, 23, 27)


def test_thousands_of_labels_do_not_hold_the_window(viewer: Any, docked: Docked, wait: Callable[..., None]) -> None:
    dock = docked()
    dock.labels.choose(viewer.add_labels(np.arange(5000).reshape(5, 25, 40)))
    wait(dock)
    assert len(dock.numbers) == 4999
    took = []
    for _ in range(3):
        begun = time.process_time()
        dock.render_numbers()
        took.append(time.process_time() - begun)
    assert min(took) < 0.6  # seconds


def test_solo_is_naparis_own(docked: Docked, labels_: Any) -> None:
    dock = docked()
    dock.solo.click()
    assert labels_.show_selected_label
    dock.go(41)
    assert labels_.selected_label == 41
    colors = [dock.model.data(dock.model.index(n, 1), Qt.ItemDataRole.DecorationRole).alpha() for n in range(4)]
    assert colors == [255] * 4  # the table shows all colours still
    _box(dock, 0, False)
    labels_.show_selected_label = False
    assert not dock.solo.isChecked()
    assert [_alpha(labels_, value) for value in (2, 3, 41, 42)] == [0, 1, 1, 1]
    labels_.show_selected_label = True
    dock.everything.click()
    assert not labels_.show_selected_label
    assert [_alpha(labels_, value) for value in (2, 3, 41, 42)] == [1, 1, 1, 1]
    labels_.selected_label = 3
    assert dock.table.currentIndex().row() == 1


def test_another_layer_and_no_layer(
    viewer: Any, docked: Docked, labels_: Any, wait: Callable[..., None], truth: LabelVolume
) -> None:
    dock = docked()
    own = labels_.__wrapped__.colormap
    _box(dock, 0, False)
    other = viewer.add_labels(np.ones((5, 6), np.uint8), name="flat")
    dock.labels.choose(other)
    assert labels_.__wrapped__.colormap is own  # given back
    wait(dock)
    (row,) = dock.numbers
    assert (row.voxels, math.isnan(row.ml)) == (30, True)
    dock.go(1)
    viewer.layers.remove(other)
    wait(dock)
    assert dock.labels.layer is labels_.__wrapped__
    assert [row.voxels for row in dock.numbers] == [row.voxels for row in _anew(labels_)]
    viewer.layers.remove(labels_)
    wait(dock)
    assert dock.numbers == ()
    assert "to begin" in dock.text.text()
    assert truth.shape


def test_frames_follow_the_slider(viewer: Any, place: Callable[..., Any], wait: Callable[..., None]) -> None:
    films = np.zeros((3, 6, 7, 8), np.uint8)
    for number in range(3):
        films[number, : number + 1] = number + 1
    viewer.add_labels(films, name="film")
    dock = place(NumbersWidget)
    for number in range(3):
        viewer.dims.set_current_step(0, number)
        wait(dock)
        (row,) = dock.numbers
        assert (row.value, row.voxels) == (number + 1, 56 * (number + 1))
        dock.go(number + 1)
        assert viewer.dims.current_step[0] == number
        assert films[tuple(viewer.dims.current_step)] == number + 1


def test_the_frame_on_screen_of_an_image_is_measured_under_still_labels(
    viewer: Any, place: Callable[..., Any], wait: Callable[..., None]
) -> None:
    frames = np.stack([np.full((4, 5, 6), 10.0 * number, np.float32) for number in range(1, 4)])
    frames[:, 0] -= 1
    viewer.add_image(frames, name="bold")
    viewer.add_labels(np.ones((4, 5, 6), np.uint8), name="mask")
    dock = place(NumbersWidget)
    for number in (0, 2, 1):
        viewer.dims.set_current_step(0, number)
        wait(dock)
        (row,) = dock.numbers
        assert row.mean == pytest.approx(10 * (number + 1) - 0.25)


def test_closing_gives_everything_back(viewer: Any, docked: Docked, labels_: Any, wait: Callable[..., None]) -> None:
    dock = docked()
    own = labels_.__wrapped__.colormap
    _box(dock, 0, False)
    labels_.paint((12, 8, 9), 17)
    dock.counting.look()
    viewer.window.remove_dock_widget(dock)
    assert labels_.__wrapped__.colormap is own
    wait(dock)
    labels_.paint((12, 8, 9), 16)
    assert dock.counting.source is None


def test_a_large_head_never_holds_the_window_up(
    viewer: Any, place: Callable[..., Any], wait: Callable[..., None], qtbot: QtBot
) -> None:
    shape = (256, 256, 256)
    grid = np.indices((256, 256), np.float32)
    values = np.array([s.value for s in FREESURFER27], np.uint8)
    plane = np.where(np.hypot(*(grid - 127.5)) < 85, values[(grid.sum(0) // 20).astype(int) % 27], 0).astype(np.uint8)
    data = np.zeros(shape, np.uint8)
    data[50:200] = plane
    layer = viewer.add_labels(data, name="large")
    dock = place(NumbersWidget)
    beats: list[float] = []
    heart = QTimer()
    heart.timeout.connect(lambda: beats.append(time.perf_counter()))
    heart.start(5)
    started = time.perf_counter()
    wait(dock)
    took = time.perf_counter() - started
    data[100:103] = 17
    layer.refresh()
    qtbot.waitUntil(lambda: dock.counting.is_busy, timeout=TIMEOUT)
    wait(dock)
    slots = []
    for value in (17, 53):
        begun = time.perf_counter()
        dock.go(value)
        slots.append(time.perf_counter() - begun)
    heart.stop()
    longest = max(np.diff(beats))
    pauses = f"counted in {took:.2f} s, longest pause {1000 * longest:.0f} ms, going {1000 * max(slots):.0f} ms"
    assert longest < 0.5, pauses  # 50 ms on a machine that does nothing else
    assert sum(row.voxels for row in dock.numbers) == np.count_nonzero(data)
    assert took < 20
    assert dock.model.index(0, 0) != QModelIndex()
