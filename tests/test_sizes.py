"""Sizes of structures: in millimetres, on any grid, and what is cut off by the field of view."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_scse.sizes import Size, TypicalSize, measure, typical
from napari_scse.volume import LabelVolume

# Voxels of 1.0 x 1.3 x 0.8 mm, oblique, left-superior-anterior.
AFFINE = np.array([[-0.8, 0, 0.48, 20], [0.6, 0, 0.64, -9], [0, 1.3, 0, 7], [0, 0, 0, 1]])


def make_labels() -> LabelVolume:
    """Structure 2 in the middle, 41 across the last face of the second axis."""
    data = np.zeros((9, 11, 7), np.uint8)
    data[2:5, 3:8, 1:4] = 2
    data[3:8, 9:, 2:4] = 41
    return LabelVolume(data, AFFINE)


def test_volumes_and_open_areas_are_in_millimetres() -> None:
    found = measure(make_labels())
    assert list(found) == [2, 41]
    assert found[2].mm3 == pytest.approx(3 * 5 * 3 * 1.04)
    assert found[2].open_mm2 == 0
    assert found[41].mm3 == pytest.approx(5 * 2 * 2 * 1.04)
    assert found[41].open_mm2 == pytest.approx(5 * 2 * 1.0 * 0.8)


def test_sizes_do_not_depend_on_the_order_or_direction_of_axes() -> None:
    labels = make_labels()
    turn = np.array([[0, 0, -1.0, 6], [1, 0, 0, 0], [0, -1, 0, 10], [0, 0, 0, 1]])  # new index -> old index
    turned = LabelVolume(labels.data.transpose(1, 2, 0)[:, :, ::-1], labels.affine @ turn)
    for value, size in measure(turned).items():
        assert size.mm3 == pytest.approx(measure(labels)[value].mm3)


def test_labels_are_counted_as_the_classes_they_stand_for() -> None:
    found = measure(make_labels(), {2: 5, 41: 5})
    assert list(found) == [5]
    assert found[5].mm3 == pytest.approx((45 + 20) * 1.04)
    assert found[5].open_mm2 > 0
    assert list(measure(make_labels(), {2: 7, 41: 0})) == [7]


def test_nothing_labelled_has_no_sizes() -> None:
    assert measure(LabelVolume(np.zeros((3, 1, 2), np.uint16), np.eye(4))) == {}


def test_typical_is_the_geometric_mean_and_the_spread_of_logarithms() -> None:
    sizes = typical([{2: Size(100.0)}, {2: Size(400.0), 3: Size(7.0)}])
    assert sizes[2].mm3 == pytest.approx(200)
    assert sizes[2].spread == pytest.approx(math.log(4) / math.sqrt(2))
    assert sizes[3] == TypicalSize(pytest.approx(7.0), 0.0)


def test_what_is_cut_does_not_count_as_typical() -> None:
    assert typical([{2: Size(100.0, 3.0), 3: Size(5.0)}, {2: Size(80.0)}])[2].mm3 == pytest.approx(80)
    assert typical([{2: Size(100.0, 3.0)}]) == {}
    assert typical([]) == {}
