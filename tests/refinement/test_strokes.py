"""Strokes are what was painted, voxel by voxel, and none is lost on the way to the run's grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from napari_scse.conform import conform
from napari_scse.errors import InputError
from napari_scse.images import read
from napari_scse.refinement import Strokes, read_strokes, write_strokes
from napari_scse.refinement.strokes import place
from napari_scse.runs import Run
from napari_scse.sides import merge_sides
from napari_scse.slices import cut
from napari_scse.structures import FREESURFER27
from napari_scse.volume import LabelVolume, Volume

SHAPE = (9, 11, 7)
SPACINGS = [(1.0, 1.0, 1.0), (3.0, 1.0, 0.5), (0.7, 0.8, 2.0), (0.4, 0.3, 1.0)]


def strokes_of(values: dict[tuple[int, int, int], int], shape: tuple[int, int, int] = SHAPE) -> Strokes:
    labels = np.full(shape, -1, np.int16)
    for place_, value in values.items():
        labels[place_] = value
    return Strokes.of(labels, -1)


def placed_on(strokes: Strokes, run: Run, spacing: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray, int]:
    affine = np.diag([-spacing[0], spacing[1], spacing[2], 1.0])[[0, 2, 1, 3]]
    geometry = cut(Volume(np.zeros(strokes.painted.shape), affine), run.config.plane).geometry
    layout = conform(geometry.stack_shape, geometry.stack_spacing, run.config.spacing)
    placed = place(strokes, run.config, geometry, layout)
    stack = np.full(layout.shape, -1)
    stack[tuple(placed.where.T)] = run.config.values[placed.classes]
    resampled = layout.resample_labels(cut(LabelVolume(np.where(strokes.painted, strokes.labels, 99), affine),
                                           run.config.plane).data)  # fmt: skip
    return stack, resampled, placed.contested


def test_counts_are_by_value_and_background_counts(labels: LabelVolume) -> None:
    strokes = strokes_of({(0, 0, 0): 0, (1, 0, 0): 3, (2, 0, 0): 3, (3, 0, 0): 42})
    assert strokes.counts() == {0: 1, 3: 2, 42: 1}
    assert Strokes.of(labels, 0).counts() == {v: int((labels.data == v).sum()) for v in (2, 3, 41, 42)}


@pytest.mark.parametrize("spacing", SPACINGS)
def test_no_stroke_is_lost_on_any_grid(spacing: tuple[float, float, float], run: Run) -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        voxel = tuple(int(n) for n in random.integers(SHAPE))
        stack, _, contested = placed_on(strokes_of({voxel: 17}), run, spacing)  # type: ignore[dict-item]
        assert np.count_nonzero(stack == 17) >= 1
        assert contested == 0
        assert set(np.unique(stack)) == {-1, 17}


@pytest.mark.parametrize("spacing", [SPACINGS[0], (2.0, 3.0, 1.5)])
def test_where_nothing_gets_coarser_strokes_are_resampled_as_labels_are(
    spacing: tuple[float, float, float], run: Run
) -> None:
    random = np.random.default_rng(4)
    strokes = Strokes(random.choice([0, 2, 41, 17], SHAPE), random.random(SHAPE) < 0.3)
    stack, resampled, _ = placed_on(strokes, run, spacing)
    np.testing.assert_array_equal(stack, np.where(resampled == 99, -1, resampled))


def test_the_majority_decides_and_a_tie_is_left_out(run: Run) -> None:
    fine = (1.0, 1.0, 0.25)  # four voxels fall into one
    shape = (3, 3, 8)
    most = {(1, 1, 0): 2, (1, 1, 1): 2, (1, 1, 2): 3}
    stack, _, contested = placed_on(strokes_of(most, shape), run, fine)
    assert set(np.unique(stack)) == {-1, 2}
    assert contested == 0
    tie = {(1, 1, 0): 2, (1, 1, 1): 3, (1, 1, 2): 3, (1, 1, 3): 2}
    stack, _, contested = placed_on(strokes_of(tie, shape), run, fine)
    assert set(np.unique(stack)) == {-1}
    assert contested == 1


def test_a_run_without_sides_takes_the_right_one_for_the_left(tiny_run: Callable[..., Run]) -> None:
    run = tiny_run(plane="sagittal", structures=merge_sides(FREESURFER27), name="flat")
    indices = strokes_of({(0, 0, 0): 41, (1, 0, 0): 2, (2, 0, 0): 16}).class_indices(run.config)
    values = [int(run.config.values[index]) for index in indices]
    assert values == [2, 2, 16]


def test_a_structure_that_the_run_does_not_know_is_refused(run: Run) -> None:
    with pytest.raises(InputError, match=r"label 77, 1000, which the run tiny does not know; .*It knows 0, 2, 3"):
        strokes_of({(0, 0, 0): 77, (1, 0, 0): 1000, (2, 0, 0): 3}).class_indices(run.config)


@pytest.mark.parametrize(
    ("labels", "painted", "said"),
    [
        (np.zeros((2, 2, 2)), np.ones((2, 2, 2), bool), "whole numbers"),
        (np.zeros((2, 2, 2), int), np.ones((2, 2, 2), int), "true or false"),
        (np.zeros((2, 2, 2), int), np.ones((2, 2, 3), bool), "one shape"),
        (np.zeros((2, 2), int), np.ones((2, 2), bool), "one shape"),
    ],
)
def test_other_arrays_are_refused(labels: np.ndarray, painted: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Strokes(labels, painted)


def test_no_strokes_are_refused(run: Run) -> None:
    with pytest.raises(InputError, match="no strokes"):
        strokes_of({}).class_indices(run.config)


def test_strokes_of_another_grid_are_refused(run: Run, scan: Volume) -> None:
    geometry = cut(scan, run.config.plane).geometry
    layout = conform(geometry.stack_shape, geometry.stack_spacing, run.config.spacing)
    with pytest.raises(InputError, match="shape"):
        place(strokes_of({(0, 0, 0): 2}), run.config, geometry, layout)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_strokes_are_read_as_they_were_written(scan: Volume, tmp_path: Path, dtype: type) -> None:
    random = np.random.default_rng(0)
    labels = random.choice(np.array([0, 2, 41] + ([40000] if dtype is not np.uint8 else [])), scan.shape).astype(dtype)
    strokes = Strokes(labels, random.random(scan.shape) < 0.1)
    stored = nibabel.Nifti1Image(np.zeros(scan.shape, np.uint8), None)
    stored.set_sform(scan.affine, code=4)
    nibabel.save(stored, tmp_path / "scan.nii.gz")
    write_strokes(tmp_path / "strokes.nii.gz", strokes, scan.affine, read(tmp_path / "scan.nii.gz").forms)
    assert nibabel.load(tmp_path / "strokes.nii.gz").header["sform_code"] == 4  # as the scan's file says where it lies
    found = read_strokes(tmp_path / "strokes.nii.gz", scan)
    np.testing.assert_array_equal(found.painted, strokes.painted)
    np.testing.assert_array_equal(found.labels[found.painted], labels[strokes.painted])
    with pytest.raises(InputError, match="no strokes"):
        write_strokes(tmp_path / "none.nii.gz", Strokes(labels, np.zeros(scan.shape, bool)), scan.affine)
    assert not (tmp_path / "none.nii.gz").exists()
