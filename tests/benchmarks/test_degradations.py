"""Degradations keep everything where it is in space, and do what their names say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import default_rng

from degradations import DEGRADATIONS, Head, below_cerebellum, crop, slabs, to_spacing, without_side, without_top
from napari_scse.structures import FREESURFER27
from napari_scse.volume import LabelVolume, Volume

# Voxels of 1.0 x 1.3 x 0.8 mm, oblique, left-superior-anterior.
AFFINE = np.array([[-0.996, 0, 0.071, 20], [0.089, 0, 0.797, -9], [0, 1.3, 0, 7], [0, 0, 0, 1]])
SHAPE = (44, 34, 52)
LANDMARK = (21, 15, 28)
BY_NAME = {d.name: d for d in DEGRADATIONS}


def make_head() -> Head:
    """A brain of two halves of white matter, a cerebellum below and behind, and one bright landmark."""
    grid = np.indices(SHAPE)
    radius = np.sqrt(sum(((g - (n - 1) / 2) / (0.35 * n)) ** 2 for g, n in zip(grid, SHAPE, strict=True)))
    labels = np.where(radius < 1, np.where(grid[0] > LANDMARK[0], 2, 41), 0)
    labels[(radius < 1) & (grid[1] < 12) & (grid[2] < 26)] = 8
    landmark = tuple(slice(c - 2, c + 3) for c in LANDMARK)
    labels[landmark] = 16
    scan = np.where(labels > 0, 100.0, np.where(radius < 1.3, 40.0, 2.0))
    scan[landmark] = 180
    scan += default_rng(0).normal(0, 1, SHAPE)
    return Head(Volume(scan.astype(np.float32), AFFINE), LabelVolume(labels.astype(np.uint8), AFFINE), labels > 0)


def centre(weights: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Centre of mass in RAS mm."""
    mean = [np.sum(g * weights) / np.sum(weights) for g in np.indices(weights.shape)]
    found: np.ndarray = (affine @ (*mean, 1))[:3]
    return found


@pytest.fixture(scope="module")
def head() -> Head:
    return make_head()


def degraded(head: Head, name: str) -> Head:
    return BY_NAME[name].make(head, default_rng(1))


@pytest.mark.parametrize("name", BY_NAME)
def test_landmarks_stay_where_they_are_to_within_half_a_voxel(head: Head, name: str) -> None:
    before, after = head, degraded(head, name)
    limit = max(*before.scan.spacing, *after.scan.spacing) / 2
    expected = centre(before.labels.data == 16, before.labels.affine)
    landmark, white = (np.median(after.scan.data[after.labels.data == v]) for v in (16, 41))
    bright = (after.scan.data > (landmark + white) / 2) & (after.labels.data > 0)
    for found in (after.labels.data == 16, bright):
        assert np.linalg.norm(centre(found, after.scan.affine) - expected) < limit


@pytest.mark.parametrize("name", BY_NAME)
def test_the_same_seed_gives_the_same_scan_and_the_original_is_not_touched(head: Head, name: str) -> None:
    scan, labels = head.scan.data.copy(), head.labels.data.copy()
    one, other = degraded(head, name), degraded(head, name)
    np.testing.assert_array_equal(one.scan.data, other.scan.data)
    np.testing.assert_array_equal(head.scan.data, scan)
    np.testing.assert_array_equal(head.labels.data, labels)
    assert one.scan.shape == one.labels.shape == one.brain.shape
    assert np.isfinite(one.scan.data).all()
    assert set(np.unique(one.labels.data)) <= {0, *(s.value for s in FREESURFER27)}


def test_voxels_have_the_size_that_was_asked_for_and_keep_the_volume(head: Head) -> None:
    for name, size in (("voxels-0.7", 0.7), ("voxels-1.5", 1.5), ("voxels-2", 2.0)):
        after = degraded(head, name)
        np.testing.assert_allclose(after.scan.spacing, size, rtol=1e-6)
        volume = np.count_nonzero(after.labels.data) * size**3
        assert volume == pytest.approx(np.count_nonzero(head.labels.data) * np.prod(head.scan.spacing), rel=0.05)


@pytest.mark.parametrize(("world", "axis"), [(0, 0), (1, 2), (2, 1)])
def test_slabs_are_thick_along_the_axis_nearest_to_their_direction(head: Head, world: int, axis: int) -> None:
    after = slabs(3.0, world)(head, default_rng(0))
    expected = np.array(head.scan.spacing)
    expected[axis] = 3.0
    np.testing.assert_allclose(after.scan.spacing, expected, rtol=1e-6)


