"""Dice, voxel counts and surface distances against plain definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_scse.errors import InputError
from napari_scse.metrics import Overlap, count_voxels, overlaps, surface_distances, surface_voxels

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


def test_volume_similarity_sees_sizes_only() -> None:
    assert Overlap(6, 6, 0).volume_similarity == 1.0
    assert Overlap(6, 0, 0).volume_similarity == 0.0
    assert Overlap(6, 2, 2).volume_similarity == pytest.approx(1 - 4 / 8)
    assert math.isnan(Overlap(0, 0, 0).volume_similarity)


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
    with pytest.raises(InputError, match="same shape"):
        surface_distances(labels, labels.T, np.eye(3))


def _surface(mask: np.ndarray) -> np.ndarray:
    """Voxels of `mask` with one of the six neighbours outside, voxel by voxel."""
    padded = np.pad(mask, 1)
    found = []
    for place in np.argwhere(mask):
        steps = np.vstack([np.eye(3, dtype=int), -np.eye(3, dtype=int)])
        if not all(padded[tuple(place + step + 1)] for step in steps):
            found.append(place)
    return np.array(found)


def _brute_force(first: np.ndarray, second: np.ndarray, steps: np.ndarray) -> tuple[float, float]:
    ours, theirs = (_surface(mask) @ steps.T for mask in (first, second))
    table = np.linalg.norm(ours[:, None] - theirs[None], axis=-1)
    there, back = table.min(axis=1), table.min(axis=0)
    average = (there.sum() + back.sum()) / (len(there) + len(back))
    return average, max(np.percentile(there, 95), np.percentile(back, 95))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sheared", [False, True])
def test_surface_distances_are_those_of_all_pairs_of_surface_voxels(seed: int, sheared: bool) -> None:
    random = np.random.default_rng(seed)
    steps = np.linalg.qr(random.normal(size=(3, 3)))[0] @ np.diag([0.7, 1.2, 3.1])
    if sheared:
        steps[:, 0] += 0.4 * steps[:, 1]
    smooth = random.normal(size=(2, 11, 9, 8)).cumsum(1).cumsum(2)
    prediction, reference = np.digitize(smooth, [-3, 0, 3]).astype(np.uint8)
    found = surface_distances(prediction, reference, steps)
    assert set(found) == (set(np.unique(prediction)) & set(np.unique(reference))) - {0}
    for value, distances in found.items():
        expected = _brute_force(prediction == value, reference == value, steps)
        assert (distances.average, distances.hausdorff95) == pytest.approx(expected)
    back = surface_distances(reference, prediction, steps)
    assert {v: (d.average, d.hausdorff95) for v, d in back.items()} == {
        v: pytest.approx((d.average, d.hausdorff95)) for v, d in found.items()
    }


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_surface_of_every_label_is_found_at_once(order: str) -> None:
    labels = np.asarray(_labels(8, (0, 4, 4, 4, 9)), order=order)
    labels[2:7, 1:6] = 4
    found = surface_voxels(labels)
    assert list(found) == [4, 9]
    for value, places in found.items():
        assert {tuple(p) for p in places} == {tuple(p) for p in _surface(labels == value)}
    assert surface_voxels(np.zeros(SHAPE, np.uint8)) == {}


def test_a_single_slice_has_outlines() -> None:
    labels = np.zeros((7, 1, 8), np.uint8)
    labels[1:6, :, 1:7] = 3
    assert len(surface_voxels(labels)[3]) == 2 * (5 + 6) - 4
    assert surface_voxels(np.full((1, 1, 1), 5))[5].tolist() == [[0, 0, 0]]


def test_a_shifted_plate_is_as_far_away_as_it_was_shifted() -> None:
    """A plate of one voxel: every surface voxel is at the distance of the shift; values that are not asked for stay."""
    prediction, reference = np.zeros((2, 12, 6, 5), np.uint8)
    prediction[2], reference[9] = 1, 1
    prediction[0, 0, 0], reference[0, 0, 0] = 7, 7
    (found,) = surface_distances(prediction, reference, np.diag([1.5, 1, 1]), values=[1, 2]).items()
    assert found[0] == 1
    assert (found[1].average, found[1].hausdorff95) == pytest.approx((10.5, 10.5))


def test_concentric_balls_are_apart_by_the_difference_of_their_radii() -> None:
    spacing = np.array([0.5, 0.5, 0.8])
    grid = np.moveaxis(np.indices((60, 60, 40)), 0, -1) * spacing
    radius = np.linalg.norm(grid - grid[30, 30, 20], axis=-1)
    balls = [(radius < r).astype(np.uint8) for r in (8.0, 11.0)]
    (found,) = surface_distances(*balls, np.diag(spacing)).values()
    assert found.average == pytest.approx(3.0, abs=0.25)
    assert 2.9 < found.hausdorff95 < 3.8
    same = surface_distances(balls[0], balls[0], np.diag(spacing))[1]
    assert (same.average, same.hausdorff95) == (0.0, 0.0)
