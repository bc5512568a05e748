"""`napari-scse segment` writes what `segment` returns, on the scan's own grid."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_scse.events import drain
from napari_scse.images import read, read_labels, write
from napari_scse.inference import segment
from napari_scse.runs import Model, Run
from napari_scse.volume import Volume, same_grid

Cli = Callable[..., Any]


@pytest.mark.parametrize("name", ["labels.nii", "labels.nii.gz", "labels.mgh", "LABELS.MGZ"])
def test_the_labels_are_those_of_the_api(name: str, scan_file: Path, run: Run, tmp_path: Path, cli: Cli) -> None:
    before = scan_file.read_bytes()
    outcome = cli("segment", scan_file, tmp_path / name, "--run", run.path, "--device", "cpu")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    volume = read(scan_file)
    expected = drain(segment(volume, run, device="cpu")).labels
    written = read_labels(tmp_path / name)
    assert same_grid(written, volume)
    np.testing.assert_array_equal(written.data, expected.data)
    assert written.data.any()
    assert scan_file.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"runs", scan_file.name, name}


@pytest.mark.parametrize("epoch", ["1", "best", "last"])
def test_the_epoch_is_the_one_asked_for(epoch: str, scan_file: Path, run: Run, tmp_path: Path, cli: Cli) -> None:
    assert cli("segment", scan_file, tmp_path / "labels.nii", "--run", run.path, "--epoch", epoch).code == 0
    expected = drain(segment(read(scan_file), run, epoch=1 if epoch == "1" else 3)).labels
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.nii").data, expected.data)


def test_options_reach_the_work(scan_file: Path, run: Run, tmp_path: Path, cli: Cli) -> None:
    options = ("--precision", "bfloat16", "--batch-size", "3", "--mirror")
    assert cli("segment", scan_file, tmp_path / "labels.nii", "--run", run.path, *options).code == 0
    expected = drain(segment(read(scan_file), run, precision="bfloat16", batch_size=3, mirror=True)).labels
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.nii").data, expected.data)


def test_volumes_of_every_structure(scan_file: Path, run: Run, tmp_path: Path, cli: Cli) -> None:
    table = tmp_path / "volumes.csv"
    assert cli("segment", scan_file, tmp_path / "labels.nii", "--run", run.path, "--volumes", table).code == 0
    labels = read_labels(tmp_path / "labels.nii")
    voxel = abs(np.linalg.det(labels.affine[:3, :3]))
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert list(rows[0]) == ["value", "name", "voxels", "volume_mm3"]
    assert [(int(row["value"]), row["name"]) for row in rows] == [(c.value, c.name) for c in run.config.classes[1:]]
    for row in rows:
        voxels = int((labels.data == int(row["value"])).sum())
        assert int(row["voxels"]) == voxels
        assert float(row["volume_mm3"]) == pytest.approx(voxels * voxel, rel=1e-5)
    assert sum(int(row["voxels"]) for row in rows) == np.count_nonzero(labels.data)


def test_an_older_output_is_replaced_also_through_a_link(scan_file: Path, run: Run, tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "target.nii").write_text("an older result")
    (tmp_path / "labels.nii").symlink_to("target.nii")
    assert cli("segment", scan_file, tmp_path / "labels.nii", "--run", run.path).code == 0
    assert (tmp_path / "labels.nii").is_symlink()
    assert read_labels(tmp_path / "target.nii").shape == read(scan_file).shape


def test_paths_relative_to_where_the_user_is(
    scan_file: Path, run: Run, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("segment", scan_file.name, "labels.nii", "--run", "runs/tiny").code == 0
    assert (tmp_path / "labels.nii").exists()
    assert run.path == tmp_path / "runs" / "tiny"


def test_what_was_assumed_and_noticed_is_said(scan: Volume, run: Run, tmp_path: Path, cli: Cli) -> None:
    import nibabel

    image = nibabel.Nifti1Image(np.where(scan.data > 90, np.nan, scan.data), None)
    image.to_filename(tmp_path / "placeless.nii")
    files = tmp_path / "labels.nii", "--uncertainty", tmp_path / "unsure.nii"
    outcome = cli("segment", tmp_path / "placeless.nii", *files, "--run", run.path)
    assert outcome.code == 0
    assert "assumed" in outcome.err
    assert outcome.out == ""
    for result in (files[0], files[2]):  # other programs assume other places: the same one for all three
        assert read(result).forms == read(tmp_path / "placeless.nii").forms


def test_any_input_range_and_some_nan(scan: Volume, run: Run, tmp_path: Path, cli: Cli) -> None:
    data = scan.data * 1e4 - 3e5
    data[3:5, 2] = np.nan
    write(tmp_path / "scan.nii", Volume(data, scan.affine))
    assert cli("segment", tmp_path / "scan.nii", tmp_path / "labels.nii", "--run", run.path).code == 0
    assert read_labels(tmp_path / "labels.nii").shape == scan.shape


def test_a_model_is_asked_in_the_planes_named(
    scan_file: Path, tiny_run: Callable[..., Run], tmp_path: Path, cli: Cli
) -> None:
    runs = [tiny_run(name=f"head-{plane}", plane=plane, epochs=1) for plane in ("coronal", "axial")]
    model = Model("head", tuple(runs))
    name = runs[0].path.parent / "head"
    for options, wanted in (((), model), (("--planes", "axial"), model.select(["axial"]))):
        outcome = cli("segment", scan_file, tmp_path / "labels.nii", "--run", name, "--device", "cpu", *options)
        assert (outcome.code, outcome.err) == (0, "")
        expected = drain(segment(read(scan_file), wanted, device="cpu")).labels
        np.testing.assert_array_equal(read_labels(tmp_path / "labels.nii").data, expected.data)
    for planes in ("sagittal", "oblique", ""):
        outcome = cli("segment", scan_file, tmp_path / "none.nii", "--run", name, "--planes", planes)
        assert outcome.code == 2
        assert "head has runs for coronal, axial" in outcome.err
        assert not (tmp_path / "none.nii").exists()


def test_a_model_is_listed_before_its_runs(
    tiny_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    runs = [tiny_run(name=f"head-{plane}", plane=plane, epochs=1) for plane in ("coronal", "axial")]
    folder = runs[0].path.parent
    monkeypatch.setattr("napari_scse.runs.catalogue.BUNDLED", folder)
    header, model, *rows = cli("runs").out.splitlines()
    assert model.split()[:5] == ["head", "fc-densenet", "scse", "coronal,", "axial"]
    assert [row.split()[0] for row in rows[:2]] == ["head-axial", "head-coronal"]
    for name in ("head", folder / "head"):
        told = [row.split() for row in cli("runs", name).out.splitlines()]
        assert [row[0] for row in told] == [header.split()[0], "head-coronal", "head-axial"]
    assert cli("runs", "head-axial").out.split()[:2] == ["epoch", "loss"]


def test_uncertainty_is_written_on_the_same_grid(scan_file: Path, run: Run, tmp_path: Path, cli: Cli) -> None:
    files = tmp_path / "labels.nii.gz", tmp_path / "unsure.nii.gz"
    assert cli("segment", scan_file, files[0], "--run", run.path, "--uncertainty", files[1]).code == 0
    labels, unsure = read_labels(files[0]), read(files[1])
    assert same_grid(labels, unsure)
    assert 0 <= unsure.data.min() < unsure.data.max() <= 1
    outcome = cli("segment", scan_file, files[0], "--run", run.path, "--uncertainty", scan_file)
    assert outcome.code == 2
