"""Lessons are the windows that inference shows the network, and small structures come as often as large ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from napari_scse.inference import Location, Scan
from napari_scse.refinement import RefineConfig, Strokes
from napari_scse.refinement.learning import order
from napari_scse.refinement.lessons import UNPAINTED, Lesson, other_lessons, painted_lessons, partners
from napari_scse.refinement.strokes import Placed, place
from napari_scse.runs import Run
from napari_scse.volume import Volume


@pytest.fixture
def laid_out(scan: Volume, run: Run, strokes: Strokes) -> tuple[Scan, Placed]:
    laid_out = Scan.of(scan, run.config)
    return laid_out, place(strokes, run.config, laid_out.geometry, laid_out.conformation)


def everywhere(scan: Scan) -> Location:
    height, width = scan.plane_shape
    return Location(0, len(scan.data), (0, height, 0, width), 0.01, found=True)


def test_every_stroke_is_in_a_lesson_and_every_lesson_has_one(laid_out: tuple[Scan, Placed]) -> None:
    scan, placed = laid_out
    for box in ((0, scan.plane_shape[0], 0, scan.plane_shape[1]), (0, 9, 0, 9)):  # the second leaves strokes outside
        location = Location(0, len(scan.data), box, 0.01, found=True)
        lessons = list(painted_lessons(scan, location, placed))
        found = np.bincount(np.concatenate([lesson.targets[lesson.targets >= 0] for lesson in lessons]))
        there = np.bincount(placed.classes, minlength=len(found))
        assert (found >= there).all()
        for lesson in lessons:
            assert lesson.image.shape == (3, *scan.config.canvas)
            assert lesson.targets.shape == lesson.inside.shape == scan.config.canvas
            assert (lesson.targets != UNPAINTED).any()
            assert lesson.inside[lesson.targets != UNPAINTED].all()


def test_others_have_no_strokes_and_are_spread(laid_out: tuple[Scan, Placed]) -> None:
    scan, placed = laid_out
    lessons = list(other_lessons(scan, everywhere(scan), placed, 4))
    assert all((lesson.targets == UNPAINTED).all() for lesson in lessons)
    whole = list(other_lessons(scan, everywhere(scan), placed, 1000))
    per_slice = len(lessons) // 4
    assert len(whole) == per_slice * (len(scan.data) - len(np.unique(placed.where[:, 0])))


def test_a_mirror_image_has_the_other_sides_labels(laid_out: tuple[Scan, Placed]) -> None:
    scan, placed = laid_out
    sides = partners(scan)
    lesson = next(painted_lessons(scan, everywhere(scan), placed))
    turned = lesson.mirrored(sides)
    np.testing.assert_array_equal(turned.image, lesson.image[..., ::-1])
    names = [c.name for c in scan.config.classes]
    for before, after in zip(lesson.targets.ravel(), turned.targets[:, ::-1].ravel(), strict=True):
        if before == UNPAINTED:
            assert after == UNPAINTED
        else:
            assert names[after] == names[before].replace("Left", "?").replace("Right", "Left").replace("?", "Right")
    again = turned.mirrored(sides)
    np.testing.assert_array_equal(again.targets, lesson.targets)


@pytest.fixture
def lesson() -> Callable[[], Lesson]:
    return lambda: Lesson(np.zeros((1, 2, 2), np.float32), np.zeros((2, 2), np.int64), np.ones((2, 2), bool))


def test_a_structure_in_few_slices_comes_as_often(lesson: Callable[[], Lesson]) -> None:
    painted, others = [lesson()], [lesson() for _ in range(10)]
    present = np.zeros((10, 3), bool)
    present[:, 0] = True  # in all slices
    present[:5, 1] = True
    present[7, 2] = True  # in one only
    steps = list(order(RefineConfig(steps=20, held=1), painted, others, present))
    places = [others.index(step[1]) for step in steps]
    seen = present[places].sum(0)
    assert seen[2] >= 5
    assert seen[1] >= 5
    assert len(set(places)) >= 5


def test_painted_slices_take_turns(lesson: Callable[[], Lesson]) -> None:
    painted = [lesson() for _ in range(3)]
    steps = itertools.chain(*order(RefineConfig(steps=3, painted=2, held=0), painted, [], np.zeros((0, 3), bool)))
    places = [painted.index(one) for one in steps]
    assert sorted(places) == [0, 0, 1, 1, 2, 2]
    assert sorted(places[:3]) == [0, 1, 2]
