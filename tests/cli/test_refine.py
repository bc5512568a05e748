"""`napari-scse refine` teaches a run with a file of strokes, and refuses what it cannot learn from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_scse.events import drain
from napari_scse.images import read, read_labels, write
from napari_scse.inference import segment
from napari_scse.refinement import RefineConfig, Strokes, refine
from napari_scse.runs import Run, load_run, user_runs
from napari_scse.volume import LabelVolume, Volume, same_grid

Cli = Callable[..., Any]
STEPS = 3


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))


@pytest.fixture
def painted(labels: LabelVolume) -> np.ndarray:
    where = np.zeros(labels.shape, bool)
    where[4:28, 11, 13] = where[4:28, 14, 10] = True
    return where


@pytest.fixture
def strokes_file(labels: LabelVolume, painted: np.ndarray, tmp_path: Path) -> Path:
    return save(tmp_path / "strokes.nii.gz", np.where(painted, labels.data.astype(np.int16), np.int16(-1)), labels)


def save(path: Path, data: np.ndarray, like: Volume) -> Path:
    write(path, Volume(data, like.affine))
    return path


def test_it_writes_labels_and_keeps_the_run(
    scan_file: Path, strokes_file: Path, labels: LabelVolume, painted: np.ndarray, run: Run, tmp_path: Path, cli: Cli
) -> None:
    out = tmp_path / "labels.nii.gz"
    before = scan_file.read_bytes(), strokes_file.read_bytes()
    options = ("--run", run.path, "--name", "mine", "--steps", STEPS, "--device", "cpu")
    outcome = cli("refine", scan_file, strokes_file, out, *options)
    assert (outcome.code, outcome.out) == (0, "")
    assert (scan_file.read_bytes(), strokes_file.read_bytes()) == before
    kept = load_run("mine")
    assert kept.path == user_runs() / "mine"
    assert kept.config.lineage["parent"]["run"] == run.name
    volume = read(scan_file)
    written = read_labels(out)
    assert same_grid(written, volume)
    np.testing.assert_array_equal(written.data, drain(segment(volume, kept, device="cpu")).labels.data)
    expected = drain(refine(volume, run, Strokes(labels.data, painted), config=RefineConfig(steps=STEPS), device="cpu"))
    for name, tensor in kept.network().state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), expected.network.state_dict()[name].numpy())


def test_without_a_name_nothing_is_kept(
    scan_file: Path, strokes_file: Path, run: Run, tmp_path: Path, cli: Cli
) -> None:
    out = tmp_path / "labels.mgz"
    assert cli("refine", scan_file, strokes_file, out, "--run", run.path, "--steps", 1).code == 0
    assert out.exists()
    assert not user_runs().exists()


@pytest.mark.parametrize("form", ["65535", "mask", "value"])
def test_strokes_come_in_several_forms(
    form: str, scan_file: Path, labels: LabelVolume, painted: np.ndarray, run: Run, tmp_path: Path, cli: Cli
) -> None:
    path, extra = tmp_path / "other.nii.gz", []
    if form == "65535":
        save(path, np.where(painted, labels.data.astype(np.uint16), np.uint16(65535)), labels)
    elif form == "value":
        save(path, np.where(painted, labels.data, 200).astype(np.float32), labels)
        extra = ["--unpainted", "200"]
    else:
        save(path, labels.data, labels)
        extra = ["--mask", save(tmp_path / "mask.nii.gz", painted.astype(np.uint8), labels)]
    options = ("--run", run.path, "--name", form, "--steps", STEPS, "--device", "cpu", *extra)
    assert cli("refine", scan_file, path, tmp_path / "labels.nii.gz", *options).code == 0
    there, counts = np.unique(labels.data[painted], return_counts=True)
    told = {str(value): int(count) for value, count in zip(there, counts, strict=True)}
    assert load_run(form).config.lineage["strokes"] == told


def test_few_strokes_are_remarked_upon_on_stderr(
    scan_file: Path, labels: LabelVolume, run: Run, tmp_path: Path, cli: Cli
) -> None:
    data = np.full(labels.shape, -1, np.int16)
    data[15, 11, 13] = 2
    path = save(tmp_path / "few.nii.gz", data, labels)
    outcome = cli("refine", scan_file, path, tmp_path / "labels.nii.gz", "--run", run.path, "--steps", 1)
    assert outcome.code == 0
    assert "voxels are painted" in outcome.err


def test_what_cannot_be_learnt_is_refused(
    scan_file: Path, strokes_file: Path, labels: LabelVolume, run: Run, tmp_path: Path, refuse: Callable[..., str]
) -> None:
    out, usual = tmp_path / "labels.nii.gz", ("--run", run.path, "--steps", 1)
    nothing = save(tmp_path / "nothing.nii.gz", np.full(labels.shape, -1, np.int16), labels)
    assert "no strokes" in refuse("refine", scan_file, nothing, out, *usual)
    plain = save(tmp_path / "plain.nii.gz", labels.data, labels)
    assert "Nothing says which voxels" in refuse("refine", scan_file, plain, out, *usual)
    strange = save(tmp_path / "strange.nii.gz", np.where(labels.data > 0, 77, -1).astype(np.int16), labels)
    assert "77" in refuse("refine", scan_file, strange, out, *usual)
    broken = save(tmp_path / "broken.nii.gz", np.full(labels.shape, 0.5, np.float32), labels)
    assert "whole numbers" in refuse("refine", scan_file, broken, out, *usual)
    small = save(tmp_path / "small.nii.gz", np.zeros((3, 4, 5), np.int16), labels)
    assert "grid" in refuse("refine", scan_file, small, out, *usual)
    assert "not by both" in refuse("refine", scan_file, strokes_file, out, *usual, "--mask", plain, "--unpainted", "0")
    assert "input" in refuse("refine", scan_file, strokes_file, strokes_file, *usual)
    assert "letters" in refuse("refine", scan_file, strokes_file, out, *usual, "--name", "a/b")
    assert "already" in refuse("refine", scan_file, strokes_file, out, *usual, "--name", "brain-t1-coronal")
    assert "no epoch" in refuse("refine", scan_file, strokes_file, out, *usual, "--epoch", "9")


def test_a_model_of_several_planes_is_refused(
    scan_file: Path, strokes_file: Path, tiny_run: Callable[..., Run], tmp_path: Path, refuse: Callable[..., str]
) -> None:
    for plane in ("coronal", "axial"):
        tiny_run(name=f"both-{plane}", plane=plane, epochs=1)
    out = tmp_path / "labels.nii.gz"
    said = refuse("refine", scan_file, strokes_file, out, "--run", tmp_path / "runs" / "both")
    assert "both-coronal, both-axial" in said
