"""A small run, a scan, and strokes on it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from napari_scse.refinement import RefineConfig, Strokes
from napari_scse.runs import Run
from napari_scse.slices import Plane, cut
from napari_scse.volume import LabelVolume

CLASSES = (3, 2, 0)  # cortex, white matter, background


@pytest.fixture
def run(tiny_run: Callable[..., Run]) -> Run:
    """A small network with random weights that sees one neighbour on each side."""
    return tiny_run(neighbours=1, epochs=2)


@pytest.fixture
def strokes(labels: LabelVolume) -> Strokes:
    """A line of what is there in three coronal slices, background at its ends."""
    return draw(labels)


@pytest.fixture
def quick() -> RefineConfig:
    """Few steps, large ones."""
    return RefineConfig(
        steps=24,
        learning_rate=2e-2,
        hold=0.3,
        confidence=0.0,
        release=1,
        mixing=1.0,
        others=4,
        precision="float32",
    )


def draw(labels: LabelVolume, numbers: tuple[int, ...] = (9, 12, 15)) -> Strokes:
    """See `strokes`."""
    stack = cut(labels, Plane.CORONAL)
    painted = np.zeros(labels.shape, bool)
    for number in numbers:
        line = np.zeros(stack.data.shape[1:], bool)
        line[line.shape[0] // 2, 1:-1] = True
        painted[stack.geometry.index(number)] = stack.geometry.restore_slice(line)
    return Strokes(labels.data, painted)
