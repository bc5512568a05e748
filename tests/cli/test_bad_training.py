"""Trainings that cannot start: one line, and no run is left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from napari_scse.images import write, write_labels
from napari_scse.runs import Run
from napari_scse.volume import LabelVolume, Volume

Refuse = Callable[..., str]
SMALL = ("--maps", "4", "--slices", "2", "--epochs", "1", "--canvas", "16x16", "--device", "cpu")


@pytest.fixture
def pairs(scan: Volume, labels: LabelVolume, tmp_path: Path) -> tuple[Path, Path]:
    """Folders with two scans and their labels."""
    folders = tmp_path / "images", tmp_path / "labels"
    for folder in folders:
        folder.mkdir()
    for name in ("one.nii.gz", "two.nii.gz"):
        write(folders[0] / name, scan)
        write_labels(folders[1] / name, labels)
    return folders


def test_nothing_to_train_on(tmp_path: Path, refuse: Refuse) -> None:
    out, empty = tmp_path / "run", tmp_path / "empty"
    empty.mkdir()
    refuse("train", "--out", out, *SMALL)
    refuse("train", "--out", out, "--label-maps", empty, *SMALL)
    refuse("train", "--out", out, "--images", empty, "--labels", empty, *SMALL)
    refuse("train", "--out", out, "--label-maps", tmp_path / "missing", *SMALL)
    (empty / "notes.txt").write_text("no scan")
    refuse("train", "--out", out, "--images", empty, "--labels", empty, *SMALL)
    refuse("train", "--out", out, "--label-maps", empty / "notes.txt", *SMALL)


def test_half_of_the_pairs(pairs: tuple[Path, Path], tmp_path: Path, refuse: Refuse) -> None:
    images, labels = pairs
    out = tmp_path / "run"
    refuse("train", "--out", out, "--images", images, *SMALL)
    refuse("train", "--out", out, "--labels", labels, *SMALL)
    refuse("train", "--out", out, "--images", images, "--labels", labels, "--label-maps", labels, *SMALL)
    (labels / "two.nii.gz").unlink()
    refuse("train", "--out", out, "--images", images, "--labels", labels, *SMALL)


def test_a_damaged_scan(pairs: tuple[Path, Path], tmp_path: Path, refuse: Refuse) -> None:
    images, labels = pairs
    whole = (images / "two.nii.gz").read_bytes()
    (images / "two.nii.gz").write_bytes(whole[:-200])
    assert "two.nii.gz" in refuse("train", "--out", tmp_path / "run", "--images", images, "--labels", labels, *SMALL)


def test_grids_that_differ(pairs: tuple[Path, Path], scan: Volume, tmp_path: Path, refuse: Refuse) -> None:
    images, labels = pairs
    write(images / "two.nii.gz", Volume(scan.data[:-2], scan.affine))
    refuse("train", "--out", tmp_path / "run", "--images", images, "--labels", labels, *SMALL)


def test_nothing_to_resume(pairs: tuple[Path, Path], tmp_path: Path, run: Run, refuse: Refuse) -> None:
    images, labels = pairs
    data = ("--images", images, "--labels", labels)
    assert "resume" in refuse("train", "--out", tmp_path / "run", *data, *SMALL, "--resume")
    (tmp_path / "folder").mkdir()
    assert "resume" in refuse("train", "--out", tmp_path / "folder", *data, *SMALL, "--resume")
    assert "resume" in refuse("train", "--out", run.path, *data, *SMALL, "--resume")


def test_a_run_is_never_trained_over(pairs: tuple[Path, Path], run: Run, refuse: Refuse) -> None:
    images, labels = pairs
    refuse("train", "--out", run.path, "--images", images, "--labels", labels, *SMALL)


def test_a_run_that_cannot_be_written(pairs: tuple[Path, Path], scan_file: Path, refuse: Refuse) -> None:
    images, labels = pairs
    refuse("train", "--out", scan_file, "--images", images, "--labels", labels, *SMALL)
    refuse("train", "--out", scan_file / "run", "--images", images, "--labels", labels, *SMALL)


@pytest.mark.parametrize(
    "options",
    [
        ("--network", "transformer"),
        ("--preset", "paper-guess"),
        ("--se", "everything"),
        ("--aggregation", "median"),
        ("--position", "P7"),
        ("--skip", "3"),
        ("--plane", "diagonal"),
        ("--canvas", "wide"),
        ("--canvas", "0x16"),
        ("--spacing", "0"),
        ("--epochs", "0"),
        ("--slices", "-3"),
        ("--batch", "0"),
        ("--optimizer", "lion"),
        ("--schedule", "never"),
        ("--precision", "float8"),
        ("--device", "tpu"),
        ("--validation", "nobody"),
        ("--seed", "-1"),
        ("--events", "xml"),
    ],
    ids=" ".join,
)
def test_options_that_make_no_sense(
    options: tuple[str, str], pairs: tuple[Path, Path], tmp_path: Path, refuse: Refuse
) -> None:
    images, labels = pairs
    refuse("train", "--out", tmp_path / "run", "--images", images, "--labels", labels, *SMALL, *options)
