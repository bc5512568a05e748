"""Pixels that lie on each other are found, others are not taken for such."""

from __future__ import annotations

import numpy as np

from napari_scse.exploration.overlap import overlap

AFFINE = np.array([[0.0, 1.2, 0.1, -30], [0.9, 0, 0.2, 12], [0, -0.1, -1.1, 7], [0, 0, 0, 1]])


def moved(*shift: float) -> np.ndarray:
    affine = AFFINE.copy()
    affine[:3, 3] = (AFFINE @ (*shift, 1))[:3]
    return affine


def test_the_common_part_has_the_same_places() -> None:
    found = overlap((9, 20, 30), AFFINE, (9, 12, 40), moved(0, 5, -4))
    assert found == ((slice(0, 9), slice(5, 17), slice(0, 30)), (slice(0, 9), slice(0, 12), slice(4, 34)))
    mine, theirs = found
    here = AFFINE @ (*(part.start for part in mine), 1)
    np.testing.assert_allclose(here, moved(0, 5, -4) @ (*(part.start for part in theirs), 1), atol=1e-9)


def test_what_lies_otherwise_has_none() -> None:
    assert overlap((9, 20, 30), AFFINE, (9, 20, 30), moved(0, 0.5, 0)) is None
    assert overlap((9, 20, 30), AFFINE, (9, 20, 30), moved(0, 20, 0)) is None
    assert overlap((9, 20, 30), AFFINE, (9, 20, 30), AFFINE @ np.diag([1, 2, 2, 1])) is None
