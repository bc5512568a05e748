"""The page of the model for segmentation: what is in it, and that sides that are confused are seen."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import segmentation
from napari_scse import images
from napari_scse.evaluation import Case
from napari_scse.runs import Run
from napari_scse.volume import LabelVolume, Volume


def test_every_structure_of_every_head_is_in_the_page(
    tmp_path: Path, scan: Volume, tiny_run: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    run = tiny_run()
    labels = LabelVolume(np.full(scan.shape, 17, np.uint8), scan.affine)
    labels.data[: scan.shape[0] // 2] = 53
    folder = tmp_path / "heads" / "one"
    folder.mkdir(parents=True)
    images.write(folder / "T1.nii.gz", scan)
    images.write_labels(folder / "aseg.nii.gz", labels)
    places = ["--data", str(folder.parent), "--work", str(tmp_path / "work"), "--run", str(run.path)]
    places += ["--out", str(tmp_path / "table.csv"), "--markdown", str(tmp_path / "page.md")]
    segmentation.main(places)
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["case"] for row in rows} == {"one"}
    page = (tmp_path / "page.md").read_text()
    assert "| Left-Hippocampus |" in page
    assert "| Brain-Stem |" in page
    assert "one: " in capsys.readouterr().out.splitlines()[0]
    (made,) = (tmp_path / "work").iterdir()
    before = made.stat().st_mtime_ns
    segmentation.main(places)
    assert made.stat().st_mtime_ns == before


def test_sides_that_are_confused_are_seen(tmp_path: Path) -> None:
    reference = np.zeros((6, 6, 6), np.uint8)
    reference[:2], reference[4:] = 17, 53
    paths = []
    for name, data in (("reference", reference), ("wrong", np.where(reference == 17, 53, 0).astype(np.uint8))):
        paths.append(tmp_path / f"{name}.nii.gz")
        images.write_labels(paths[-1], LabelVolume(data, np.eye(4)))
    assert segmentation.confusion(Case("right", paths[0], paths[0])) == 0
    assert segmentation.confusion(Case("wrong", paths[1], paths[0])) == 1
