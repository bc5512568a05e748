"""Folders of cases: who is paired with whom, and what is summed up."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_scse.errors import InputError, SpaceError
from napari_scse.evaluation import CaseReports, Report, StructureScore, evaluate, evaluate_cases, find_cases
from napari_scse.events import Progress, drain
from napari_scse.images import images_in, read_labels, write_labels
from napari_scse.structures import FREESURFER27
from napari_scse.volume import LabelVolume

Write = Callable[[str, np.ndarray], Path]


@pytest.fixture
def write(tmp_path: Path, labels: LabelVolume) -> Write:
    """Write labels to ``folder/name.suffix`` below `tmp_path`, on an oblique grid."""

    def save(name: str, data: np.ndarray) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        write_labels(path, LabelVolume(data, labels.affine))
        return path

    return save


@pytest.fixture
def folders(write: Write, labels: LabelVolume, tmp_path: Path) -> tuple[Path, Path]:
    """Two cases that differ by a voxel, one of which lacks structure 42 on both sides and 3 in the prediction."""
    reference = labels.data.copy()
    write("reference/one.mgz", reference)
    write("prediction/one.nii.gz", np.roll(reference, 1, axis=0))
    reference[reference == 42] = 0
    write("reference/two.b.nii", reference)
    prediction = np.roll(reference, 1, axis=1)
    prediction[prediction == 3] = 0
    write("prediction/two.b.mgh", prediction)
    return tmp_path / "prediction", tmp_path / "reference"


def test_cases_are_paired_by_name_without_suffix(folders: tuple[Path, Path]) -> None:
    (folders[0] / "notes.txt").write_text("not a case")
    (folders[0] / ".hidden.nii").write_text("not a case")
    (folders[0] / "deeper.nii").mkdir()
    cases = find_cases(*folders)
    assert [c.name for c in cases] == ["one", "two.b"]
    assert cases[1].prediction == folders[0] / "two.b.mgh"
    (single,) = find_cases(cases[0].prediction, cases[1].reference)
    assert single.name == "one"


def test_hidden_files_are_no_images(tmp_path: Path, write: Write, labels: LabelVolume) -> None:
    write("maps/one.nii.gz", labels.data)
    for name in ("._one.nii.gz", ".nii", "notes.txt"):  # macOS leaves the first on other disks
        (tmp_path / "maps" / name).touch()
    assert list(images_in(tmp_path / "maps")) == ["one"]


def test_what_cannot_be_paired_is_named(folders: tuple[Path, Path], write: Write, labels: LabelVolume) -> None:
    prediction, reference = folders
    with pytest.raises(InputError, match=r"is a folder, but .*mgz' is a file: give two files or two folders"):
        find_cases(prediction, reference / "one.mgz")
    with pytest.raises(InputError, match="There is no file or folder"):
        find_cases(prediction / "nowhere", reference)
    with pytest.raises(InputError, match="no cases in"):
        find_cases(prediction, prediction.parent)
    for n in range(7):
        write(f"reference/more{n}.nii", labels.data)
    write("prediction/alone.nii", labels.data)
    expected = f"'{prediction}' has no more0, more1, more2, more3, more4 and 2 more; '{reference}' has no alone."
    with pytest.raises(InputError, match=re.escape(expected)):
        find_cases(prediction, reference)
    write("reference/one.nii", labels.data)
    with pytest.raises(InputError, match=r"two files called one: one\.mgz and one\.nii"):
        find_cases(prediction, reference)


def test_every_case_weighs_the_same(folders: tuple[Path, Path]) -> None:
    cases = find_cases(*folders)
    events = list(evaluate_cases(cases, surfaces=False))
    assert [(e.done, e.total) for e in events if isinstance(e, Progress)] == [(1, 2), (2, 2)]
    found = drain(evaluate_cases(cases))
    one, two = found.reports.values()
    assert found.mean_dice == pytest.approx((one.mean_dice + two.mean_dice) / 2)
    assert found.over_cases("dice").sd == pytest.approx(np.std([one.mean_dice, two.mean_dice], ddof=1))
    by_value = {s.value: s for s in found.summaries}
    assert [s.spreads["dice"].count for s in found.summaries] == [2, 2, 2, 1]
    assert by_value[3].spreads["dice"].mean == pytest.approx(one.scores[1].dice / 2)  # absent from one prediction: 0
    assert by_value[3].spreads["hd95_mm"].count == 1
    assert np.isnan(by_value[42].spreads["dice"].sd)


def test_the_notes_count_cases(folders: tuple[Path, Path]) -> None:
    found = drain(evaluate_cases(find_cases(*folders), structures=FREESURFER27))
    left_out, one_sided = found.notes
    assert left_out.startswith("Left out, in neither volume: ")
    assert "Right-Cerebral-Cortex (42) in 1" in left_out
    assert "Brain-Stem (16) in 2" in left_out
    assert one_sided == "Dice 0 and no surface distance, in one volume only: Left-Cerebral-Cortex (3) in 1."


def test_a_single_case_is_what_evaluate_gives(folders: tuple[Path, Path]) -> None:
    (case, _) = find_cases(*folders)
    found = drain(evaluate_cases([case]))
    assert found.reports["one"] == evaluate(read_labels(case.prediction), read_labels(case.reference))
    assert found.notes == found.reports["one"].notes


def test_a_value_has_one_name_over_all_cases(write: Write) -> None:
    values = np.array([s.value for s in FREESURFER27], np.uint8)
    many, few = np.tile(values, (3, 4, 1)), np.tile(np.array([2, 2, 3], np.uint8), (3, 4, 9))
    for folder in ("prediction", "reference"):
        write(f"{folder}/a.nii", few)
        path = write(f"{folder}/b.nii", many)
    found = drain(evaluate_cases(find_cases(path.parent, path.parent), surfaces=False))
    names = {s.value: s.name for s in FREESURFER27}
    assert all(s.name == names[s.value] for report in found.reports.values() for s in report.scores)
    few[0, 0, 0] = 99  # a stray voxel of one network changes no name
    write("stray/a.nii", few)
    stray = write("stray/b.nii", many).parent
    strays = drain(evaluate_cases(find_cases(stray, path.parent), surfaces=False))
    assert {s.value: s.name for s in strays.summaries} == names | {99: "label 99"}


def test_the_automatic_mapping_is_one_for_all_cases(folders: tuple[Path, Path], write: Write) -> None:
    cases = find_cases(*folders)
    assert drain(evaluate_cases(cases, mapping="auto", surfaces=False)).mapping is None
    aseg = np.tile(np.array([2, 3, 41, 42, 24, 251], np.uint8), (3, 4, 1))
    write("prediction/aseg.nii", aseg)
    write("reference/aseg.nii", aseg)
    mixed = find_cases(*folders)
    found = drain(evaluate_cases(mixed[:1], mapping="auto"))
    assert found.mapping == "freesurfer27"
    assert [s.value for s in found.reports["aseg"].scores] == [2, 3, 41, 42]
    for order in (mixed, mixed[::-1]):
        with pytest.raises(InputError, match=r"aseg\.nii' is FreeSurfer's aseg, but .* is not"):
            drain(evaluate_cases(order, mapping="auto"))
    assert len(drain(evaluate_cases(mixed, mapping="freesurfer27")).reports) == 3


def test_an_empty_reference_is_mapped_as_the_others_are(write: Write) -> None:
    aseg = np.tile(np.array([2, 3, 41, 42, 24, 251], np.uint8), (3, 4, 1))
    for name, reference in (("a", np.zeros_like(aseg)), ("b", aseg)):
        predictions = write(f"prediction/{name}.nii", aseg).parent
        references = write(f"reference/{name}.nii", reference).parent
    found = drain(evaluate_cases(find_cases(predictions, references), mapping="auto"))
    assert list(found.reports) == ["a", "b"]
    assert [s.value for s in found.reports["a"].scores] == [2, 3, 41, 42]


def test_a_bad_case_is_named(folders: tuple[Path, Path], labels: LabelVolume) -> None:
    write_labels(folders[0] / "one.nii.gz", LabelVolume(labels.data, np.diag([1.0, 1, 1, 1])))
    with pytest.raises(SpaceError, match=r"one\.nii\.gz' cannot be compared with .*one\.mgz': .*grids differ"):
        drain(evaluate_cases(find_cases(*folders)))
    with pytest.raises(InputError, match="no cases"):
        drain(evaluate_cases([]))


def test_the_csv_has_a_row_per_case_and_structure(tmp_path: Path) -> None:
    score = StructureScore(2, "two", 0.5, 1.0, 3.0, 0.5)
    table = tmp_path / f"{'x' * 251}.csv"  # as long as a name can be
    CaseReports({"a": Report((score,)), "b": Report((score, score))}).write_csv(table)
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert list(tmp_path.iterdir()) == [table]
    assert [row["case"] for row in rows] == ["a", "b", "b"]
    assert list(rows[0])[:4] == ["case", "value", "name", "dice"]
    assert (rows[0]["dice"], rows[0]["hd95_mm"]) == ("0.5", "")


@pytest.mark.parametrize("mapping", [None, "auto"])
def test_a_case_without_anything_costs_the_others_nothing(
    folders: tuple[Path, Path], write: Write, labels: LabelVolume, mapping: str | None
) -> None:
    """A scan without a lesion, say, that was rightly found to have none; it comes first by name."""
    before = drain(evaluate_cases(find_cases(*folders), mapping=mapping))
    for side in ("prediction", "reference"):
        write(f"{side}/a-clean.nii", np.zeros_like(labels.data))
    found = drain(evaluate_cases(find_cases(*folders), mapping=mapping))
    assert found.mean_dice == before.mean_dice
    assert not found.reports["a-clean"].scores
    assert any("a-clean" in note for note in found.notes)


def test_nothing_in_any_case_is_an_error(write: Write, labels: LabelVolume, tmp_path: Path) -> None:
    for side in ("prediction", "reference"):
        for name in ("one", "two"):
            write(f"{side}/{name}.nii", np.zeros_like(labels.data))
    with pytest.raises(InputError, match="nothing to compare"):
        drain(evaluate_cases(find_cases(tmp_path / "prediction", tmp_path / "reference")))
