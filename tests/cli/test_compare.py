"""`napari-scse compare`: several networks on the same cases."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_scse.images import write_labels
from napari_scse.volume import LabelVolume

Cli = Callable[..., Any]
CASES = [f"case{n}" for n in range(6)]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """References and the labels of two networks: the second is wrong in fewer voxels of every case."""
    affine = np.array([[0, 0, -1.5, 9], [1, 0, 0, -4], [0, 2.0, 0, 3], [0, 0, 0, 1]])
    random = np.random.default_rng(0)
    paths = tmp_path / "reference", tmp_path / "plain", tmp_path / "scse"
    for path in paths:
        path.mkdir()
    for case in CASES:
        reference = np.zeros((9, 8, 7), np.uint8)
        reference[2:7, 2:6, 1:6] = random.integers(1, 4, (5, 4, 5))
        order = random.permutation(reference.size)
        for path, errors in zip(paths, (0, 120, int(random.integers(20, 80))), strict=True):
            labels = reference.copy()
            labels.ravel()[order[:errors]] = 0
            write_labels(path / f"{case}.nii", LabelVolume(labels, affine))
    return paths


def test_tables_and_the_test_over_heads(folders: tuple[Path, Path, Path], tmp_path: Path, cli: Cli) -> None:
    reference, plain, scse = folders
    files = ("--csv", tmp_path / "scores.csv", "--plot", tmp_path / "boxes.svg")
    outcome = cli("compare", reference, f"plain={plain}", f"+ scSE={scse}", *files)
    assert outcome.code == 0
    assert outcome.err == "6 cases, each a head of its own; 3 structures; 1 pair of variants.\n"
    structures, means, tests = outcome.out.strip().split("\n\n")
    assert structures.splitlines()[0].split() == ["value", "structure", "plain", "+", "scSE"]
    assert len(structures.splitlines()) == 1 + 3
    assert [line.split()[-4] for line in means.splitlines()[1:]] == ["6", "6"]
    _, row, family = tests.splitlines()
    assert row.startswith("+ scSE - plain")
    assert row.endswith("6 of 6  0.0312  0.0312")
    assert family == "p: two-sided Wilcoxon signed-rank, 1 test; Holm p: corrected over the pairs."
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 2 * 6 * 3
    assert {row["variant"] for row in rows} == {"plain", "+ scSE"}
    assert "<!-- + scSE -->" in (tmp_path / "boxes.svg").read_text(encoding="utf-8")


def test_structure_by_structure_and_another_measure(folders: tuple[Path, Path, Path], cli: Cli) -> None:
    reference, plain, scse = folders
    arguments = (reference, f"a={plain}", f"b={scse}", f"c={scse}", "--per-structure", "--measure", "hd95_mm")
    outcome = cli("compare", *arguments)
    assert outcome.code == 0
    _, tests, means, pairs = outcome.out.strip().split("\n\n")
    assert [line.split()[0] for line in pairs.splitlines()[1:-1]] == ["b", "c", "c"]
    assert len(tests.splitlines()) == 1 + 3 * 3 + 1
    assert tests.splitlines()[-1].endswith("9 tests; Holm p: corrected over the structures of each of 3 pairs.")
    assert "mean HD95 (mm)" in means
    assert pairs.splitlines()[-2].split()[-5:] == ["0", "of", "6", "1.0000", "1.0000"]  # b and c are the same


def test_draws_of_one_head_are_no_sample(folders: tuple[Path, Path, Path], tmp_path: Path, cli: Cli) -> None:
    reference, plain, scse = folders
    groups = tmp_path / "heads.csv"
    groups.write_text("case,head\n" + "".join(f"{case},head{n // 2}\n" for n, case in enumerate(CASES)))
    outcome = cli("compare", reference, f"a={plain}", f"b={scse}", "--groups", groups)
    assert outcome.code == 0
    assert "6 cases of 3 heads" in outcome.err
    assert "No p-value: a signed-rank test needs at least 6 independent heads, and there are 3" in outcome.err
    assert outcome.out.endswith("3 of 3\n")
    assert "Holm" not in outcome.out


def test_mistakes(folders: tuple[Path, Path, Path], tmp_path: Path, refuse: Callable[..., str]) -> None:
    reference, plain, scse = folders
    both = (f"a={plain}", f"b={scse}")
    assert "at least two variants" in refuse("compare", reference, both[0])
    assert "'a' is given twice" in refuse("compare", reference, both[0], f"a={scse}")
    assert "write NAME=PREDICTIONS" in refuse("compare", reference, both[0], scse)
    assert "write NAME=PREDICTIONS" in refuse("compare", reference, both[0], "b=")
    assert "not there" in refuse("compare", reference, both[0], f"b={tmp_path / 'nowhere'}")
    assert "a file" in refuse("compare", reference / "case0.nii", *both)
    assert "no cases" in refuse("compare", reference, both[0], f"b={tmp_path}")
    assert "Unknown --measure 'iou'" in refuse("compare", reference, *both, "--measure", "iou")
    assert "Unknown --sides 'top'" in refuse("compare", reference, *both, "--sides", "top")
    assert "Unknown --map" in refuse("compare", reference, *both, "--map", "atlas")
    assert ".pdf, .svg or .png" in refuse("compare", reference, *both, "--plot", tmp_path / "boxes.jpg")
    assert ".csv" in refuse("compare", reference, *both, "--csv", tmp_path / "scores.xlsx")
    assert "no file" in refuse("compare", reference, *both, "--groups", tmp_path / "heads.csv")
    many = [f"{n}={plain}" for n in range(9)]
    assert "at most 8 variants" in refuse("compare", reference, *many, "--plot", tmp_path / "boxes.png")
    (scse / "case3.nii").unlink()
    assert f"'{scse}' has no case3" in refuse("compare", reference, *both)


def test_no_output_is_an_input(folders: tuple[Path, Path, Path], tmp_path: Path, refuse: Callable[..., str]) -> None:
    reference, plain, scse = folders
    both = (f"a={plain}", f"b={scse}")
    groups = tmp_path / "heads.csv"
    groups.write_text("case,head\n")
    assert "is the input" in refuse("compare", reference, *both, "--groups", groups, "--csv", groups)
    (tmp_path / "boxes.png").symlink_to(scse / "case0.nii")
    assert "is the input" in refuse("compare", reference, *both, "--plot", tmp_path / "boxes.png")
    (tmp_path / "boxes.png").unlink()
    (tmp_path / "boxes.png").symlink_to(tmp_path / "scores.csv")
    files = ("--csv", tmp_path / "scores.csv", "--plot", tmp_path / "boxes.png")
    assert "is another output" in refuse("compare", reference, *both, *files)
