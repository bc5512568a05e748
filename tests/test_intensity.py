"""Whatever unit, offset, type or gaps a scan has, the network sees the same."""

from __future__ import annotations

import numpy as np
import pytest

from napari_scse.errors import InputError
from napari_scse.intensity import foreground_gain, labelled_gain, normalise, prepare
from napari_scse.volume import Volume


@pytest.mark.parametrize(
    "dtype", ["uint8", "int16", "uint16", "int32", "uint64", "float16", "float32", "float64", ">i2", ">f4"]
)
def test_any_number_type_gives_finite_float32_with_the_background_at_zero(scan: Volume, dtype: str) -> None:
    given = scan.data.round().astype(dtype)
    before = given.copy()
    out = prepare(given.transpose(2, 0, 1)[:, ::-1])
    assert out.dtype == np.float32
    assert out.flags.c_contiguous
    assert out.min() == 0
    np.testing.assert_allclose(out, prepare(scan.data.round().transpose(2, 0, 1)[:, ::-1]), atol=0.1)
    np.testing.assert_array_equal(given, before)


def test_a_mask_of_truth_values_is_a_scan_too() -> None:
    mask = np.zeros((4, 5, 6), bool)
    mask[1:3, 2:, :2] = True
    np.testing.assert_array_equal(prepare(mask), mask.astype(np.float32))


@pytest.mark.parametrize(
    ("factor", "offset"),
    [(1e-3, 0.0), (40.0, -1024.0), (0.01, -0.7), (7.0, 2.0**40), (1e-30, 0.0), (1e-40, 0.0), (1e36, 0.0), (1e300, 0.0)],
)
def test_unit_and_offset_do_not_matter(scan: Volume, factor: float, offset: float) -> None:
    plain = prepare(scan.data)
    other = prepare(scan.data.astype(np.float64) * factor + offset)
    assert np.isfinite(other).all()
    a, b = (normalise(x, foreground_gain(x, 1.0), 2.5) for x in (plain, other))
    np.testing.assert_allclose(a, b, atol=1e-3)
    labelled = scan.data > 60
    gains = [labelled_gain(x, labelled, 0.8) for x in (plain, other)]
    assert gains[0] is not None
    assert gains[1] is not None
    np.testing.assert_allclose(plain * gains[0], other * gains[1], atol=1e-3)


def test_float32_near_its_end_does_not_overflow() -> None:
    data = np.linspace(-3.3e38, 3.3e38, 1000, dtype=np.float32).reshape(10, 10, 10)
    out = prepare(data)
    assert np.isfinite(out).all()
    assert out.max() > 0


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_nan_and_infinities_are_background(scan: Volume, hole: float) -> None:
    data = scan.data - 500  # a scan whose numbers are negative: 0 would be far too bright
    holes = np.random.default_rng(1).random(data.shape) < 0.05
    data[holes] = hole
    out = prepare(data)
    assert np.all(out[holes] == 0)
    np.testing.assert_allclose(out[~holes], prepare(scan.data)[~holes], atol=2)


@pytest.mark.parametrize("share", [0.5, 0.003])
def test_a_mask_of_nan_is_a_mask_of_zero(share: float) -> None:
    inside = np.random.default_rng(0).random((40, 40, 40)) >= share
    data = np.random.default_rng(1).gamma(9, 10, inside.shape)
    data[0, :4] = 0  # the darkest quarter of a percent
    data[20, 20, 20] = -900  # and a stray number
    expected = prepare(np.where(inside, data, 0))[inside]
    np.testing.assert_array_equal(prepare(np.where(inside, data, np.nan))[inside], expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_volume_without_a_finite_voxel_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="no finite voxel"):
        prepare(np.full((3, 4, 5), value))


@pytest.mark.parametrize("data", [np.zeros((3, 4, 5)), np.full((3, 4, 5), -7, np.int16), np.ones((2, 2, 2), bool)])
def test_a_constant_volume_is_refused(data: np.ndarray) -> None:
    with pytest.raises(InputError, match="constant"):
        prepare(data)
    gap = data.astype(float)
    gap[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="constant"):
        prepare(gap)


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="complex"):
        prepare(np.zeros((2, 2, 2), complex))


def test_a_few_dark_voxels_in_a_bright_block_remain_a_picture() -> None:
    data = np.full((20, 20, 20), 9.0)
    data[0, 0, 0] = 4.0
    out = prepare(data)
    assert out[0, 0, 0] == 0
    assert out[5, 5, 5] == 5


def test_the_labelled_median_is_what_was_asked_for(scan: Volume) -> None:
    data = prepare(scan.data)
    labelled = scan.data > 90
    gain = labelled_gain(data, labelled, 0.8)
    assert gain is not None
    seen = normalise(data, gain, 2.5)
    assert np.median(seen[labelled]) == pytest.approx(0.8)
    assert labelled_gain(data, np.zeros(data.shape, bool), 0.8) is None
    assert labelled_gain(data, data == 0, 0.8) is None


def test_the_foreground_gain_is_near_the_labelled_one_and_ignores_hot_voxels(scan: Volume) -> None:
    data = prepare(scan.data)
    exact = labelled_gain(data, scan.data > 40, 1.0)
    assert exact is not None
    assert foreground_gain(data, 1.0) == pytest.approx(exact, rel=0.25)
    hot = data.copy()
    hot.reshape(-1)[::2000] *= 1e6
    assert foreground_gain(hot, 1.0) == pytest.approx(foreground_gain(data, 1.0), rel=0.05)


def test_the_foreground_gain_of_next_to_nothing_is_finite() -> None:
    data = np.zeros((30, 30, 30), np.float32)
    assert np.isfinite(foreground_gain(data, 1.0))
    data[3, 3, 3] = 5
    assert foreground_gain(data, 1.0) == pytest.approx(1 / 5)


def test_what_is_brighter_than_the_clip_becomes_the_clip() -> None:
    data = np.array([[0.0, 1.0, 4.0]], np.float32)
    np.testing.assert_array_equal(normalise(data, 2.0, 2.5), np.array([[0.0, 2.0, 2.5]], np.float32))
    np.testing.assert_array_equal(data, [[0.0, 1.0, 4.0]])