def test_the_same_spacing_changes_nothing(head: Head) -> None:
    after = to_spacing(head, head.scan.spacing)
    np.testing.assert_allclose(after.scan.data, head.scan.data, atol=1e-3)
    np.testing.assert_array_equal(after.labels.data, head.labels.data)
    np.testing.assert_allclose(after.scan.affine, head.scan.affine, atol=1e-9)


def test_coarser_voxels_are_means_and_not_samples() -> None:
    stripes = np.where(np.arange(40) % 2, 100.0, 0.0)[:, None, None] * np.ones((40, 6, 6))
    labels = LabelVolume(np.zeros(stripes.shape, np.uint8), AFFINE)
    after = to_spacing(Head(Volume(stripes, AFFINE), labels, labels.data > 0), (4.0, 1.3, 0.8))
    assert np.ptp(after.scan.data[1:-1]) < 5
    assert after.scan.data[1:-1].mean() == pytest.approx(50, abs=2)


def test_a_crop_keeps_intensities_labels_and_places(head: Head) -> None:
    after = crop(head, (slice(3, None), slice(0, 20), slice(5, 40)))
    np.testing.assert_array_equal(after.scan.data, head.scan.data[3:, :20, 5:40])
    np.testing.assert_allclose(after.scan.affine @ (0, 0, 0, 1), head.scan.affine @ (3, 0, 5, 1))


def test_fields_of_view_end_where_they_should(head: Head) -> None:
    up = head.scan.affine[2, 1]
    bottom = below_cerebellum(head, default_rng(0))
    assert bottom.scan.shape[1] < head.scan.shape[1]
    assert np.isin(bottom.labels.data[:, 0], (8,)).any()
    assert np.count_nonzero(bottom.labels.data == 8) == np.count_nonzero(head.labels.data == 8)
    top = without_top(head, default_rng(0))
    height = np.ptp(np.flatnonzero(head.brain.any((0, 2)))) + 1
    assert np.ptp(np.flatnonzero(top.brain.any((0, 2)))) + 1 == pytest.approx(height * 2 / 3, abs=1)
    assert np.isin(2, top.labels.data[:, -1])
    assert up > 0  # the second axis points up


def test_the_side_that_is_out_of_view_is_the_left(head: Head) -> None:
    after = without_side(head, default_rng(0))
    left, right = (np.count_nonzero(after.labels.data == v) / np.count_nonzero(head.labels.data == v) for v in (2, 41))
    assert 0.6 < left < 0.75
    assert right > 0.97
    assert after.scan.is_oblique


def test_nothing_is_left_far_from_a_stripped_brain(head: Head) -> None:
    after = degraded(head, "stripped")
    np.testing.assert_array_equal(after.scan.data[head.brain], head.scan.data[head.brain])
    share = np.count_nonzero(after.scan.data) / np.count_nonzero(head.brain)
    assert 1.2 < share < 2.2


def test_intensities_become_what_the_names_say(head: Head) -> None:
    white = np.isin(head.labels.data, (2, 41))
    ratio = degraded(head, "bias").scan.data / head.scan.data
    assert ratio.min() == pytest.approx(0.7, abs=0.01)
    assert ratio.max() == pytest.approx(1.3, abs=0.01)
    assert np.abs(np.diff(ratio[5:-5, 5:-5, 5:-5], axis=0)).max() < 0.1
    for name, share in (("noise-5", 0.05), ("noise-10", 0.10)):
        added = (degraded(head, name).scan.data - head.scan.data)[white]
        assert added.std() == pytest.approx(100 * share, rel=0.05)
    np.testing.assert_allclose(degraded(head, "range-float").scan.data, head.scan.data * 0.01 + 3, rtol=1e-5)
    np.testing.assert_allclose(degraded(head, "gain-0.7").scan.data, head.scan.data * 0.7, rtol=1e-5)
    for name, kind, top in (("range-int16", np.int16, 30_000), ("range-uint8", np.uint8, 255)):
        data = degraded(head, name).scan.data
        assert data.dtype == kind
        assert (data.min(), data.max()) == (0, top)
    low, high = (degraded(head, f"contrast-{n}").scan.data for n in ("low", "high"))
    shares = [np.median(d[white]) / np.median(d[head.labels.data == 16]) for d in (low, high)]
    assert shares[0] > np.median(head.scan.data[white]) / 180 > shares[1]


def test_names_are_unique_and_texts_fit_a_table() -> None:
    assert len(BY_NAME) == len(DEGRADATIONS)
    assert not [d.name for d in DEGRADATIONS if "|" in d.text or "," in d.name]
