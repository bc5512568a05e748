"""What counts as an island, and what as a structure of its own."""

from __future__ import annotations

import numpy as np

from napari_scse.inference.islands import find_islands, largest_part


def make_labels() -> np.ndarray:
    labels = np.zeros((30, 26, 22), np.uint8)
    labels[4:20, 4:20, 4:20] = 3
    labels[8:14, 8:14, 8:14] = 2
    return labels


def test_a_small_part_far_away_is_an_island() -> None:
    labels = make_labels()
    labels[25:27, 22:24, 3:5] = 3
    islands = find_islands(labels)
    assert islands.sum() == 8
    assert islands[25:27, 22:24, 3:5].all()


def test_parts_that_touch_by_a_corner_belong_together() -> None:
    labels = make_labels()
    labels[20, 20, 20] = 3
    assert not find_islands(labels).any()


def test_a_large_second_part_stays() -> None:
    labels = make_labels()
    labels[24:28, 6:16, 6:10] = 3
    assert not find_islands(labels).any()


def test_a_small_structure_of_its_own_stays_wherever_it_is() -> None:
    labels = make_labels()
    labels[25:27, 22:24, 3:5] = 54  # most of label 54 lies here
    labels[25, 22, 15:17] = 54  # and a little here
    islands = find_islands(labels)
    assert islands.sum() == 2
    assert islands[25, 22, 15:17].all()


def test_islands_do_not_depend_on_the_order_of_axes() -> None:
    rng = np.random.default_rng(4)
    labels = np.where(rng.random((18, 21, 16)) > 0.985, rng.integers(1, 5, (18, 21, 16)), 0)
    labels[2:12, 2:12, 2:9] = 1
    turned = find_islands(labels.transpose(2, 0, 1)[::-1, :, ::-1])[::-1, :, ::-1].transpose(1, 2, 0)
    islands = find_islands(labels)
    assert 0 < islands.sum() < (labels > 0).sum()
    np.testing.assert_array_equal(turned, islands)


def test_nothing_labelled_has_no_islands_and_no_largest_part() -> None:
    empty = np.zeros((3, 4, 5), np.uint16)
    assert not find_islands(empty).any()
    assert not largest_part(empty > 0).any()
    assert not largest_part(empty > 0, opening=2).any()


def test_the_largest_part_can_be_cut_off_from_what_hangs_on_a_thread() -> None:
    mask = make_labels() > 0
    joined = mask.copy()
    joined[6:11, 22:26, 16:22] = True
    joined[8, 20:22, 18] = True  # a thread along the rows
    assert largest_part(joined).sum() == joined.sum()
    part = largest_part(joined, opening=1)
    assert not part[:, 20:].any()
    assert part.sum() > 0.9 * mask.sum()


def test_an_opening_that_leaves_nothing_is_not_made() -> None:
    mask = np.zeros((2, 9, 9), bool)
    mask[0, 4, :] = True
    np.testing.assert_array_equal(largest_part(mask, opening=2), mask)
