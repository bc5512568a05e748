"""What is painted is the user's, what we write is one step that Ctrl-Z takes back, and neither touches the other."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from napari.layers import Labels
from scipy import ndimage

from napari_scse._napari.edits import Edits
from napari_scse._napari.history import Box, Change, Points, box_around
from napari_scse.errors import InputError

SHAPE = (13, 17, 11)


def make_layer(dtype: type = np.uint8, axes: tuple[int, int, int] = (2, 0, 1), seed: int = 0) -> Any:
    """A layer that shows an (I, J, K) array of labels in another order of axes, as a view."""
    labels = np.random.default_rng(seed).integers(0, 3, SHAPE).astype(dtype)
    return Labels(labels.transpose(axes), name="labels")


@pytest.fixture
def layer() -> Any:
    return make_layer()


def stroke(layer: Any, *points: tuple[float, ...], label: int = 7) -> None:
    """Drag the brush over `points`."""
    with layer.block_history():
        for point in points:
            layer.paint(point, label)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_stroke_is_the_users_until_it_is_undone(dtype: type) -> None:
    layer = make_layer(dtype)
    edits = Edits.of(layer)
    before = layer.data.copy()
    told = []
    edits.changed.connect(lambda: told.append(edits.painted.sum()))
    layer.brush_size = 3
    layer.data[4, 6, 8] = 7  # "this is right" counts as well
    stroke(layer, (4, 6, 8), (4, 7, 8))
    mine = edits.painted.copy()
    assert mine[4, 6, 8]
    assert (layer.data[mine] == 7).all()
    assert mine.sum() == told[-1] > 5
    assert ((layer.data != before) <= mine).all()
    layer.undo()
    assert not edits.painted.any()
    layer.redo()
    assert (edits.painted == mine).all()
    with pytest.raises(ValueError, match="read-only"):
        edits.painted[0] = True


def test_every_tool_counts(layer: Any) -> None:
    edits = Edits.of(layer)
    layer.data[2] = 0
    layer.data[2, 3:6, 3:6] = 5
    layer.fill((2, 4, 4), 6)
    assert edits.painted.sum() == 9
    layer.fill((2, 4, 4), 6)  # the same again: nothing new
    assert len(layer._undo_history) == 1
    layer.paint_polygon([[2, 8, 1], [2, 8, 4], [2, 11, 4], [2, 11, 1]], 3)
    polygon = edits.painted.sum() - 9
    assert polygon > 6
    layer.brush_size = 1
    layer.paint((2, 0, 0), 0)  # erases what is clear already
    assert edits.painted.sum() == 9 + polygon + 1
    layer.data_setitem(tuple(np.array([[5], [5], [5]])), 9)
    assert edits.painted[5, 5, 5]
    for expected in (9 + polygon + 1, 9 + polygon, 9, 0):
        layer.undo()
        assert edits.painted.sum() == expected


def test_a_fill_with_the_label_that_is_there_keeps_the_region(layer: Any) -> None:
    edits = Edits.of(layer)
    layer.data[3] = 0
    layer.data[3, 3:6, 3:6] = 5
    layer.fill((3, 4, 4), 5)
    assert edits.painted.sum() == 9
    assert edits.painted[3, 3:6, 3:6].all()
    layer.undo()
    assert not edits.painted.any()
    layer.n_edit_dimensions = 3
    layer.contiguous = False
    layer.fill((3, 4, 4), 5)
    assert (edits.painted == (layer.data == 5)).all()


@pytest.mark.parametrize("seed", [(3, 4, 5), (60, 70, 80), (110, 20, 100)])
def test_such_a_fill_keeps_what_hangs_together_however_far_it_goes(seed: tuple[int, int, int]) -> None:
    numbers = np.random.default_rng(3).random((28, 23, 27))
    coarse = (ndimage.gaussian_filter(numbers, 1) > np.median(numbers)).astype(np.uint8)
    layer = Labels(np.kron(coarse, np.ones((4, 4, 4), np.uint8)) + 1)
    layer.n_edit_dimensions = 3
    edits, value = Edits.of(layer), int(layer.data[seed])
    parts, _ = ndimage.label(layer.data == value)
    layer.fill(seed, value)
    assert (edits.painted == (parts == parts[seed])).all()
    assert edits.painted.sum() > 40**3


def test_labels_that_are_preserved_are_not_painted(layer: Any) -> None:
    edits = Edits.of(layer)
    layer.preserve_labels = True
    layer.brush_size = 5
    layer.data[4] = 0
    layer.data[4, 6, 8] = 2
    layer.data[4, 7, 8] = 7
    layer.paint((4, 6, 8), 7)
    assert layer.data[4, 6, 8] == 2
    assert not edits.painted[4, 6, 8]
    assert edits.painted[4, 7, 8]


def test_what_was_painted_before_anybody_asked_counts(layer: Any) -> None:
    layer.brush_size = 2
    layer.paint((1, 2, 3), 9)
    layer.paint((5, 6, 7), 9)
    edits = Edits.of(layer)
    assert (edits.painted == (layer.data == 9)).all()
    layer.undo()
    assert (edits.painted == (layer.data == 9)).all()


def test_our_step_is_one_and_spares_strokes(layer: Any) -> None:
    edits = Edits.of(layer)
    before = layer.data.copy()
    layer.brush_size = 3
    stroke(layer, (4, 6, 8), label=9)
    edits.begin()
    for z in range(layer.data.shape[0]):
        edits.write(z, np.full(layer.data.shape[1:], 40 + z, np.uint8))
        if z == 6:
            stroke(layer, (3, 2, 2), (8, 3, 3), label=9)  # one place written already, one to come
    mine = edits.painted.copy()
    changed = edits.commit()
    assert changed == (~mine).sum()
    assert (layer.data[mine] == 9).all()
    written = layer.data.copy()
    layer.undo()
    assert (layer.data == np.where(mine, 9, before)).all()  # ours is undone, their strokes are there
    assert (edits.painted == mine).all()
    layer.undo()
    layer.undo()
    assert (layer.data == before).all()  # bit for bit, also under a stroke over labels of ours
    assert not edits.painted.any()
    for _ in range(3):
        layer.redo()
    assert (layer.data == written).all()
    assert (edits.painted == mine).all()


def test_a_stroke_that_is_undone_meanwhile_uncovers_our_labels(layer: Any) -> None:
    edits = Edits.of(layer)
    before = layer.data.copy()
    edits.begin()
    edits.write(4, 50)
    layer.brush_size = 3
    stroke(layer, (4, 6, 8))
    layer.undo()
    assert (layer.data[4] == 50).all()
    layer.redo()
    assert (layer.data[edits.painted] == 7).all()
    layer.undo()
    edits.commit()
    layer.undo()
    assert (layer.data == before).all()


def test_a_confirmed_label_of_ours_stays_when_we_are_undone(layer: Any) -> None:
    edits = Edits.of(layer)
    edits.begin()
    edits.write(4, 50)
    layer.brush_size = 3
    stroke(layer, (4, 6, 8), label=50)
    mine = edits.painted.copy()
    assert mine.any()
    edits.commit()
    layer.undo()
    assert (layer.data[mine] == 50).all()
    assert (layer.data[~mine] != 50).all()


def test_rollback_leaves_strokes_and_no_step(layer: Any) -> None:
    edits = Edits.of(layer)
    before = layer.data.copy()
    edits.begin()
    edits.write(..., 50)
    stroke(layer, (4, 6, 8))
    edits.rollback()
    assert (layer.data == np.where(edits.painted, 7, before)).all()
    layer.undo()
    assert (layer.data == before).all()
    assert not layer._undo_history


def test_writing_between_two_mouse_moves_spares_the_stroke(layer: Any) -> None:
    edits = Edits.of(layer)
    before = layer.data.copy()
    layer.brush_size = 3
    edits.begin()
    edits.write(4, 50)
    with layer.block_history():
        layer.paint((4, 6, 8), 7)
        edits.write(4, 51)
        assert layer.data[4, 6, 8] == 7
        layer.paint((4, 9, 8), 51)  # the value that is there
        edits.commit()
        edits.begin()
        edits.write(4, 52)
        layer.paint((4, 12, 8), 7)
    mine = edits.painted.copy()
    assert mine[4, 6, 8]
    assert mine[4, 9, 8]
    assert mine[4, 12, 8]
    edits.commit()
    assert (layer.data[4][~mine[4]] == 52).all()
    while layer._undo_history:
        layer.undo()
    assert (layer.data == before).all()


def test_a_stroke_that_napari_aborts_is_none(layer: Any) -> None:
    edits = Edits.of(layer)
    layer._begin_stroke()
    layer.paint((4, 6, 8), 7)
    layer._abort_stroke()
    assert not edits.painted.any()
    assert edits.write(4, 50) > 0
    assert (layer.data[4] == 50).all()


def test_locking_is_a_step(layer: Any) -> None:
    edits = Edits.of(layer)
    edits.lock(layer.data == 2)
    edits.write(..., 50)
    assert ((layer.data == 2) == edits.painted).all()
    edits.unlock(np.arange(layer.data.shape[0])[:, None, None] < 4)
    assert not edits.painted[:4].any()
    assert edits.painted[4:].any()
    edits.unlock()
    assert not edits.painted.any()
    layer.undo()
    layer.undo()
    assert (edits.painted == (layer.data == 2)).all()
    layer.undo()
    layer.undo()
    assert not edits.painted.any()
    edits.unlock()  # nothing to unlock, no step
    assert not layer._undo_history


def test_locking_in_a_box_concerns_that_box_only(layer: Any) -> None:
    edits = Edits.of(layer)
    shape = layer.data.shape
    box = (slice(2, 7), slice(0, shape[1]), slice(4, 9))
    wanted = np.random.default_rng(2).random(shape) < 0.3
    inside = np.zeros(shape, bool)
    inside[box] = True
    edits.lock(wanted[box], box)
    assert (edits.painted == (wanted & inside)).all()
    edits.lock(wanted)
    assert (edits.painted == wanted).all()
    edits.unlock(~wanted[box], box)
    assert len(layer._undo_history) == 2  # there was nothing to unlock
    edits.unlock(None, box)
    assert (edits.painted == (wanted & ~inside)).all()
    layer.undo()
    layer.undo()
    assert (edits.painted == (wanted & inside)).all()
    layer.undo()
    assert not edits.painted.any()


def test_a_box_around_places_is_the_smallest() -> None:
    places = [
        Box((slice(2, 4), slice(5, 6), slice(None)), None),
        Points((np.array([1, 3]), np.array([5, 9]), np.array([0, 10]))),
    ]
    assert box_around(places, SHAPE) == (slice(1, 4), slice(5, 10), slice(0, 11))
    assert box_around(places[1:], SHAPE) == (slice(1, 4), slice(5, 10), slice(0, 11))
    assert box_around(places[:1], SHAPE) == (slice(2, 4), slice(5, 6), slice(0, 11))


def test_labels_that_do_not_fit_are_refused(layer: Any) -> None:
    with pytest.raises(InputError, match=r"holds uint8 numbers, up to 255; the label 1001 is more"):
        Edits.of(layer).write(2, np.array(1001, np.uint16))
    assert Edits.of(layer).write(2, np.array(200, np.int64)) == layer.data[2].size
    with pytest.raises(InputError, match="several resolutions"):
        Edits.of(Labels([np.zeros((8, 8), int), np.zeros((4, 4), int)], multiscale=True))


def test_labels_in_a_zarr_store_are_edited_in_place() -> None:
    first = np.random.default_rng(0).integers(0, 3, (9, 10, 11)).astype(np.uint8)
    store = zarr.array(first, chunks=(3, 10, 11))
    layer = Labels(store)
    edits = Edits.of(layer)
    layer.brush_size = 3
    layer.paint((2, 3, 4), 7)
    edits.begin()
    for z in range(9):
        edits.write(z, 50)
    layer.paint((5, 3, 4), 50)
    layer.paint((6, 3, 4), 8)
    mine = edits.painted.copy()
    edits.commit()
    layer.undo()
    assert (store[:] == np.where(mine, store[:], first)).all()
    assert {7, 8, 50} == set(np.unique(store[:][mine]).tolist())
    layer.redo()
    assert (store[:][~mine] == 50).all()
    while layer._undo_history:
        layer.undo()
    assert (store[:] == first).all()


def test_other_data_are_begun_anew(layer: Any) -> None:
    edits = Edits.of(layer)
    stroke(layer, (4, 6, 8))
    edits.begin()
    edits.write(4, 50)
    layer.data = layer.data.copy()
    assert edits.painted.any()
    assert edits.commit() == 0
    layer.data = np.zeros((4, 5, 6), np.uint8)
    assert edits.painted.shape == (4, 5, 6)
    assert not edits.painted.any()


def test_an_operation_goes_on_in_converted_data(layer: Any) -> None:
    """napari's "Convert data type", while a run writes."""
    edits = Edits.of(layer)
    edits.begin()
    edits.write(4, 50)
    layer.data = layer.data.astype(np.int32)
    before = layer.data.copy()
    edits.write(5, 300)
    edits.write(6, 300)
    edits.commit()
    assert len(layer._undo_history) == 1
    layer.undo()
    assert (layer.data == before).all()


