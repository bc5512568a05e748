"""Windows cover the box evenly, and merging their scores gives the slice back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_scse.conform import Window, merge, windows
from napari_scse.errors import InputError

# shape, canvas, box
LAYOUTS = [
    ((40, 50), (32, 32), (4, 30, 10, 41)),
    ((40, 50), (32, 48), (0, 40, 0, 50)),
    ((40, 50), (64, 64), (5, 20, 7, 9)),
    ((100, 33), (16, 40), (3, 98, 1, 30)),
    ((97, 89), (30, 25), (0, 97, 0, 89)),
    ((5, 6), (1, 1), (1, 4, 2, 6)),
    ((1, 1), (8, 8), (0, 1, 0, 1)),
]
IDS = [f"{shape}-{canvas}" for shape, canvas, _ in LAYOUTS]


@pytest.mark.parametrize(("shape", "canvas", "box"), LAYOUTS, ids=IDS)
def test_windows_cover_the_box(shape: tuple[int, int], canvas: tuple[int, int], box: tuple[int, int, int, int]) -> None:
    covered = np.zeros(shape, dtype=int)
    for window in windows(shape, canvas, box):
        assert (window.height, window.width) == canvas
        covered[max(window.top, 0) : window.top + window.height, max(window.left, 0) : window.left + window.width] += 1
    assert np.all(covered[box[0] : box[1], box[2] : box[3]])


@pytest.mark.parametrize(("shape", "canvas", "box"), LAYOUTS, ids=IDS)
def test_windows_are_even_and_symmetric(
    shape: tuple[int, int], canvas: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    laid = windows(shape, canvas, box)
    for axis, firsts in enumerate(({window.top for window in laid}, {window.left for window in laid})):
        start, stop = box[2 * axis : 2 * axis + 2]
        steps = np.diff(sorted(firsts))
        if stop - start <= canvas[axis]:
            assert len(firsts) == 1
            (first,) = firsts
            assert abs((first - start) - (stop - first - canvas[axis])) <= 1  # centred, to a half voxel
        else:
            assert np.ptp(steps) <= 1
            assert max(steps) <= max(np.ceil(0.75 * canvas[axis]), 1)
            assert (min(firsts), max(firsts)) == (start, stop - canvas[axis])
            mirrored = {start + stop - canvas[axis] - first for first in firsts}
            assert all(min(abs(first - other) for other in mirrored) <= 1 for first in firsts)


def test_one_window_where_the_box_fits() -> None:
    assert windows((200, 180), (160, 160), (30, 180, 20, 150)) == (Window(25, 5, 160, 160),)


def test_more_windows_only_as_needed() -> None:
    assert len(windows((256, 256), (160, 160), (0, 256, 50, 200))) == 2
    assert len(windows((256, 256), (256, 256), (0, 256, 0, 256))) == 1


@pytest.mark.parametrize("box", [(3, 3, 0, 5), (0, 11, 0, 5), (-1, 5, 0, 5), (0, 5, 4, 2)])
def test_refuses_boxes_outside(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(InputError, match="box"):
        windows((10, 10), (4, 4), box)
    with pytest.raises(InputError, match="canvas"):
        windows((10, 10), (4, 0), (0, 5, 0, 5))


@pytest.mark.parametrize(
    "window", [Window(-3, 2, 8, 4), Window(4, 5, 9, 9), Window(-2, -2, 20, 20), Window(30, 0, 3, 3)]
)
def test_what_sticks_out_is_zero(window: Window) -> None:
    slices = np.random.default_rng(0).integers(1, 9, (2, 3, 10, 11)).astype(np.int16)
    padded = np.pad(slices, ((0, 0), (0, 0), (40, 40), (40, 40)))
    expected = padded[..., window.top + 40 :, window.left + 40 :][..., : window.height, : window.width]
    np.testing.assert_array_equal(window.extract(slices), expected, strict=True)


def test_inside_is_a_view() -> None:
    slices = np.zeros((3, 10, 11), dtype=np.float32)
    assert np.shares_memory(Window(2, 3, 8, 8).extract(slices), slices)


@pytest.mark.parametrize(("shape", "canvas", "box"), LAYOUTS, ids=IDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_merging_what_was_extracted_gives_the_slice_back(
    shape: tuple[int, int], canvas: tuple[int, int], box: tuple[int, int, int, int], dtype: torch.dtype
) -> None:
    whole = torch.randn(4, *shape, dtype=dtype)
    laid = windows(shape, canvas, box)
    merged = merge(laid, [torch.from_numpy(window.extract(whole.numpy())) for window in laid], shape)
    assert merged.dtype == dtype
    reached = torch.from_numpy(sum(_reach(window, shape) for window in laid) > 0)
    torch.testing.assert_close(merged[:, reached], whole[:, reached], atol=1e-5, rtol=1e-5)
    assert torch.all(merged.argmax(0)[~reached] == 0)
    assert torch.all(torch.isfinite(merged))


def _reach(window: Window, shape: tuple[int, int]) -> np.ndarray:
    reach = np.zeros(shape, dtype=int)
    reach[max(window.top, 0) : window.top + window.height, max(window.left, 0) : window.left + window.width] = 1
    return reach


def test_overlaps_go_gradually_from_one_window_to_the_other() -> None:
    left, right = Window(0, 0, 1, 8), Window(0, 4, 1, 8)
    merged = merge([left, right], [torch.zeros(1, 1, 8), torch.ones(1, 1, 8)], (1, 12))[0, 0].numpy()
    assert np.all(merged[:4] == 0)
    assert np.all(merged[8:] == 1)
    assert np.all(np.diff(merged[3:9]) > 0)
    np.testing.assert_allclose(merged + merged[::-1], 1.0, rtol=1e-6)


def test_negative_scores_do_not_beat_the_background_outside() -> None:
    merged = merge([Window(0, 0, 2, 2)], [torch.full((3, 2, 2), -50.0)], (4, 4))
    outside = torch.ones(4, 4, dtype=torch.bool)
    outside[:2, :2] = False
    assert torch.all(merged[0, outside] == 50)
    assert torch.all(merged[1:, outside] == 0)
    assert torch.all(merged[:, :2, :2] == -50)


def test_a_window_that_covers_the_slice_is_not_copied() -> None:
    scores = torch.rand(3, 10, 12)
    merged = merge([Window(-2, -1, 10, 12)], [scores], (7, 9))
    assert merged.untyped_storage().data_ptr() == scores.untyped_storage().data_ptr()
    assert torch.equal(merged, scores[:, 2:9, 1:10])


def test_leading_axes_are_kept() -> None:
    laid = windows((10, 20), (10, 12), (0, 10, 0, 20))
    scores = [torch.rand(5, 3, 10, 12) for _ in laid]
    together = merge(laid, scores, (10, 20))
    for number in range(5):
        torch.testing.assert_close(together[number], merge(laid, [each[number] for each in scores], (10, 20)))


def test_every_window_needs_its_scores() -> None:
    with pytest.raises(InputError, match="1 windows and the scores of 2"):
        merge([Window(0, 0, 2, 2)], [torch.zeros(1, 2, 2)] * 2, (2, 2))
    with pytest.raises(InputError, match="0 windows"):
        merge([], [], (2, 2))
