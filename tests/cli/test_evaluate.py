"""`napari-scse evaluate`: the table, its last line, what is said about it, and folders of cases."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_scse.evaluation import evaluate
from napari_scse.images import write_labels
from napari_scse.structures import FREESURFER27
from napari_scse.volume import LabelVolume

Cli = Callable[..., Any]


@pytest.fixture
def shifted(labels: LabelVolume) -> LabelVolume:
    """`labels` moved by a voxel, without one of its structures."""
    moved = np.roll(labels.data, 1, axis=2)
    moved[moved == 42] = 0
    return LabelVolume(moved, labels.affine)


@pytest.fixture
def files(labels: LabelVolume, shifted: LabelVolume, tmp_path: Path) -> tuple[Path, Path]:
    """A prediction and its reference."""
    prediction, reference = tmp_path / "prediction.nii.gz", tmp_path / "reference.mgz"
    write_labels(prediction, shifted)
    write_labels(reference, labels)
    return prediction, reference


def test_the_table_and_its_last_line(
    files: tuple[Path, Path], labels: LabelVolume, shifted: LabelVolume, cli: Cli
) -> None:
    outcome = cli("evaluate", *files)
    assert outcome.code == 0
    assert outcome.err == "Dice 0 and no surface distance, in one volume only: label 42 (42).\n"
    report = evaluate(shifted, labels)
    header, *rows, last = outcome.out.splitlines()
    titles = ["value", "structure", "Dice", "vol. sim.", "ASSD mm", "HD95 mm", "predicted mm3", "reference mm3"]
    assert re.split(r"\s{2,}", header) == titles
    assert [row.split()[0] for row in rows] == ["2", "3", "41", "42"]
    assert rows[-1].split()[-6:-1] == ["0.000", "0.000", "-", "-", "0"]
    assert rows[0].split()[-4:-2] == [f"{report.scores[0].assd_mm:.2f}", f"{report.scores[0].hd95_mm:.2f}"]
    assert last == f"mean Dice {report.mean_dice:.3f}"
    assert re.fullmatch(r"mean Dice 0\.\d{3}", last)
    assert 0.3 < report.mean_dice < 0.75


def test_without_surfaces(files: tuple[Path, Path], tmp_path: Path, cli: Cli) -> None:
    outcome, whole = cli("evaluate", *files, "--no-surfaces", "--csv", tmp_path / "scores.csv"), cli("evaluate", *files)
    assert (outcome.code, outcome.err) == (0, "")
    assert "ASSD" not in outcome.out
    assert outcome.out.splitlines()[-1] == whole.out.splitlines()[-1]
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["assd_mm"] + row["hd95_mm"] for row in rows} == {""}


def test_a_perfect_segmentation(files: tuple[Path, Path], cli: Cli) -> None:
    assert cli("evaluate", files[0], files[0]).out.splitlines()[-1] == "mean Dice 1.000"


def test_the_mapping_to_the_27_structures(labels: LabelVolume, tmp_path: Path, cli: Cli) -> None:
    """An aseg is known by its values; other labels are only mapped when asked for."""
    aseg = labels.data.copy()
    aseg[aseg == 3] = 31  # the choroid plexus belongs to the ventricle
    aseg[0, :3, :3] = 24  # CSF is background
    aseg[15, 11, 10:14] = 251  # the corpus callosum is white matter
    mapped = labels.data.copy()
    mapped[mapped == 3] = 4
    prediction, reference = tmp_path / "prediction.nii.gz", tmp_path / "aseg.nii.gz"
    write_labels(prediction, LabelVolume(mapped, labels.affine))
    write_labels(reference, LabelVolume(aseg, labels.affine))

    automatic = cli("evaluate", prediction, reference)
    asked = cli("evaluate", prediction, reference, "--map", "freesurfer27")
    plain = cli("evaluate", prediction, reference, "--map", "none")
    assert automatic.out == asked.out != plain.out
    assert "aseg.nii.gz is FreeSurfer's aseg" in automatic.err
    assert "is FreeSurfer's aseg" not in asked.err + plain.err
    assert [line.split()[0] for line in asked.out.splitlines()[1:-1]] == ["2", "4", "41", "42"]
    left_out = next(line for line in asked.err.splitlines() if line.startswith("Left out of the mean"))
    assert left_out.count("(") == len(FREESURFER27) - 4
    assert "Left-Cerebral-Cortex (3)" in left_out
    assert "251" in plain.out


def test_the_csv_holds_the_same_numbers(files: tuple[Path, Path], tmp_path: Path, cli: Cli) -> None:
    outcome = cli("evaluate", *files, "--csv", tmp_path / "scores.csv")
    *rows, mean = csv.DictReader((tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines())
    shown = [line.split() for line in outcome.out.splitlines()[1:-1]]
    assert [f"{float(row['dice']):.3f}" for row in rows] == [cells[-6] for cells in shown]
    assert [f"{float(row['hd95_mm']):.2f}" if row["hd95_mm"] else "-" for row in rows] == [cells[-3] for cells in shown]
    assert [f"{float(row['reference_mm3']):.0f}" for row in rows] == [cells[-1] for cells in shown]
    assert outcome.out.splitlines()[-1] == f"mean Dice {float(mean['dice']):.3f}"


def test_grids_that_differ(labels: LabelVolume, tmp_path: Path, refuse: Callable[..., str]) -> None:
    moved = labels.affine.copy()
    moved[0, 3] += 1
    others = {
        "moved": LabelVolume(labels.data, moved),
        "smaller": LabelVolume(labels.data[1:], labels.affine),
        "turned": LabelVolume(labels.data.swapaxes(0, 1), labels.affine[:, [1, 0, 2, 3]]),
        "flipped": LabelVolume(labels.data, labels.affine * [-1, 1, 1, 1]),
    }
    write_labels(tmp_path / "labels.nii", labels)
    for name, other in others.items():
        write_labels(tmp_path / f"{name}.nii", other)
        line = refuse("evaluate", tmp_path / "labels.nii", tmp_path / f"{name}.nii", "--csv", tmp_path / "scores.csv")
        assert "grids" in line


def test_nothing_to_compare(labels: LabelVolume, tmp_path: Path, refuse: Callable[..., str]) -> None:
    write_labels(tmp_path / "empty.nii", LabelVolume(np.zeros_like(labels.data), labels.affine))
    assert "nothing to compare" in refuse("evaluate", tmp_path / "empty.nii", tmp_path / "empty.nii")


@pytest.fixture
def folders(labels: LabelVolume, shifted: LabelVolume, tmp_path: Path) -> tuple[Path, Path]:
    """Two cases, a good and a bad one."""
    for folder, one, two in (("prediction", labels, shifted), ("reference", labels, labels)):
        (tmp_path / folder).mkdir()
        write_labels(tmp_path / folder / "one.nii.gz", one)
        write_labels(tmp_path / folder / "two.mgz", two)
    return tmp_path / "prediction", tmp_path / "reference"


def test_folders_of_cases(
    folders: tuple[Path, Path], labels: LabelVolume, shifted: LabelVolume, tmp_path: Path, cli: Cli
) -> None:
    outcome = cli("evaluate", *folders, "--csv", tmp_path / "scores.csv")
    assert outcome.code == 0
    assert outcome.err == "Dice 0 and no surface distance, in one volume only: label 42 (42) in 1.\n"
    mean = evaluate(shifted, labels).mean_dice
    *lines, last = outcome.out.splitlines()
    assert last == f"mean Dice {(1 + mean) / 2:.3f}"
    structures, cases = lines[: lines.index("")], lines[lines.index("") + 1 :]
    assert [line.split()[0] for line in structures] == ["value", "2", "3", "41", "42"]
    assert structures[-1].split()[3:7] == ["2", "0.500", "±", "0.707"]  # 1 and 0
    assert [line.split()[0] for line in cases] == ["case", "one", "two", "mean"]
    assert cases[2].split()[2] == f"{mean:.3f}"
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["case"], row["value"]) for row in rows] == [
        (c, v) for c in ("one", "two") for v in ("2", "3", "41", "42")
    ]
    assert np.mean([float(row["dice"]) for row in rows if row["case"] == "two"]) == pytest.approx(mean)


def test_folders_that_do_not_fit(folders: tuple[Path, Path], tmp_path: Path, refuse: Callable[..., str]) -> None:
    prediction, reference = folders
    assert "two files or two folders" in refuse("evaluate", prediction, reference / "one.nii.gz")
    assert "two files or two folders" in refuse("evaluate", prediction / "one.nii.gz", reference)
    assert "no cases" in refuse("evaluate", tmp_path, reference)
    assert "no file or folder" in refuse("evaluate", tmp_path / "nowhere", reference)
    (prediction / "two.mgz").rename(prediction / "zwei.mgz")
    line = refuse("evaluate", prediction, reference, "--csv", tmp_path / "scores.csv")
    assert f"'{prediction}' has no two; '{reference}' has no zwei" in line


def test_a_case_that_is_broken_or_would_be_overwritten(
    folders: tuple[Path, Path], labels: LabelVolume, tmp_path: Path, refuse: Callable[..., str]
) -> None:
    prediction, reference = folders
    (tmp_path / "scores.csv").symlink_to(reference / "two.mgz")
    assert "is the input" in refuse("evaluate", prediction, reference, "--csv", tmp_path / "scores.csv")
    write_labels(prediction / "two.mgz", LabelVolume(labels.data[1:], labels.affine))
    line = refuse("evaluate", prediction, reference)
    assert "two.mgz" in line
    assert "grids differ" in line


def test_a_real_aseg_against_itself_has_27_structures(data: Path, cli: Cli) -> None:
    aseg = data / "brain-dev" / "sub-07" / "aseg.mgz"
    outcome = cli("evaluate", aseg, aseg)
    assert outcome.code == 0
    _, *rows, last = outcome.out.splitlines()
    assert [int(row.split()[0]) for row in rows] == [s.value for s in FREESURFER27]
    assert [row.split()[1] for row in rows] == [s.name for s in FREESURFER27]
    assert last == "mean Dice 1.000"
