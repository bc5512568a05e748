"""Arrays packed in slabs are what they were, in any order of axes, packed or not yet."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from napari_scse._napari.packed import Packed, bounds, memory_order

AXES = list(itertools.permutations(range(3)))


def blobs(shape: tuple[int, int, int], axes: tuple[int, ...], dtype: type) -> np.ndarray:
    """Labels of `shape` once their axes are turned back: a view in another order."""
    numbers = np.random.default_rng(0).integers(0, 9, [-(-n // 8) for n in shape]).astype(dtype)
    whole = np.kron(numbers, np.ones((8, 8, 8), dtype))[tuple(map(slice, shape))]
    return np.ascontiguousarray(whole).transpose(axes)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, bool])
@pytest.mark.parametrize("axes", AXES)
def test_what_is_packed_comes_back(axes: tuple[int, ...], dtype: type) -> None:
    array = blobs((150, 160, 170), axes, dtype)
    packed = Packed(array)
    for _ in range(2):
        back = np.asarray(packed)
        assert back.dtype == array.dtype
        assert np.array_equal(back, array)
        assert memory_order(back) == memory_order(array)
        deadline = time.monotonic() + 30
        while packed.nbytes > array.nbytes / 8 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert packed.nbytes < array.nbytes / 8


@pytest.mark.parametrize("shape", [(1,), (5, 1), (0, 4), (3, 4, 5), (2, 700_000), (300, 7, 1000)])
def test_slabs_are_the_array_in_parts(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(1).integers(0, 255, shape).astype(np.uint8)
    back, seen = np.zeros_like(array), np.zeros(shape, np.uint8)
    for index, slab in Packed(array).slabs():
        back[index] = slab
        seen[index] += 1
    assert np.array_equal(back, array)
    assert (seen == 1).all()


@pytest.mark.parametrize("axes", AXES)
def test_bounds_are_those_of_what_is_set(axes: tuple[int, ...]) -> None:
    mask = np.zeros((7, 9, 8), bool).transpose(axes)
    assert bounds(mask) is None
    mask[2:5, 1, 3:] = True
    assert bounds(mask) == (slice(2, 5), slice(1, 2), slice(3, mask.shape[2]))
