"""Labels on the very grid that came, the same for the same head, slice by slice, and in little memory."""

from __future__ import annotations

import gc
import inspect
import itertools
from collections.abc import Callable, Generator

import numpy as np
import pytest
import torch

from napari_scse.errors import DeviceError, InputError, RunError
from napari_scse.events import Event, Message, Progress, SliceDone, drain
from napari_scse.inference import Segmentation, segment
from napari_scse.runs import Run
from napari_scse.sides import mirrored
from napari_scse.structures import FREESURFER27
from napari_scse.volume import Volume, same_grid

MakeRun = Callable[..., Run]
Turn = Callable[[Volume, tuple[int, ...], tuple[bool, ...]], Volume]


def run_all(work: Generator[Event, None, Segmentation]) -> tuple[Segmentation, list[Event]]:
    events: list[Event] = []
    return drain(work, events.append), events


def turn_back(data: np.ndarray, order: tuple[int, ...], flips: tuple[bool, ...]) -> np.ndarray:
    data = data.transpose(np.argsort(order))
    return data[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]


@pytest.mark.parametrize("plane", ["coronal", "axial", "sagittal"])
def test_labels_lie_on_the_grid_that_came_in_the_runs_values(tiny_run: MakeRun, scan: Volume, plane: str) -> None:
    before = scan.data.copy()
    run = tiny_run(plane=plane)
    result, _ = run_all(segment(scan, run))
    assert same_grid(result.labels, scan)
    np.testing.assert_array_equal(result.labels.affine, scan.affine)
    assert result.labels.data.dtype == np.uint8
    assert set(np.unique(result.labels.data)) <= set(run.config.values.tolist())
    assert (result.model_name, result.epochs) == ("tiny", (3,))
    np.testing.assert_array_equal(scan.data, before)


@pytest.mark.parametrize("smoothing", [(0, 0, 0), (0.25, 0.25, 0.25)])
def test_the_same_head_gets_the_same_labels_in_all_48_orientations(
    tiny_run: MakeRun, scan: Volume, turn: Turn, smoothing: tuple[float, float, float]
) -> None:
    small = Volume(scan.data[4:26, 3:20, 5:23], scan.affine)
    run = tiny_run(epochs=1, canvas=(16, 12), depth=1, smoothing=smoothing)
    wanted = run_all(segment(small, run, mirror=False))[0].labels.data
    assert len(np.unique(wanted)) > (1 if any(smoothing) else 3)
    for order in itertools.permutations(range(3)):
        for flips in itertools.product((False, True), repeat=3):
            turned = run_all(segment(turn(small, order, flips), run, mirror=False))[0].labels
            assert turned.shape == tuple(np.take(small.shape, order))
            np.testing.assert_array_equal(turn_back(turned.data, order, flips), wanted)


def test_every_slice_comes_once_in_order_and_the_events_make_up_the_result(tiny_run: MakeRun, scan: Volume) -> None:
    result, events = run_all(segment(scan, tiny_run()))
    done = [event for event in events if isinstance(event, SliceDone)]
    total = done[0].total
    first = done[:total]
    assert [event.done for event in first] == list(range(1, total + 1))
    assert len({str(event.index) for event in first}) == total
    assert all(event.done == event.total == total for event in done[total:])  # corrections
    painted = np.full(scan.shape, 255, np.uint8)
    for event in done:
        assert painted[event.index].shape == event.labels.shape
        painted[event.index] = event.labels
    np.testing.assert_array_equal(painted, result.labels.data)
    assert isinstance(events[0], Progress)


