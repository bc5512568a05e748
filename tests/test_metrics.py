"""Dice and voxel counts against plain definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_scse.errors import InputError
from napari_scse.metrics import Overlap, count_voxels, overlaps

SHAPE = (9, 7, 5)


def _labels(seed: int, values: tuple[int, ...], dtype: str = "uint16") -> np.ndarray:
    return np.random.default_rng(seed).choice(np.asarray(values, dtype), SHAPE)


@pytest.mark.parametrize("dtype", ["uint8", "int16", ">i4", "uint64"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_overlap_is_what_sets_of_voxels_say(dtype: str, order: str) -> None:
    prediction = np.asarray(_labels(1, (0, 2, 41, 60), dtype), order=order)
    reference = _labels(2, (0, 2, 3, 41), dtype)
    found = overlaps(prediction, reference)
    assert list(found) == [0, 2, 3, 41, 60]
    for value, overlap in found.items():
        mine, theirs = (set(np.flatnonzero(labels == value)) for labels in (prediction, reference))
        assert (overlap.predicted, overlap.reference, overlap.shared) == (len(mine), len(theirs), len(mine & theirs))
        assert overlap.dice == pytest.approx(2 * len(mine & theirs) / (len(mine) + len(theirs)))


def test_dice_is_one_on_itself_zero_when_absent_and_symmetric() -> None:
    first, second = _labels(3, (0, 5, 7)), _labels(4, (0, 5, 9))
    assert {overlap.dice for overlap in overlaps(first, first).values()} == {1.0}
    there, back = overlaps(first, second), overlaps(second, first)
    assert there[7].dice == there[9].dice == 0.0
    assert {value: o.dice for value, o in there.items()} == {value: o.dice for value, o in back.items()}
    assert math.isnan(Overlap(0, 0, 0).dice)


@pytest.mark.parametrize("values", [(0, 3, 200), (-7, 0, 2), (0, 1 << 30), (1 << 40, 5)])
def test_counts_are_those_of_unique_for_any_range(values: tuple[int, ...]) -> None:
    labels = _labels(5, values, "int64")
    expected = {int(v): int(n) for v, n in zip(*np.unique(labels, return_counts=True), strict=True)}
    assert count_voxels(labels) == expected
    assert count_voxels(labels[::2, :, ::-1]) == count_voxels(labels[::2].copy())


def test_masks_and_empty_arrays_count_too() -> None:
    mask = _labels(6, (0, 1)).astype(bool)
    assert count_voxels(mask) == {0: int((~mask).sum()), 1: int(mask.sum())}
    assert count_voxels(np.zeros((0, 3), np.uint8)) == {}


def test_what_cannot_be_compared_is_refused() -> None:
    labels = _labels(7, (0, 1))
    with pytest.raises(InputError, match=r"same shape; one is \(9, 7, 5\), the other \(5, 7, 9\)"):
        overlaps(labels, labels.T)
    with pytest.raises(InputError, match="holds float32"):
        overlaps(labels.astype("float32"), labels)
