"""Probabilities are averaged with those of neighbouring voxels, and the slices still come in any order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_scse.errors import RunError
from napari_scse.events import drain
from napari_scse.inference import open_session, segment
from napari_scse.inference.smoothing import smooth_through, smooth_within
from napari_scse.runs import Run
from napari_scse.volume import Volume

MakeRun = Callable[..., Run]
WEIGHTS = (0.25, 0.2, 0.3)


def smoothed(scores: np.ndarray) -> np.ndarray:
    """(K, n, h, w) by scipy."""
    for axis, weight in enumerate(WEIGHTS, start=1):
        scores = ndimage.convolve1d(scores, [weight, 1 - 2 * weight, weight], axis, mode="nearest")
    return scores


@pytest.mark.parametrize("shape", [(5, 4, 6), (2, 1, 3), (1, 7, 1)])
def test_it_is_a_separable_filter_with_repeated_ends(shape: tuple[int, int, int]) -> None:
    scores = np.random.default_rng(0).random((3, *shape))
    planes = [(n, smooth_within(torch.from_numpy(scores[:, n]), *WEIGHTS[1:])) for n in range(shape[0])]
    found = list(smooth_through(planes, WEIGHTS[0], 0, shape[0]))
    assert [number for number, _ in found] == list(range(shape[0]))
    np.testing.assert_allclose(np.stack([plane for _, plane in found], 1), smoothed(scores), atol=1e-12)


def test_only_slices_with_both_neighbours_come_out() -> None:
    planes = [(n, torch.full((1, 1, 1), float(n))) for n in (4, 5, 6)]
    assert [n for n, _ in smooth_through(planes, 0.25, 0, 9)] == [5]
    assert [n for n, _ in smooth_through(planes, 0.25, 4, 9)] == [4, 5]
    assert [n for n, _ in smooth_through(planes, 0.25, 0, 7)] == [5, 6]
    assert [n for n, _ in smooth_through(planes[:1], 0.25, 0, 9)] == []
    assert [n for n, _ in smooth_through(planes, 0.0, 0, 9)] == [4, 5, 6]


def test_the_labels_are_those_of_the_filtered_probabilities(tiny_run: MakeRun) -> None:
    """By a session that labels without smoothing, whose scores are caught and filtered whole."""
    scan = Volume(np.random.default_rng(1).random((24, 17, 32), np.float32), np.diag([1.0, 1.0, 1.0, 1.0]))
    plain, run = tiny_run(epochs=1), tiny_run(epochs=1, smoothing=WEIGHTS, name="smooth")
    with drain(open_session(scan, plain, mirror=False, batch_size=4)) as session:
        one = session.turn(session.order[0])
        while one.location is None:
            one.look()
        location, window = one.location, one.prepare(None)._parts[0]
        numbers = range(location.first, location.last)
        logits = one.executor.run(one.scan.slices(numbers, location.gain, [window]))
        scores = logits.softmax(1).numpy().swapaxes(0, 1)
        whole = np.zeros((len(scores), len(numbers), *one.scan.plane_shape), np.float32)
        whole[0] = 1
        rows, columns = window.inside(one.scan.plane_shape)
        whole[:, :, rows, columns] = scores[(..., *window.own(rows, columns))]
        classes = np.zeros(one.scan.geometry.stack_shape, np.uint8)
        classes[numbers.start : numbers.stop] = smoothed(whole).argmax(0)
        before = np.zeros_like(classes)
        before[numbers.start : numbers.stop] = whole.argmax(0)
        geometry = one.scan.geometry
        wanted, unsmoothed = np.zeros((2, *scan.shape), np.uint8)
        for number in range(len(classes)):
            wanted[geometry.index(number)] = geometry.restore_slice(session.values[classes[number]])
            unsmoothed[geometry.index(number)] = geometry.restore_slice(session.values[before[number]])
    found = drain(segment(scan, run, mirror=False, batch_size=3)).labels.data
    assert np.mean(unsmoothed != wanted) > 0.02
    assert np.mean(found != wanted) < 1e-3  # near ties, and islands


def test_weights_beyond_a_third_are_refused(tiny_run: MakeRun) -> None:
    with pytest.raises(RunError, match="three weights"):
        tiny_run(smoothing=(0.0, 0.4, 0.0))


def test_a_run_remembers_its_weights(tiny_run: MakeRun) -> None:
    run = tiny_run(smoothing=WEIGHTS)
    assert Run(run.path).config.smoothing == WEIGHTS
    assert "smoothing" not in tiny_run(name="plain").config.to_dict()