@pytest.mark.parametrize(
    "spacing", [(1.0, 1.0, 1.0), (1.02, 0.97, 1.0), (0.6, 1.7, 1.2), (1.0, 4.0, 1.0), (2.4, 0.7, 2.0)]
)
def test_a_known_answer_comes_back_in_its_place(threshold_run: MakeRun, spacing: tuple[float, float, float]) -> None:
    extent = np.array([60.0, 72.0, 56.0])
    shape = tuple(np.round(extent / spacing).astype(int))
    grid = np.indices(shape).transpose(1, 2, 3, 0) * spacing - (np.array(shape) - 1) / 2 * spacing
    shell = np.sqrt((((grid - (4.0, -3.0, 2.0)) / (20.0, 24.0, 17.0)) ** 2).sum(-1))
    truth = np.where(shell < 0.75, 2, np.where(shell < 1, 3, 0))
    data = np.choose(truth, [0.02, 0, 1.5, 1.0]) * 900.0 - 300.0
    affine = np.diag([-spacing[0], spacing[1], -spacing[2], 1.0])
    run = threshold_run(levels=(0.5, 1.25), canvas=(40, 44))
    result, _ = run_all(segment(Volume(data, affine), run))
    labels = result.labels.data
    for value, least in ((2, 0.9), (3, 0.75)):
        both = np.sum((labels == value) & (truth == value))
        assert 2 * both / (np.sum(labels == value) + np.sum(truth == value)) > least
    whole = 2 * np.sum((labels > 0) & (truth > 0)) / (np.sum(labels > 0) + np.sum(truth > 0))
    assert whole > (0.99 if min(spacing) > 0.9 and max(spacing) < 1.1 else 0.93)
    if max(spacing) < 1.1 and min(spacing) > 0.9:
        np.testing.assert_array_equal(labels > 0, truth > 0)  # nothing was resampled


def test_bright_left_is_left(threshold_run: MakeRun) -> None:
    data = np.zeros((40, 30, 36))
    data[4:20, 5:25, 5:30] = 1.5  # x grows to the left here
    data[20:36, 5:25, 5:30] = 1.0
    affine = np.array([[-1.0, 0, 0, 20], [0, 0, 1, -18], [0, -1, 0, 15], [0, 0, 0, 1]])
    result, _ = run_all(segment(Volume(data, affine), threshold_run(levels=(0.4, 1.1), values=(41, 2))))
    labels = result.labels.data
    right = labels[4:20, 5:25, 5:30]
    assert np.all(right == 2)
    assert np.all(labels[20:36, 5:25, 5:30] == 41)
    assert np.count_nonzero(labels) == 32 * 20 * 25


@pytest.mark.parametrize("canvas", [(16, 12), (8, 40), (64, 64)])
def test_any_canvas_covers_the_region(threshold_run: MakeRun, canvas: tuple[int, int]) -> None:
    data = np.zeros((40, 30, 36))
    data[4:36, 5:25, 5:30] = 1.0
    result, _ = run_all(segment(Volume(data, np.eye(4)), threshold_run(levels=(0.5,), values=(7,), canvas=canvas)))
    np.testing.assert_array_equal(result.labels.data, np.where(data > 0, 7, 0))


def test_a_unit_an_offset_and_some_gaps_change_nothing(threshold_run: MakeRun) -> None:
    rng = np.random.default_rng(5)
    data = rng.random((34, 40, 38)) * 0.02
    data[6:28, 8:32, 9:30] = 1.0
    data[10:24, 12:28, 13:26] = 1.5
    run = threshold_run(levels=(0.4, 1.15))
    wanted = run_all(segment(Volume(data, np.eye(4)), run))[0].labels.data
    assert len(np.unique(wanted)) == 3
    for other in (data * 4000 - 1000, (data * 20000).astype(np.uint16), (data * 80).astype(np.int8), data * 1e-9):
        np.testing.assert_array_equal(run_all(segment(Volume(other, np.eye(4)), run))[0].labels.data, wanted)
    gaps = data.copy()
    gaps[:3] = np.nan
    gaps[:, :, 36:] = np.inf
    gaps[:, 35] = 0.007  # a constant slice
    np.testing.assert_array_equal(run_all(segment(Volume(gaps, np.eye(4)), run))[0].labels.data, wanted)


