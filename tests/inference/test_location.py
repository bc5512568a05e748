"""The coarse pass finds the region and the brightness, from whatever it is given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_scse.conform import Window
from napari_scse.events import Event, Progress, drain
from napari_scse.execution import Executor
from napari_scse.inference import Location, Scan, locate
from napari_scse.runs import Run
from napari_scse.volume import Volume

MakeRun = Callable[..., Run]


def find(volume: Volume, run: Run, events: list[Event] | None = None) -> tuple[Location, Scan]:
    scan = Scan.of(volume, run.config)
    executor = Executor(run.network(1), torch.device("cpu"))
    return drain(locate(scan, executor), None if events is None else events.append), scan


def make_head(shape: tuple[int, int, int] = (80, 90, 70), gain: float = 300.0) -> Volume:
    """A box of tissue (RAS), brighter inside, and something small and bright far from it."""
    rng = np.random.default_rng(3)
    data = rng.random(shape) * 0.05
    data[30:60, 20:60, 25:55] = 0.8 + 0.1 * rng.random((30, 40, 30))
    data[38:52, 30:50, 32:48] = 1.3
    data[5:8, 60:70, 60:66] = 1.0
    return Volume(data * gain, np.diag([1.0, 1.0, 1.0, 1.0]))


def test_the_box_holds_the_region_with_a_margin_but_not_what_lies_apart(threshold_run: MakeRun) -> None:
    events: list[Event] = []
    location, scan = find(make_head(), threshold_run(canvas=(60, 60)), events)
    assert location.found
    # coronal: n is anterior (20:60), h inferior (70 - 25:55 -> 15:45), w left (80 - 30:60 -> 20:50)
    assert location.first <= 20 - 10
    assert location.last >= 60 + 10
    assert location.box == (5, 55, 10, 60)
    assert scan.plane_shape == (70, 80)
    assert location.centre == ((location.first + location.last) // 2, 30, 35)
    assert all(isinstance(event, Progress) for event in events)
    assert events[-1] == Progress(16, 16, "locating")


def test_a_second_organ_belongs_to_the_region(threshold_run: MakeRun) -> None:
    """Kidneys do not touch each other."""
    head = make_head()
    head.data[62:76, 66:80, 58:68] = 260.0  # a twentieth of the box of tissue ...
    alone, _ = find(head, threshold_run(canvas=(60, 60)))
    head.data[62:78, 64:86, 56:68] = 260.0  # ... and a ninth
    both, _ = find(head, threshold_run(canvas=(60, 60)))
    assert both.last >= 86
    assert alone.box[3] <= 60
    top, _, left, _ = both.box
    assert (top, left) == (0, 0)


@pytest.mark.parametrize("gain", [1e-4, 1.0, 4000.0])
def test_the_gain_brings_the_labelled_median_to_the_runs(threshold_run: MakeRun, gain: float) -> None:
    volume = make_head(gain=gain)
    location, scan = find(volume, threshold_run())
    inside = (volume.data > 0.6 * gain).transpose(1, 2, 0)[:, ::-1, ::-1]
    assert np.median(scan.data[inside]) * location.gain == pytest.approx(1.0, rel=0.1)


def test_a_region_at_the_edge_of_the_scan_stays_inside_it(threshold_run: MakeRun) -> None:
    head = make_head()
    location, scan = find(Volume(head.data[32:56, 24:52, 28:50], head.affine), threshold_run(canvas=(60, 60)))
    assert (location.first, location.last) == (0, len(scan.data))
    height, width = scan.plane_shape
    assert location.box == (0, height, 0, width)


def test_nothing_found_means_everything(threshold_run: MakeRun) -> None:
    location, _ = find(make_head(), threshold_run(levels=(50.0, 60.0)))
    assert not location.found
    assert (location.first, location.last) == (0, 90)
    assert location.box == (0, 70, 0, 80)
    assert location.gain > 0


def test_a_single_slice_is_located_too(threshold_run: MakeRun) -> None:
    head = make_head()
    location, _ = find(Volume(head.data[:, 35:36], head.affine), threshold_run(canvas=(60, 60)))
    assert (location.first, location.last) == (0, 1)
    assert location.box == (5, 55, 10, 60)


@pytest.mark.parametrize(
    ("canvas", "box"),
    [
        ((40, 44), (10, 50, 13, 57)),  # less margin, so that one window suffices
        ((37, 36), (12, 48, 17, 53)),
        ((31, 31), (5, 55, 10, 60)),  # no window would do: the whole margin
        ((32, 32), (14, 46, 19, 51)),
    ],
)
def test_a_margin_is_not_worth_a_second_window(
    threshold_run: MakeRun, canvas: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    location, _ = find(make_head(), threshold_run(canvas=canvas))
    assert location.box == box


@pytest.mark.parametrize("spacing", [(2.0, 1.0, 1.0), (1.0, 3.0, 2.0)])
def test_margins_are_in_millimetres(threshold_run: MakeRun, spacing: tuple[float, float, float]) -> None:
    head = make_head()
    run = threshold_run(spacing=spacing, canvas=(60, 60))
    location, scan = find(head, run)
    top, bottom, left, right = location.box
    _, h, w = spacing
    assert scan.conformation.steps == spacing
    np.testing.assert_allclose([top * h, bottom * h, left * w, right * w], [5, 55, 10, 60], atol=4)


def test_slices_are_stacked_with_their_neighbours_and_windows(tiny_run: MakeRun, scan: Volume) -> None:
    run = tiny_run(neighbours=1, canvas=(16, 12))
    laid_out = Scan.of(scan, run.config)
    windows = [Window(0, 0, 10, 8), Window(5, 6, 10, 8)]
    seen = laid_out.slices([0, 3, len(laid_out.data) - 1], 0.01, windows)
    assert seen.shape == (6, 3, 10, 8)
    dim = np.minimum(laid_out.data * np.float32(0.01), 2.5)
    np.testing.assert_array_equal(seen[0], dim[[0, 0, 1], :10, :8])
    np.testing.assert_array_equal(seen[3], dim[[2, 3, 4], 5:15, 6:14])
    np.testing.assert_array_equal(seen[4], dim[[-2, -1, -1], :10, :8])
