"""The table: rows are computed once, structures out of view are left out, and what is wrong is said."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import robustness
from degradations import Head, crop
from napari_scse import images
from napari_scse.runs import Run
from napari_scse.volume import LabelVolume, Volume


@pytest.fixture
def subjects(tmp_path: Path, scan: Volume, labels: LabelVolume) -> Path:
    for name in ("a", "b"):
        folder = tmp_path / "heads" / name
        folder.mkdir(parents=True)
        images.write(folder / "T1.nii.gz", scan)
        images.write_labels(folder / "aseg.nii.gz", labels)
    (tmp_path / "heads" / "neither").mkdir()
    return tmp_path / "heads"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_that_are_there_are_not_computed_again(
    subjects: Path, tmp_path: Path, tiny_run: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    run = tiny_run()
    out, markdown = tmp_path / "new" / "table.csv", tmp_path / "table.md"
    command = ["--data", str(subjects), "--run", str(run.path), "--out", str(out), "--no-mirror"]
    robustness.main([*command, "--only", "none"])
    first = rows_of(out)
    assert [(row["subject"], row["degradation"], row["warned"]) for row in first] == [
        ("a", "none", "no"),
        ("b", "none", "no"),
    ]
    robustness.main([*command, "--only", "none,gain-0.7", "--markdown", str(markdown)])
    assert rows_of(out)[:2] == first
    assert len(rows_of(out)) == 4
    assert "2 of 4 to do" in capsys.readouterr().out
    lines = [line for line in markdown.read_text().splitlines() if line.startswith(("| none", "| gain-0.7"))]
    assert len(lines) == 2
    assert f"{float(first[0]['dice']):.3f}" in lines[0]
    robustness.main([*command, "--only", "none", "--seed", "1"])
    assert len(rows_of(out)) == 6


def test_structures_out_of_view_are_left_out(scan: Volume, labels: LabelVolume) -> None:
    head = Head(scan, labels, labels.data > 0)
    box = [slice(0, n) for n in scan.shape]
    box[0] = slice(scan.shape[0] // 2 + 1, None)  # the left half: 2 and 3
    half = crop(head, box)
    assert robustness.score(half.labels, half, head) == {2: 1.0, 3: 1.0}
    assert robustness.score(labels, head, head) == dict.fromkeys((2, 3, 41, 42), 1.0)
    empty = replace(half.labels, data=np.zeros_like(half.labels.data))
    assert robustness.score(empty, half, head) == {2: 0.0, 3: 0.0}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "none,melted"], "no degradation melted; there is none"),
        (["--run", "nobody"], "nobody"),
        (["--planes", "axial"], "axial"),
        (["--data", "nowhere"], "no folder nowhere"),
        (["--out", "other.csv"], "not a table of this command"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    subjects: Path,
    tmp_path: Path,
    tiny_run: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.csv").write_text("a,b\n1,2\n")
    usual = ["--data", str(subjects), "--run", str(tiny_run().path), "--out", "table.csv", "--only", "none"]
    with pytest.raises(SystemExit, match=said):
        robustness.main([*usual, *options])
    assert Path("other.csv").read_text() == "a,b\n1,2\n"