def test_values_beyond_255_come_as_uint16(threshold_run: MakeRun) -> None:
    data = np.zeros((20, 22, 24))
    data[5:15, 5:15, 5:15] = 1.0
    result, _ = run_all(segment(Volume(data, np.eye(4)), threshold_run(levels=(0.5,), values=(1017,))))
    assert result.labels.data.dtype == np.uint16
    np.testing.assert_array_equal(result.labels.data, np.where(data > 0, 1017, 0))


def test_islands_go_at_the_end_and_their_slices_are_told_again(threshold_run: MakeRun) -> None:
    data = np.zeros((44, 40, 42))
    data[8:34, 6:34, 8:36] = 1.0
    data[38:40, 20:22, 38:40] = 1.0
    run = threshold_run(levels=(0.5,), values=(3,), canvas=(48, 48))
    result, events = run_all(segment(Volume(data, np.eye(4)), run))
    assert not result.labels.data[36:].any()
    assert result.labels.data[8:34, 6:34, 8:36].all()
    done = [event for event in events if isinstance(event, SliceDone)]
    assert [event.index for event in done[40:]] == [(slice(None), 20, slice(None)), (slice(None), 21, slice(None))]
    assert done[20].labels[38:40, 38:40].all()
    assert not done[40].labels[38:40, 38:40].any()


@pytest.mark.parametrize("shape", [(24, 1, 30), (1, 26, 30), (24, 26, 1), (1, 1, 40)])
def test_a_single_slice_is_a_volume(tiny_run: MakeRun, shape: tuple[int, int, int]) -> None:
    data = np.random.default_rng(0).random(shape)
    result, events = run_all(segment(Volume(data, np.diag([1.0, 3.0, 1.3, 1.0])), tiny_run(epochs=1)))
    assert result.labels.shape == shape
    assert sum(isinstance(event, SliceDone) for event in events) >= shape[1]


def test_nothing_found_is_said_and_the_whole_volume_searched(threshold_run: MakeRun, scan: Volume) -> None:
    result, events = run_all(segment(scan, threshold_run(levels=(50.0, 60.0))))
    assert not result.labels.data.any()
    messages = [event.text for event in events if isinstance(event, Message)]
    assert len(messages) == 1
    assert "next to nothing" in messages[0]
    assert result.messages == tuple(messages)
    assert not result.location.found


def test_neighbouring_slices_are_seen(tiny_run: MakeRun, scan: Volume) -> None:
    result, _ = run_all(segment(scan, tiny_run(neighbours=2, epochs=1), mirror=False))
    assert len(np.unique(result.labels.data)) > 2


@pytest.mark.parametrize("excitation", ["none", "cse", "sse", "scse"])
def test_the_batch_size_changes_no_label_but_near_ties(tiny_run: MakeRun, scan: Volume, excitation: str) -> None:
    run = tiny_run(excitation=excitation, epochs=1)
    # numbers that nothing clips: where all pixels are equal the places of maxima are ties
    volume = Volume(np.random.default_rng(0).random((40, 30, 44)), scan.affine)
    one, many = (run_all(segment(volume, run, batch_size=size))[0].labels.data for size in (1, 7))
    assert np.mean(one != many) < 1e-5


def test_mirroring_makes_the_answer_symmetric(tiny_run: MakeRun, scan: Volume) -> None:
    run = tiny_run(epochs=1)
    flipped = Volume(scan.data[::-1], scan.affine)  # the first axis is left-right
    partner = np.zeros(256, np.uint8)
    for value, other in mirrored(FREESURFER27).items():
        partner[value] = other
    plain, _ = run_all(segment(scan, run, mirror=False))
    both, _ = run_all(segment(scan, run, mirror=True))
    default, _ = run_all(segment(scan, run))
    np.testing.assert_array_equal(default.labels.data, both.labels.data)
    turned, _ = run_all(segment(flipped, run, mirror=True))
    assert np.mean(partner[turned.labels.data[::-1]] == both.labels.data) > 0.999
    assert not np.array_equal(plain.labels.data, both.labels.data)
    with pytest.raises(InputError, match="sagittal"):
        drain(segment(scan, tiny_run(plane="sagittal", name="side"), mirror=True))