def test_it_goes_with_its_layer_and_others_are_not_concerned() -> None:
    viewer = ViewerModel()
    layers = [viewer.add_labels(np.zeros((6, 7, 8), np.uint8)) for _ in range(5)]
    all_edits = [Edits.of(layer) for layer in layers]
    assert [Edits.of(layer) for layer in layers] == all_edits
    layers[2].paint((1, 2, 3), 4)
    assert [edits.painted.any() for edits in all_edits] == [False, False, True, False, False]
    all_edits[2].begin()
    all_edits[2].write(2, 9)
    left = [weakref.ref(thing) for thing in (layers[2], all_edits[2])]
    viewer.layers.remove(layers[2])
    del layers[2], all_edits[2], viewer
    gc.collect()
    assert [thing() for thing in left] == [None, None]


@pytest.mark.parametrize("seed", range(40))
def test_random_edits(seed: int) -> None:
    """Whatever is done in whatever order: what is painted stays, undoing everything gives what was there at first."""
    random = np.random.default_rng(seed)
    layer = make_layer((np.uint8, np.uint16)[seed % 2], ((0, 1, 2), (2, 0, 1), (1, 2, 0))[seed % 3], seed)
    edits = Edits.of(layer)
    first = layer.data.copy()
    layer.brush_size = 4
    shape = layer.data.shape

    def point() -> tuple[int, ...]:
        return tuple(int(random.integers(size)) for size in shape)

    def label() -> int:
        return int(random.integers(0, 5))

    def draw() -> None:
        layer.n_edit_dimensions = int(random.integers(2, 4))
        with layer.block_history():
            for _ in range(random.integers(1, 4)):
                layer.paint(point(), label())
                if random.random() < 0.3:
                    random.choice(np.array([write, edits.begin, edits.commit, edits.rollback]))()

    def index() -> Any:
        axis, at = int(random.integers(3)), 0
        at = int(random.integers(shape[axis]))
        choice = int(random.integers(4))
        if choice == 3:
            return slice(2, 6), slice(None), slice(1, 9, 2)
        return tuple([slice(None)] * axis + [at]) if choice else ...

    def write() -> None:
        where = index()
        free = ~edits.painted[where]
        before = layer.data[where].copy()
        labels = random.integers(0, 5, before.shape)
        edits.write(where, labels)
        held = layer.data[where] != labels
        assert not (held & free).any() or layer._staged_history
        assert (layer.data[where][~free] == before[~free]).all()

    def region() -> np.ndarray:
        mask = np.zeros(shape, bool)
        mask[index()] = random.random() < 0.9
        return mask

    actions: list[Callable[[], Any]] = [
        draw,
        draw,
        write,
        write,
        lambda: layer.fill(point(), label()),
        edits.begin,
        edits.commit,
        edits.rollback,
        layer.undo,
        layer.undo,
        layer.redo,
        lambda: edits.lock(region()),
        lambda: edits.unlock(region()),
    ]
    for _ in range(60):
        actions[random.integers(len(actions))]()
        operation = edits._operation
        if operation is not None:
            taken = np.moveaxis(edits.painted, operation._axis, 0) & operation._taken[:, None, None]
            same = np.moveaxis(operation._base == layer.data, operation._axis, 0)
            assert same[taken].all()
    edits.commit()
    last, mine = layer.data.copy(), edits.painted.copy()
    steps = len(layer._undo_history)
    assert steps < layer._history_limit
    for _ in range(steps):
        spared, was = edits.painted.copy(), layer.data.copy()
        step = layer._undo_history[-1]
        ours = not step.flips and any(isinstance(atom, Change) for atom in step)
        layer.undo()
        assert not ours or (layer.data[spared] == was[spared]).all()
    assert (layer.data == first).all()
    assert not edits.painted.any()
    for _ in range(steps):
        layer.redo()
    assert (layer.data == last).all()
    assert (edits.painted == mine).all()


def test_a_whole_head_is_written_and_committed_quickly_and_kept_small() -> None:
    size = 192
    rows = np.linspace(-1, 1, size)
    radius = np.sqrt(rows[:, None, None] ** 2 + rows[None, :, None] ** 2 + rows**2)
    head = np.where(radius < 0.9, (radius * 20).astype(np.uint8), 0)
    layer = Labels(np.zeros(head.shape, np.uint8).transpose(2, 1, 0))
    edits = Edits.of(layer)
    edits.begin()
    slowest = 0.0
    for n in range(size):
        start = time.perf_counter()
        edits.write((slice(None), n), head[:, n])
        slowest = max(slowest, time.perf_counter() - start)
    start = time.perf_counter()
    assert edits.commit() == np.count_nonzero(head)
    took = time.perf_counter() - start
    assert slowest < 0.5  # seconds; a busy machine
    assert took < 1
    change = layer._undo_history[0][0]
    deadline = time.monotonic() + 30
    while change.nbytes > head.nbytes / 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert change.nbytes < head.nbytes / 8
    layer.undo()
    assert not layer.data.any()
    layer.redo()
    assert (layer.data == head).all()
