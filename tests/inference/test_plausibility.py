"""Whom the warning reaches: labels with the sizes of other things, not cropped or poor ones of the right thing."""

from __future__ import annotations

import numpy as np
import pytest

from napari_scse.inference.plausibility import LEAST_JUDGED, UNLIKE, plausibility
from napari_scse.sizes import TypicalSize, measure, typical
from napari_scse.volume import LabelVolume

# Voxels of 1.0 x 1.3 x 0.8 mm, oblique, left-superior-anterior.
AFFINE = np.array([[-0.8, 0, 0.48, 20], [0.6, 0, 0.64, -9], [0, 1.3, 0, 7], [0, 0, 0, 1]])
VALUES = np.array([2, 3, 4, 7, 8, 10, 41, 42])


def make_body(edge: int = 8, shape: tuple[int, int, int] = (48, 40, 44)) -> LabelVolume:
    """Eight cubes in the middle of the volume, next to each other, none near a face."""
    data = np.zeros(shape, np.uint8)
    for number, value in enumerate(VALUES):
        corner = [(n - 20) // 2 + 10 * (number >> axis & 1) for axis, n in enumerate(shape)]
        data[tuple(slice(c, c + edge) for c in corner)] = value
    return LabelVolume(data, AFFINE)


@pytest.fixture
def sizes() -> dict[int, TypicalSize]:
    return typical(measure(make_body(edge)) for edge in (7, 8, 9))


def with_data(labels: LabelVolume, data: np.ndarray) -> LabelVolume:
    return LabelVolume(data, labels.affine)


def recoloured(labels: LabelVolume, values: dict[int, int]) -> LabelVolume:
    table = np.arange(256).astype(np.uint8)
    for before, after in values.items():
        table[before] = after
    return with_data(labels, table[labels.data])


def test_what_it_was_trained_on_is_not_warned_of(sizes: dict[int, TypicalSize]) -> None:
    assert plausibility(make_body(), sizes) is None


@pytest.mark.parametrize("edge", [3, 10])
def test_sizes_off_by_less_than_the_training_spreads_are_not_warned_of(edge: int) -> None:
    wide = {int(value): TypicalSize(8.0**3 * 1.04, 1.0) for value in VALUES}
    narrow = {value: TypicalSize(size.mm3, 0.1) for value, size in wide.items()}
    assert plausibility(make_body(edge), wide) is None
    assert (plausibility(make_body(edge), narrow) is None) == (edge == 10)  # 10³ is 1.95 times 8³


def test_labels_of_other_sizes_are_warned_of_in_one_sentence(sizes: dict[int, TypicalSize]) -> None:
    sentence = plausibility(make_body(4), sizes)
    assert sentence is not None
    assert sentence.startswith(UNLIKE)
    assert "8 of the 8 structures" in sentence
    assert sentence.endswith(".")
    assert sentence.count(".") == 1


def test_voxels_of_a_wrong_size_are_warned_of(sizes: dict[int, TypicalSize]) -> None:
    body = make_body()
    scale = np.diag([10.0, 10.0, 10.0, 1.0])
    assert plausibility(LabelVolume(body.data, body.affine @ scale), sizes) is not None


def test_it_takes_more_than_a_third_of_the_structures(sizes: dict[int, TypicalSize]) -> None:
    third = recoloured(make_body(), dict.fromkeys([2, 3], 0))
    assert plausibility(third, sizes) is None
    assert plausibility(recoloured(third, {4: 0}), sizes) is not None


def test_one_structure_that_swallows_all_others_is_warned_of(sizes: dict[int, TypicalSize]) -> None:
    assert plausibility(recoloured(make_body(), dict.fromkeys(VALUES.tolist(), 42)), sizes) is not None


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("kept", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("side", [1, -1])
def test_a_cropped_field_of_view_is_not_warned_of(
    sizes: dict[int, TypicalSize], axis: int, kept: float, side: int
) -> None:
    body = make_body(10)  # without gaps
    turned = body.data.swapaxes(0, axis)[::side]
    cropped = turned[: round(kept * len(turned))][::side].swapaxes(0, axis)
    assert plausibility(with_data(body, cropped), sizes) is None


def test_a_few_voxels_on_a_face_do_not_excuse_what_is_missing(sizes: dict[int, TypicalSize]) -> None:
    data = recoloured(make_body(), dict.fromkeys(VALUES.tolist()[1:], 0)).data.copy()
    data[0, 20, 20:22] = 42
    assert plausibility(with_data(make_body(), data), sizes) is not None


def test_a_structure_on_a_face_counts_where_it_is_too_large_already(sizes: dict[int, TypicalSize]) -> None:
    bands = VALUES[np.arange(48) * len(VALUES) // 48].astype(np.uint8)
    data = np.broadcast_to(bands[:, None, None], (48, 40, 44)).copy()
    assert plausibility(with_data(make_body(), data), sizes) is not None


@pytest.mark.parametrize("count", [LEAST_JUDGED - 1, LEAST_JUDGED])
def test_too_few_structures_to_judge_are_not_judged(sizes: dict[int, TypicalSize], count: int) -> None:
    small = recoloured(make_body(3), dict.fromkeys(VALUES.tolist()[count:], 0)).data.copy()
    small[:, 0] = 99  # of no known size, and all over a face: what is missing may lie outside
    assert (plausibility(with_data(make_body(), small), sizes) is None) == (count < LEAST_JUDGED)


def test_a_run_of_one_structure_is_judged_by_it() -> None:
    only = recoloured(make_body(), dict.fromkeys(VALUES.tolist()[1:], 0))
    size = measure(only)[2].mm3
    assert plausibility(only, {2: TypicalSize(size, 0.0)}) is None
    assert plausibility(only, {2: TypicalSize(size * 2.3, 0.0)}) is not None


def test_nothing_is_said_without_labels_or_without_sizes(sizes: dict[int, TypicalSize]) -> None:
    body = make_body()
    assert plausibility(with_data(body, np.zeros_like(body.data)), sizes) is None
    assert plausibility(body, {}) is None
