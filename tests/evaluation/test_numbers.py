"""Numbers of structures: a tally that follows edits is one that was counted anew."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_scse.errors import InputError
from napari_scse.evaluation import evaluate, structure_volumes
from napari_scse.evaluation.numbers import (
    COLUMNS,
    StructureNumbers,
    comparable,
    intensity_decimals,
    mean_dice,
    structure_numbers,
    voxel_inside,
    write_numbers,
)
from napari_scse.evaluation.tally import Tally, count, differences, memory_order
from napari_scse.evaluation.volumes import voxel_mm3
from napari_scse.events import Progress, drain
from napari_scse.metrics import overlaps
from napari_scse.structures import FREESURFER27, Structure
from napari_scse.volume import LabelVolume, Volume

SHAPE = (9, 13, 11)
Random = np.random.Generator


def _labels(rng: Random, dtype: str = "uint8") -> np.ndarray:
    values = {"uint8": [0, 2, 41, 17, 53, 16], "int32": [0, -4, 2, 70000, 41, 5], "int64": [0, 2, 41, 1 << 40]}
    return rng.choice(np.array(values[dtype], dtype), SHAPE)


def _same(one: Tally, other: Tally) -> None:
    """The two tallies say the same: whole numbers exactly, intensities but for rounding."""
    assert one.values == other.values
    assert np.array_equal(one.counted, other.counted)
    for value in one.values:
        ours, theirs = one.sums(value), other.sums(value)
        assert (ours.voxels, ours.shared) == (theirs.voxels, theirs.shared)
        assert ours.centre == pytest.approx(theirs.centre, abs=1e-9)
        assert ours.mean == pytest.approx(theirs.mean, rel=1e-9, nan_ok=True)
        assert ours.deviation == pytest.approx(theirs.deviation, abs=1e-5, nan_ok=True)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
@pytest.mark.parametrize("seed", range(5))
def test_following_edits_is_counting_anew(dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, reference = _labels(rng, dtype), _labels(rng, dtype)
    image = rng.normal(4000, 3, SHAPE)
    image[rng.random(SHAPE) < 0.1] = np.nan
    tally = drain(count(labels, image, reference))
    painted = labels.copy()
    for _ in range(20):
        before = painted.copy()
        where = rng.permutation(painted.size)[: rng.integers(0, 400)]
        painted.reshape(-1)[where] = rng.choice(np.unique(labels), len(where))
        changed = tally.update(where, painted.reshape(-1)[where])
        assert changed == np.count_nonzero(before != painted)
    _same(tally, drain(count(painted, image, reference)))
    for here, values in differences(tally, labels, most=100):  # and all of it back
        assert len(here) <= 100
        assert np.array_equal(labels.reshape(-1)[here], values)
        tally.update(here, values)
    _same(tally, drain(count(labels, image, reference)))
    assert not list(differences(tally, labels))
    tally.update(np.arange(labels.size), np.zeros(labels.size, labels.dtype))
    assert tally.values == ()


def test_counts_means_and_overlaps_are_what_they_say(rng: Random) -> None:
    labels, reference = _labels(rng), _labels(rng)
    image = rng.normal(100, 20, SHAPE).astype(np.float32)
    tally = drain(count(labels, image, reference))
    expected = overlaps(labels, reference)
    for value in tally.values:
        sums, inside = tally.sums(value), labels == value
        assert sums.voxels == inside.sum()
        assert sums.centre == pytest.approx(np.argwhere(inside).mean(axis=0))
        assert sums.mean == pytest.approx(image[inside].mean(dtype=float))
        assert sums.deviation == pytest.approx(image[inside].std(dtype=float))
        assert sums.shared == expected[value].shared
    found = structure_numbers(tally, FREESURFER27, 2.0)
    assert [one.dice for one in found] == pytest.approx([expected[one.value].dice for one in found])
    assert sum(one.share_percent for one in found) == pytest.approx(100)
    assert [one.ml for one in found] == pytest.approx([one.voxels / 500 for one in found])


@pytest.fixture
def rng() -> Random:
    """Random numbers, always the same."""
    return np.random.default_rng(3)


def test_the_order_in_memory_changes_nothing(rng: Random) -> None:
    labels = _labels(rng)
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)):
        turned = labels.transpose(order)
        back = memory_order(turned)
        assert np.array_equal(turned.transpose(back), labels)
        laid = drain(count(turned.transpose(back)))
        _same(laid, drain(count(labels)))
        assert {v: laid.sums(v).voxels for v in laid.values} == {
            v: drain(count(turned)).sums(v).voxels for v in laid.values
        }
    assert memory_order(labels[::-1]) == (0, 1, 2)


def test_oblique_grids(labels: LabelVolume, scan: Volume) -> None:
    tally = drain(count(labels.data, scan.data))
    found = structure_numbers(tally, FREESURFER27, voxel_mm3(labels))
    measured = structure_volumes(labels, [s for s in FREESURFER27 if s.value in tally.values])
    assert [one.ml for one in found] == pytest.approx([one.volume_mm3 / 1000 for one in measured])
    size = abs(np.linalg.det(labels.affine[:3, :3]))
    assert found[0].ml == pytest.approx(found[0].voxels * size / 1000)
    assert math.isnan(found[0].dice)


def test_asymmetry_is_the_same_on_both_rows_and_positive_to_the_left() -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[0, 0, :6], labels[1, 0, :2], labels[2, 0, :3], labels[3, 0, :4] = 17, 53, 16, 10
    rows = {one.name: one.asymmetry_percent for one in structure_numbers(drain(count(labels)), FREESURFER27, 1.0)}
    assert rows["Left-Hippocampus"] == rows["Right-Hippocampus"] == pytest.approx(100 * 4 / 4)
    assert math.isnan(rows["Brain-Stem"])
    assert rows["Left-Thalamus"] == 200
    reference = labels.copy()
    reference[4, 0, :4] = 49
    rows = {one.name: one for one in structure_numbers(drain(count(labels, None, reference)), FREESURFER27, 1.0)}
    assert rows["Left-Thalamus"].asymmetry_percent == rows["Right-Thalamus"].asymmetry_percent == 200
    assert (rows["Right-Thalamus"].voxels, rows["Right-Thalamus"].dice) == (0, 0.0)


def test_a_missing_side_is_known_by_the_names_of_all_structures() -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[0, 0, :6] = 2
    kidneys = (Structure(1, "kidney_left", ""), Structure(2, "kidney_right", ""))
    (right,) = structure_numbers(drain(count(labels)), kidneys, 1.0)
    assert right.asymmetry_percent == -200
    (alone,) = structure_numbers(drain(count(labels)), kidneys[1:], 1.0)
    assert math.isnan(alone.asymmetry_percent)


def test_dice_is_that_of_evaluate(labels: LabelVolume) -> None:
    moved = LabelVolume(np.roll(labels.data, 1, axis=1), labels.affine)
    found = structure_numbers(drain(count(moved.data, None, labels.data)), (), 1.0)
    report = evaluate(moved, labels, surfaces=False)
    assert [one.dice for one in found] == pytest.approx([score.dice for score in report.scores])
    assert mean_dice(found) == pytest.approx(report.mean_dice)
    assert found[0].name == "Label 2"


def test_an_aseg_as_reference_is_mapped(label_map: LabelVolume) -> None:
    aseg = np.where(label_map.data == 516, 251, label_map.data)
    mapped, done = comparable(aseg, [2, 3, 41, 42])
    assert done
    assert set(np.unique(mapped)) <= {0, 2, 3, 41, 42}
    assert comparable(aseg, [1, 2]) == (aseg, False)


@pytest.mark.parametrize("seed", range(5))
def test_a_voxel_inside_is_the_nearest_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = (rng.random((40, 31, 53)) < rng.choice([0.5, 0.01, 0.0003])).astype(np.int16)
    labels[-1, -1, -1] = 1
    centre = rng.uniform(0, labels.shape)
    found = voxel_inside(labels, 1, centre)
    assert found is not None
    assert labels[found] == 1
    distances = np.linalg.norm(np.argwhere(labels == 1) - centre, axis=1)
    assert np.linalg.norm(np.array(found) - centre) == pytest.approx(distances.min())
    assert voxel_inside(labels, 2, centre) is None


@pytest.mark.parametrize(("scale", "decimals"), [(1, 1), (0.01, 3), (1e-12, 9), (100, 1), (0, 1)])
def test_intensities_have_three_digits(rng: Random, scale: float, decimals: int) -> None:
    labels = rng.integers(0, 3, (4, 5, 6))
    tally = drain(count(labels, np.where(labels == 1, 85.3, 20.0) * scale))
    assert intensity_decimals(structure_numbers(tally, (), 1.0)) == decimals


def test_a_table_reads_back(tmp_path: Path, labels: LabelVolume) -> None:
    found = structure_numbers(drain(count(labels.data)), FREESURFER27, 0.3)
    write_numbers(tmp_path / "numbers.csv", found)
    with (tmp_path / "numbers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    kinds: dict[str, Callable[[str], object]] = {"value": int, "voxels": int, "name": str}
    for row, one in zip(rows, found, strict=True):
        read = {name: kinds.get(name, float)(cell) if cell else float("nan") for name, cell in row.items()}
        assert repr(StructureNumbers(**read)) == repr(one)  # type: ignore[arg-type]


def test_what_cannot_be_counted_is_refused(rng: Random) -> None:
    labels = _labels(rng)
    with pytest.raises(InputError, match="whole numbers"):
        drain(count(labels.astype(float)))
    with pytest.raises(InputError, match="image of the same shape"):
        drain(count(labels, np.zeros((2, 3))))
    with pytest.raises(InputError, match="reference of the same shape"):
        drain(count(labels, None, labels[1:]))


def test_counting_tells_how_far_it_is() -> None:
    labels = np.ones((300, 90, 90), np.uint8)
    told = [event for event in count(labels) if isinstance(event, Progress)]
    assert told[0].done == 0
    assert told[-1].done == told[-1].total == labels.size
    assert len(told) > 2
