"""`napari-scse numbers`: the table, the CSV, and what is refused."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from napari_scse.evaluation import evaluate
from napari_scse.images import write, write_labels
from napari_scse.volume import LabelVolume, Volume

Cli = Callable[..., Any]


@pytest.fixture
def label_file(labels: LabelVolume, tmp_path: Path) -> Path:
    """Labels of `scan_file`."""
    path = tmp_path / "labels.nii.gz"
    write_labels(path, labels)
    return path


def test_the_table_alone(label_file: Path, labels: LabelVolume, cli: Cli) -> None:
    outcome = cli("numbers", label_file)
    assert (outcome.code, outcome.err) == (0, "")
    header, *rows = outcome.out.splitlines()
    assert re.split(r"\s{2,}", header) == ["value", "structure", "voxels", "mL", "share %", "(L-R) %"]
    assert rows[0].split()[:2] == ["2", "Left-Cerebral-White-Matter"]
    assert [int(row.split()[2]) for row in rows] == [int((labels.data == v).sum()) for v in (2, 3, 41, 42)]


def test_with_scan_reference_and_csv(
    label_file: Path, scan_file: Path, scan: Volume, labels: LabelVolume, tmp_path: Path, cli: Cli
) -> None:
    moved = LabelVolume(np.roll(labels.data, 1, axis=1), labels.affine)
    reference, table = tmp_path / "reference.mgz", tmp_path / "numbers.csv"
    write_labels(reference, moved)
    outcome = cli("numbers", label_file, "--image", scan_file, "--reference", reference, "--csv", table)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1] == f"mean Dice {evaluate(labels, moved, surfaces=False).mean_dice:.3f}"
    with table.open(newline="") as file:
        rows = {int(row["value"]): row for row in csv.DictReader(file)}
    for value, row in rows.items():
        inside = scan.data[labels.data == value]
        assert float(row["mean"]) == pytest.approx(inside.mean(dtype=float), rel=1e-4)
        assert float(row["sd"]) == pytest.approx(inside.std(dtype=float), rel=1e-3)


def test_an_aseg_is_mapped_unless_it_must_not_be(label_map: LabelVolume, tmp_path: Path, cli: Cli) -> None:
    aseg = LabelVolume(np.where(label_map.data == 516, 251, label_map.data), label_map.affine)
    ours = LabelVolume(np.where(np.isin(aseg.data, (2, 3, 41, 42)), aseg.data, 0), aseg.affine)
    write_labels(tmp_path / "aseg.mgz", aseg)
    write_labels(tmp_path / "ours.mgz", ours)
    mapped = cli("numbers", tmp_path / "ours.mgz", "--reference", tmp_path / "aseg.mgz")
    assert "is FreeSurfer's aseg" in mapped.err
    plain = cli("numbers", tmp_path / "ours.mgz", "--reference", tmp_path / "aseg.mgz", "--map", "none")
    assert (plain.code, plain.err) == (0, "")
    assert "Label 251" in plain.out
    both = cli("numbers", tmp_path / "aseg.mgz", "--map", "freesurfer27")
    assert "251" not in both.out


def test_refusals(label_file: Path, scan_file: Path, tmp_path: Path, refuse: Callable[..., str], scan: Volume) -> None:
    refuse("numbers", tmp_path / "nothing.nii")
    refuse("numbers", label_file, "--csv", label_file)
    refuse("numbers", label_file, "--csv", tmp_path / "numbers.txt")
    refuse("numbers", label_file, "--map", "atlas")
    assert "--image" in refuse("numbers", label_file, "--frame", 7)
    series = tmp_path / "series.nii.gz"
    nibabel.Nifti1Image(np.zeros((3, 4, 5, 2), np.uint8), np.eye(4)).to_filename(series)
    for arguments in (("numbers", series), ("evaluate", series, label_file)):
        line = refuse(*arguments)
        assert "save one of its frames as a file of its own" in line
        assert "--frame" not in line
    elsewhere = tmp_path / "elsewhere.nii.gz"
    write(elsewhere, Volume(scan.data[1:], scan.affine))
    assert "grids differ" in refuse("numbers", label_file, "--image", elsewhere)
    assert refuse("numbers", label_file, "--reference", scan_file)
