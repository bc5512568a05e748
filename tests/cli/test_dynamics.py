"""`napari-scse dynamics` writes what `measure_dynamics` measures, of new maps or of a store."""

from __future__ import annotations

import csv
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_scse.events import drain
from napari_scse.exploration import Dynamics, excite, measure_dynamics
from napari_scse.images import read, read_labels, write_labels
from napari_scse.runs import Run
from napari_scse.structures import FREESURFER27
from napari_scse.volume import LabelVolume

Cli = Callable[..., Any]


@pytest.fixture
def label_file(labels: LabelVolume, tmp_path: Path) -> Path:
    path = tmp_path / "labels.nii.gz"
    write_labels(path, labels)
    return path


@pytest.fixture
def scratch(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that temporary maps go to."""
    folder = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def rows_of(path: Path) -> list[tuple[str, ...]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [tuple(row) for row in csv.reader(file)][1:]


def expected(found: Dynamics, path: Path) -> list[tuple[str, ...]]:
    found.write_csv(path)
    rows = rows_of(path)
    path.unlink()
    return rows


def test_new_maps_are_measured_and_not_kept(
    scan_file: Path, label_file: Path, run: Run, tmp_path: Path, cli: Cli, scratch: Path
) -> None:
    output = tmp_path / "dynamics.csv"
    outcome = cli("dynamics", scan_file, label_file, output, "--run", run.path, "--plot", tmp_path / "curves.pdf")
    assert (outcome.code, outcome.err) == (0, "")
    scan = read(scan_file)
    maps = drain(excite(scan, run, dtype="float32"))
    found = drain(measure_dynamics(maps, read_labels(label_file), image=scan, structures=FREESURFER27))
    assert rows_of(output) == expected(found, tmp_path / "wanted.csv")
    assert outcome.out.endswith(found.describe() + "\n")
    (header, *lines) = outcome.out.splitlines()[: 1 + 2 * 3]
    assert header.split()[:4] == ["site", "epoch", "foreground", "background"]
    assert [line.split()[:2] for line in lines] == [[site, str(n)] for site in ("sE-1", "sD-2") for n in (1, 2, 3)]
    assert "Cerebral-" in lines[0]
    assert (tmp_path / "curves.pdf").read_bytes().startswith(b"%PDF")
    assert not list(scratch.iterdir())
    assert {p.name for p in tmp_path.iterdir()} == {"runs", scan_file.name, label_file.name, output.name, "curves.pdf"}


def test_a_store_is_measured_as_it_is(scan_file: Path, label_file: Path, run: Run, tmp_path: Path, cli: Cli) -> None:
    store, output = tmp_path / "maps.zarr", tmp_path / "dynamics.csv"
    maps = drain(excite(read(scan_file), run, sites=["sE-2", "cE-1", "sD-2"], slab=6, store=store))
    assert cli("dynamics", scan_file, label_file, output, "--maps", store).code == 0
    found = drain(measure_dynamics(maps, read_labels(label_file), image=read(scan_file)))
    assert rows_of(output) == expected(found, tmp_path / "wanted.csv")  # the run is not here: names are numbers
    assert {row[0] for row in rows_of(output)} == {"sE-2", "sD-2"}
    options = ("--sites", "sD-2", "--epochs", "3,1")
    assert cli("dynamics", scan_file, label_file, output, "--maps", store, *options).code == 0
    assert {row[:2] for row in rows_of(output)} == {("sD-2", "1"), ("sD-2", "3")}


def test_some_sites_epochs_and_slices(scan_file: Path, label_file: Path, run: Run, tmp_path: Path, cli: Cli) -> None:
    output = tmp_path / "dynamics.csv"
    options = ("--sites", "first,sE-2", "--epochs", "last,1", "--slab", "3")
    assert cli("dynamics", scan_file, label_file, output, "--run", run.path, *options).code == 0
    scan = read(scan_file)
    maps = drain(excite(scan, run, sites=["sE-1", "sE-2"], epochs=[1, 3], slab=3, dtype="float32"))
    found = drain(measure_dynamics(maps, read_labels(label_file), image=scan, structures=FREESURFER27))
    assert rows_of(output) == expected(found, tmp_path / "wanted.csv")


def test_an_aseg_is_mapped_and_other_labels_are_numbered(
    scan_file: Path, labels: LabelVolume, run: Run, tmp_path: Path, cli: Cli
) -> None:
    output, path = tmp_path / "dynamics.csv", tmp_path / "aseg.nii.gz"
    data = labels.data.copy()
    data[labels.data == 3] = np.where(np.indices(data.shape)[1][labels.data == 3] % 2, 3, 5)
    write_labels(path, LabelVolume(data, labels.affine))
    arguments = ("dynamics", scan_file, path, output, "--run", run.path, "--slab", "2", "--epochs", "1")
    outcome = cli(*arguments)
    assert outcome.code == 0
    assert "is FreeSurfer's aseg" in outcome.err
    assert {"Left-Lateral-Ventricle", "Left-Cerebral-Cortex"} <= {row[4] for row in rows_of(output)}
    assert cli(*arguments, "--map", "none").err == ""
    assert {"label 2", "label 5"} <= {row[4] for row in rows_of(output)}


def test_what_is_wrong_is_a_line(
    scan_file: Path,
    label_file: Path,
    run: Run,
    tmp_path: Path,
    labels: LabelVolume,
    refuse: Callable[..., str],
    scratch: Path,
) -> None:
    store, output = tmp_path / "maps.zarr", tmp_path / "dynamics.csv"
    drain(excite(read(scan_file), run, slab=2, store=store))
    affine = labels.affine.copy()
    affine[:3, 3] += 900
    far, link = tmp_path / "far.nii.gz", tmp_path / "link.pdf"
    link.symlink_to(label_file)
    write_labels(far, LabelVolume(labels.data, affine))
    for match, options in (
        ("leave --run and --slab away", ("--maps", store, "--run", run.path)),
        ("leave --run and --slab away", ("--maps", store, "--slab", "2")),
        ("takes numbers or all; got 'best'", ("--maps", store, "--epochs", "best")),
        ("Epoch 9 was not recorded", ("--maps", store, "--epochs", "9")),
        ("Nothing was recorded at 'sB'", ("--maps", store, "--sites", "sB")),
        ("no excitation maps in", ("--maps", tmp_path)),
        ("cE-1 is a channel gate", ("--run", run.path, "--sites", "cE-1")),
        ("no epoch '9'", ("--run", run.path, "--epochs", "9")),
        ("Unknown --map 'x'", ("--run", run.path, "--map", "x")),
        (".pdf, .svg or .png", ("--run", run.path, "--plot", tmp_path / "curves.jpg")),
        ("is the input", ("--run", run.path, "--plot", link)),
    ):
        assert match in refuse("dynamics", scan_file, label_file, output, *options)
    assert "no labelled voxel of" in refuse("dynamics", scan_file, far, output, "--run", run.path)
    write_labels(far, LabelVolume(np.zeros_like(labels.data), labels.affine))
    assert "no labelled voxel of" in refuse("dynamics", scan_file, far, output, "--run", run.path)
    assert ".csv" in refuse("dynamics", scan_file, label_file, tmp_path / "table.txt", "--run", run.path)
    assert not list(scratch.iterdir())


def test_an_unlabelled_side_leaves_a_dash(
    scan_file: Path, labels: LabelVolume, run: Run, tmp_path: Path, cli: Cli
) -> None:
    path = tmp_path / "one.nii.gz"
    write_labels(path, LabelVolume(np.where(labels.data == 2, labels.data, 0), labels.affine))
    outcome = cli("dynamics", scan_file, path, tmp_path / "d.csv", "--run", run.path, "--epochs", "1", "--slab", "4")
    first = outcome.out.splitlines()[1].split()
    assert first[:2] == ["sE-1", "1"]
    assert first[-2:] == ["-", "-"]  # no change before the first epoch, no pair
    assert math.isfinite(float(first[2]))