def test_bfloat16_gives_nearly_the_same_labels(tiny_run: MakeRun, scan: Volume) -> None:
    run = tiny_run(epochs=1)
    exact, _ = run_all(segment(scan, run))
    half, _ = run_all(segment(scan, run, precision="bfloat16"))
    assert np.mean(exact.labels.data != half.labels.data) < 0.05


def test_epochs_are_chosen_and_differ(tiny_run: MakeRun, scan: Volume) -> None:
    run = tiny_run(epochs=2)
    first, _ = run_all(segment(scan, run, epoch=1))
    last, _ = run_all(segment(scan, run, epoch="last"))
    assert (first.epochs, last.epochs) == ((1,), (2,))
    assert not np.array_equal(first.labels.data, last.labels.data)


@pytest.mark.parametrize(
    ("value", "problem"),
    [(np.nan, "no finite voxel"), (0.0, "constant"), (np.inf, "no finite voxel"), (3.0, "constant")],
)
def test_a_volume_with_nothing_in_it_is_refused(tiny_run: MakeRun, value: float, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        drain(segment(Volume(np.full((8, 9, 10), value), np.eye(4)), tiny_run(epochs=1)))


def test_what_is_not_there_is_refused(tiny_run: MakeRun, scan: Volume) -> None:
    run = tiny_run(epochs=2)
    with pytest.raises(RunError, match="no epoch"):
        drain(segment(scan, run, epoch=9))
    with pytest.raises(DeviceError, match="Unknown device"):
        drain(segment(scan, run, device="gpu"))
    with pytest.raises(InputError, match="precision"):
        drain(segment(scan, run, precision="int8"))


def test_cancelling_keeps_what_is_done_and_leaves_nothing_switched_off(tiny_run: MakeRun, scan: Volume) -> None:
    run = tiny_run(epochs=1)
    whole, _ = run_all(segment(scan, run, mirror=False))
    work = segment(scan, run, batch_size=1, mirror=False)
    painted = np.zeros(scan.shape, np.uint8)
    kept = []
    for event in work:
        if isinstance(event, SliceDone):
            painted[event.index] = event.labels
            kept.append(event.index)
            if event.done == 9:
                break
    work.close()
    assert inspect.getgeneratorstate(work) == inspect.GEN_CLOSED
    assert torch.is_grad_enabled()
    assert len(kept) == 9
    for index in kept:
        assert np.mean(painted[index] != whole.labels.data[index]) < 0.02  # islands may be left


def test_gradients_are_as_the_caller_has_them_at_every_event(tiny_run: MakeRun, scan: Volume) -> None:
    for _ in segment(scan, tiny_run(epochs=1)):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.5, 0.5, 0.5), (1.0, 2.5, 1.0)])
@pytest.mark.parametrize("smoothing", [(0, 0, 0), (0.25, 0.25, 0.25)])
def test_only_a_few_slices_of_scores_are_ever_alive(
    tiny_run: MakeRun, spacing: tuple[float, float, float], smoothing: tuple[float, float, float]
) -> None:
    shape = (20, 80, 24)
    data = np.random.default_rng(0).random(shape)
    run = tiny_run(epochs=1, smoothing=smoothing)
    size = 2
    conformed = tuple(int(np.ceil(n * s)) for n, s in zip(shape, spacing, strict=True))
    one = 4 * 28 * max(shape[0] * shape[2], conformed[0] * conformed[2], 32 * 24)
    gc.collect()
    before = bytes_of_tensors()
    most = 0
    for event in segment(Volume(data, np.diag([*spacing, 1.0])), run, batch_size=size):
        if isinstance(event, SliceDone) and event.done % 19 == 0:
            most = max(most, bytes_of_tensors() - before)
    scores = most - 4 * int(np.prod(conformed))  # the scan itself, in float32
    assert scores < (2 * size + 4) * one
    assert scores < 0.2 * one * max(shape[1], conformed[1])


def bytes_of_tensors() -> int:
    tensors = [thing for thing in gc.get_objects() if type(thing) is torch.Tensor]
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())
