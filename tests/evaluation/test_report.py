"""Reports: which structures count, what is said, and the CSV files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from napari_scse.errors import InputError, SpaceError
from napari_scse.evaluation import evaluate, is_plainly_aseg, structure_volumes, write_volumes
from napari_scse.structures import FREESURFER27, Structure
from napari_scse.volume import LabelVolume

SPACING = (0.8, 1.5, 2.0)
VOXEL_MM3 = 2.4


def _oblique() -> np.ndarray:
    tilt = np.deg2rad(12)
    rotation = np.array([[np.cos(tilt), 0, np.sin(tilt)], [0, 1, 0], [-np.sin(tilt), 0, np.cos(tilt)]])
    affine = np.eye(4)
    affine[:3, :3] = rotation[:, [2, 0, 1]] * np.array([-1, 1, -1]) * SPACING  # not RAS
    affine[:3, 3] = (-31, 17, 5)
    return affine


def _volume(data: np.ndarray) -> LabelVolume:
    return LabelVolume(data, _oblique())


def _blocks(*values: int) -> np.ndarray:
    """A slab of six voxels of each value, one after the other, and as many voxels of background at the end."""
    return np.repeat(np.array([*values, 0], np.int32), 6).reshape(-1, 3, 2)


def test_dice_and_volumes_per_structure_and_the_mean_over_them() -> None:
    reference, prediction = _blocks(2, 3, 41), _blocks(2, 3, 41)
    prediction[prediction == 3] = [41, 41, 3, 3, 3, 3]
    report = evaluate(_volume(prediction), _volume(reference))
    assert [s.value for s in report.scores] == [2, 3, 41]
    assert [s.dice for s in report.scores] == pytest.approx([1, 8 / 10, 12 / 14])
    assert [s.prediction_mm3 for s in report.scores] == pytest.approx([6 * VOXEL_MM3, 4 * VOXEL_MM3, 8 * VOXEL_MM3])
    assert [s.reference_mm3 for s in report.scores] == pytest.approx([6 * VOXEL_MM3] * 3)
    assert [s.volume_similarity for s in report.scores] == pytest.approx([1, 1 - 2 / 10, 1 - 2 / 14])
    assert report.mean_dice == pytest.approx((1 + 8 / 10 + 12 / 14) / 3)
    assert report.notes == ()


def test_surface_distances_are_in_millimetres_along_the_voxels_own_axes() -> None:
    """Moving a block by a step along an axis moves its faces there by the spacing, in an oblique scan too."""
    reference = np.zeros((9, 10, 11), np.uint8)
    reference[3:6, 3:6, 3:6] = 5
    axes = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    for step, spacing in zip(axes, _volume(reference).spacing, strict=True):
        moved = np.roll(reference, step, axis=(0, 1, 2))
        (score,) = evaluate(_volume(moved), _volume(reference)).scores
        assert score.hd95_mm == pytest.approx(spacing)
        assert 0 < score.assd_mm < spacing
    (off,) = evaluate(_volume(moved), _volume(reference), surfaces=False).scores
    assert off.dice == score.dice
    assert np.isnan([off.assd_mm, off.hd95_mm]).all()


def test_the_same_head_in_another_order_of_its_axes_scores_the_same() -> None:
    random = np.random.default_rng(0)
    prediction, reference = (random.integers(0, 3, (6, 5, 7)).astype(np.uint8) for _ in range(2))
    straight = evaluate(_volume(prediction), _volume(reference))
    affine = _oblique()[:, [2, 0, 1, 3]]
    affine[:3, 3] += affine[:3, 0] * 6
    affine[:3, 0] *= -1
    turned = evaluate(
        *(LabelVolume(np.flip(labels.transpose(2, 0, 1), 0), affine) for labels in (prediction, reference))
    )
    for first, second in zip(straight.scores, turned.scores, strict=True):
        assert (first.assd_mm, first.hd95_mm) == pytest.approx((second.assd_mm, second.hd95_mm))


def test_absent_from_one_counts_zero_and_absent_from_both_is_left_out_and_said() -> None:
    structures = [Structure(v, f"part {v}", "#123456") for v in (1, 2, 3, 4)]
    report = evaluate(_volume(_blocks(1, 3, 9)), _volume(_blocks(1, 2, 9)), structures=structures)
    assert [(s.value, s.dice) for s in report.scores] == [(1, 1.0), (2, 0.0), (3, 0.0)]
    assert report.mean_dice == pytest.approx(1 / 3)
    assert report.notes == (
        "Left out of the mean, in neither volume: part 4 (4).",
        "Not scored, not among the structures: 9.",
        "Dice 0 and no surface distance, in one volume only: part 2 (2), part 3 (3).",
    )
    assert [np.isfinite(s.assd_mm) and np.isfinite(s.hd95_mm) for s in report.scores] == [True, False, False]
    assert report.mean("assd_mm") == report.scores[0].assd_mm == 0.0  # over those that have it


def test_labels_of_sagittal_slices_alone_are_not_compared_without_a_word() -> None:
    reference = np.zeros((4, 5, 6), np.uint8)
    reference[:2, :, :3], reference[2:, :, :3], reference[:, :, 3] = 17, 53, 16
    both = np.where(reference == 53, 17, reference)
    (note,) = evaluate(_volume(both), _volume(reference), mapping="freesurfer27", surfaces=False).notes[1:]
    assert "nothing on the right side" in note
    assert len(evaluate(_volume(reference), _volume(reference), mapping="freesurfer27", surfaces=False).notes) == 1


def test_the_mapping_merges_both_volumes_into_the_27_structures() -> None:
    aseg = _blocks(2, 5, 4, 31, 24, 41, 251, 63, 43)
    mapped = _blocks(2, 4, 4, 4, 0, 41, 41, 43, 43)
    report = evaluate(_volume(mapped), _volume(aseg), mapping="freesurfer27")
    assert {s.value: s.dice for s in report.scores} == {2: 1.0, 4: 1.0, 41: 1.0, 43: 1.0}
    assert report.scores[0].name == "Left-Cerebral-White-Matter"
    assert [note.count("(") for note in report.notes] == [27 - 4]
    assert evaluate(_volume(aseg), _volume(mapped), mapping="freesurfer27").mean_dice == 1.0


def test_names_are_freesurfers_only_where_the_values_are() -> None:
    brain = _volume(_blocks(*(s.value for s in FREESURFER27)))
    assert [s.name for s in evaluate(brain, brain).scores] == [s.name for s in FREESURFER27]
    stray = _volume(_blocks(99, *(s.value for s in FREESURFER27[1:])))
    names = [*(s.name for s in FREESURFER27), "label 99"]
    assert [s.name for s in evaluate(stray, brain).scores] == names
    assert [s.name for s in evaluate(brain, stray).scores] == [f"label {s.value}" for s in FREESURFER27] + ["label 99"]
    kidneys = _volume(_blocks(2, 3))
    assert [s.name for s in evaluate(kidneys, kidneys).scores] == ["label 2", "label 3"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((2, 3, 41, 42, 5, 24, 31, 251, 77), True),
        ([s.value for s in FREESURFER27], False),  # already the 27: nothing to map
        (range(1, 118), False),  # TotalSegmentator's organs
        ((2, 41, 24, 251, 1035, 2035), False),  # a cortical parcellation
        ((1, 2, 3), False),
    ],
)
def test_an_aseg_is_known_by_its_values(values: list[int], expected: bool) -> None:
    assert is_plainly_aseg(_volume(_blocks(*values))) is expected


def test_what_cannot_be_compared_is_refused() -> None:
    labels = _volume(_blocks(1, 2))
    with pytest.raises(SpaceError, match="grids"):
        evaluate(labels, LabelVolume(labels.data, np.diag([1, 1, 1, 1.0])))
    with pytest.raises(InputError, match="neither volume"):
        evaluate(_volume(_blocks(0)), _volume(_blocks(0)))
    with pytest.raises(InputError, match="Unknown label mapping 'desikan'; there is freesurfer27"):
        evaluate(labels, labels, mapping="desikan")


def test_the_csv_reads_back_with_the_mean_as_its_last_row(tmp_path: Path) -> None:
    file = tmp_path / "scores.csv"
    file.write_text("what was there before")
    report = evaluate(_volume(_blocks(2, 3, 41)), _volume(_blocks(2, 41, 41)))
    report.write_csv(file)
    *rows, mean = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    assert [int(row["value"]) for row in rows] == [2, 3, 41]
    assert [float(row["dice"]) for row in rows] == [s.dice for s in report.scores]
    assert [float(row["reference_mm3"]) for row in rows] == [s.reference_mm3 for s in report.scores]
    assert (mean["name"], float(mean["dice"])) == ("mean", report.mean_dice)
    assert [row["assd_mm"] != "" for row in rows] == [True, False, True]  # nobody predicted the second
    assert [float(row["volume_similarity"]) for row in rows] == [s.volume_similarity for s in report.scores]
    assert [p.name for p in tmp_path.iterdir()] == ["scores.csv"]


def test_structure_volumes_count_what_is_there_and_what_is_not(tmp_path: Path) -> None:
    structures = [Structure(2, "two", "#000001"), Structure(7, "seven", "#000002")]
    measured = structure_volumes(_volume(_blocks(2, 2, 5)), structures)
    assert [(v.value, v.name, v.voxels) for v in measured] == [(2, "two", 12), (7, "seven", 0)]
    assert measured[0].volume_mm3 == pytest.approx(12 * VOXEL_MM3)
    write_volumes(tmp_path / "volumes.csv", measured)
    lines = (tmp_path / "volumes.csv").read_text().splitlines()
    assert (lines[0], lines[2]) == ("value,name,voxels,volume_mm3", "7,seven,0,0.0")


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken.csv").mkdir()
    with pytest.raises(OSError, match=r"taken\.csv"):
        write_volumes(tmp_path / "taken.csv", ())
    assert [p.name for p in tmp_path.iterdir()] == ["taken.csv"]
