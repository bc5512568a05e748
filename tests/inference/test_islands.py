"""What counts as an island, and what as a structure of its own."""

from __future__ import annotations

import numpy as np

from napari_scse.inference.islands import find_islands, main_parts


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


def test_nothing_labelled_has_no_parts() -> None:
    empty = np.zeros((3, 4, 5), np.uint16)
    assert not find_islands(empty).any()
    assert not main_parts(empty, 0.1).any()
    assert not main_parts(empty, 0.1, opening=2).any()


def test_what_hangs_on_a_thread_can_be_cut_off() -> None:
    labels = np.minimum(make_labels(), 1)
    size = np.count_nonzero(labels)
    labels[6:10, 22:26, 16:22] = 1  # 2 % of the large part
    labels[8, 20:22, 18] = 1  # a thread along the rows
    assert main_parts(labels, 0.1).sum() == np.count_nonzero(labels)
    part = main_parts(labels, 0.1, opening=1)
    assert not part[:, 20:].any()
    assert part.sum() > 0.9 * size


def test_main_parts_are_large_or_have_most_of_a_label() -> None:
    labels = np.minimum(make_labels(), 1)
    labels[24:28, 6:16, 6:17] = 1  # a tenth of the large part
    labels[25:27, 22:24, 3:5] = 54
    labels[25, 22, 15:17] = 54
    main = main_parts(labels, 0.1)
    assert main[24:28, 6:16, 6:17].all()
    assert main[25:27, 22:24, 3:5].all()
    assert not main[25, 22, 15:17].any()
    assert not main_parts(labels, 0.1, least=0.01)[25:27, 22:24, 3:5].any()
    assert not main_parts(labels, 0.2)[24:28, 6:16, 6:17].any()


def test_an_opening_that_leaves_nothing_is_not_made() -> None:
    labels = np.zeros((2, 9, 9), np.uint8)
    labels[0, 4, :] = 3
    np.testing.assert_array_equal(main_parts(labels, 0.1, opening=2), labels > 0)
