"""What new labels change, counted slab by slab, is what comparing the whole arrays would say."""

from __future__ import annotations

import numpy as np
import pytest

from napari_scse.metrics import overlaps
from napari_scse.refinement import Difference

SHAPE = (7, 6, 5)


@pytest.mark.parametrize("axes", [(0,), (2,), (1, 0)])
def test_counts_are_those_of_the_whole(axes: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    before, after, reference = (random.choice(np.array([0, 2, 41, 500], np.uint16), SHAPE) for _ in range(3))
    painted = random.random(SHAPE) < 0.2
    difference = Difference(before, painted, reference)
    assert (difference.changed, difference.dice, dict(difference.gained)) == (0, None, {})
    for axis in axes:  # a second plane says the same slabs again
        for place in range(SHAPE[axis]):
            index = tuple(place if n == axis else slice(None) for n in range(3))
            difference.take(index, before[index] if (axis, axes) == (1, (1, 0)) else after[index])
    wanted = np.where(painted, before, after)
    np.testing.assert_array_equal(difference.after, wanted)
    assert difference.changed == np.count_nonzero(wanted != before)
    more = {v: np.count_nonzero(wanted == v) - np.count_nonzero(before == v) for v in (2, 41, 500)}
    assert dict(difference.gained) == {value: count for value, count in more.items() if count}
    assert [abs(n) for n in difference.gained.values()] == sorted(map(abs, difference.gained.values()), reverse=True)
    means = []
    for labels in (before, wanted):
        scores = [overlap.dice for value, overlap in overlaps(labels, reference).items() if value]
        means.append(np.mean(scores))
    assert difference.dice == pytest.approx(means)


def test_only_what_has_come_counts() -> None:
    before, reference = np.zeros(SHAPE, np.uint8), np.ones(SHAPE, np.int32)
    difference = Difference(before, np.zeros(SHAPE, bool), reference)
    difference.take((slice(None), 2, slice(None)), np.ones((7, 5), np.uint8))
    assert difference.seen.sum() == difference.changed == 35
    assert difference.dice == (0.0, 1.0)


def test_strange_values_do_no_harm() -> None:
    before = np.full(SHAPE, -1, np.int32)
    difference = Difference(before, np.zeros(SHAPE, bool), np.full(SHAPE, 10**7))
    difference.take((0, slice(None), slice(None)), np.full((6, 5), 3, np.uint16))
    assert difference.changed == 30
    assert dict(difference.gained) == {3: 30}
    assert difference.dice is None
