"""Unknown and broken runs, epochs, sites and devices: one line, and nothing is ever unpickled."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from napari_scse.runs import Run

Refuse = Callable[..., str]
Break = Callable[[Run], None]


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def _edit(**changes: object) -> Break:
    """Change fields of run.json; those changed to None are taken out."""

    def edit(run: Run) -> None:
        file = run.path / "run.json"
        described = json.loads(file.read_text(encoding="utf-8")) | changes
        file.write_text(json.dumps({k: v for k, v in described.items() if v is not None}), encoding="utf-8")

    return edit


def _edit_network(**changes: object) -> Break:
    def edit(run: Run) -> None:
        _edit(network=run.config.network.to_dict() | changes)(run)

    return edit


def _replace(name: str, content: bytes) -> Break:
    def replace(run: Run) -> None:
        (run.path / name).write_bytes(content)

    return replace


def _remove(pattern: str) -> Break:
    def remove(run: Run) -> None:
        for path in run.path.glob(pattern):
            path.unlink()

    return remove


def _truncate_weights(run: Run) -> None:
    file = run.checkpoint(3)
    file.write_bytes(file.read_bytes()[:-100])


def _other_weights(run: Run) -> None:
    save_file({"encoder.weight": torch.zeros(3)}, run.checkpoint(3))


def _folder_as_weights(run: Run) -> None:
    run.checkpoint(3).unlink()
    run.checkpoint(3).mkdir()


BROKEN: dict[str, Break] = {
    "no-description": _remove("run.json"),
    "description-is-empty": _replace("run.json", b""),
    "description-is-no-json": _replace("run.json", b"name: a run"),
    "description-is-no-text": _replace("run.json", b"\xff\xfe\x00\x80" * 9),
    "description-is-a-list": _replace("run.json", b"[1, 2]"),
    "newer-format": _edit(format=99),
    "no-format": _edit(format=None),
    "no-network": _edit(network=None),
    "unknown-field": _edit(colour="red"),
    "network-is-a-word": _edit(network="u-net"),
    "unknown-network": _edit_network(kind="transformer"),
    "unknown-network-field": _edit_network(heads=8),
    "unknown-excitation": _edit_network(excitation="everything"),
    "absurd-network": _edit_network(maps=-3),
    "wrong-classes": _edit(classes=[{"value": 0, "name": "Background", "color": "#000000"}]),
    "classes-are-words": _edit(classes=["brain"] * 28),
    "class-value-is-a-word": _edit(classes=[{"value": "two", "name": "x", "color": "#000000"}] * 28),
    "unknown-plane": _edit(plane="diagonal"),
    "spacing-is-a-word": _edit(spacing="fine"),
    "spacing-is-negative": _edit(spacing=[1.0, -1.0, 1.0]),
    "spacing-is-too-short": _edit(spacing=[1.0, 1.0]),
    "canvas-is-empty": _edit(canvas=[0, 0]),
    "canvas-is-too-short": _edit(canvas=[32]),
    "neighbours-do-not-fit": _edit(neighbours=2),
    "neighbours-are-a-word": _edit(neighbours="two"),
    "intensity-is-unknown": _edit(intensity={"gamma": 2}),
    "intensity-is-a-word": _edit(intensity={"labelled_median": "bright", "clip": 2.5}),
    "metrics-are-no-json": _replace("metrics.jsonl", b"epoch 1: fine\n"),
    "metrics-are-numbers": _replace("metrics.jsonl", b"1\n2\n"),
    "metrics-lack-the-epoch": _replace("metrics.jsonl", b'{"validation_dice": 0.5}\n'),
    "no-weights": _remove("*.safetensors"),
    "weights-are-empty": _replace("epoch-0003.safetensors", b""),
    "weights-are-text": _replace("epoch-0003.safetensors", b"0.1 0.2 0.3\n" * 50),
    "weights-are-truncated": _truncate_weights,
    "weights-of-another-network": _other_weights,
    "weights-are-a-folder": _folder_as_weights,
}


@pytest.mark.parametrize("name", BROKEN)
def test_segment_refuses_a_broken_run(name: str, scan_file: Path, run: Run, tmp_path: Path, refuse: Refuse) -> None:
    BROKEN[name](run)
    line = refuse("segment", scan_file, tmp_path / "labels.nii.gz", "--run", run.path)
    assert len(line) < 600


@pytest.mark.parametrize("name", ["description-is-empty", "no-weights", "weights-are-truncated", "metrics-are-numbers"])
def test_excite_refuses_a_broken_run(name: str, scan_file: Path, run: Run, tmp_path: Path, refuse: Refuse) -> None:
    BROKEN[name](run)
    refuse("excite", scan_file, tmp_path / "maps.zarr", "--run", run.path, "--sites", "first,last")


@pytest.mark.parametrize("name", ["epoch-0003.safetensors", "epoch-0003.pt", "epoch-0003.pth", "run.pkl"])
@pytest.mark.parametrize("verb", ["segment", "excite"])
def test_a_pickle_in_a_run_is_never_executed(
    verb: str, name: str, scan_file: Path, run: Run, tmp_path: Path, refuse: Refuse
) -> None:
    marker = tmp_path / "executed"
    run.checkpoint(3).unlink()
    if name.endswith((".pt", ".pth")):
        torch.save({"weights": Trap(marker)}, run.path / name)
    else:
        (run.path / name).write_bytes(pickle.dumps(Trap(marker)))
    output = tmp_path / ("labels.nii.gz" if verb == "segment" else "maps.zarr")
    epoch = "--epoch" if verb == "segment" else "--epochs"
    refuse(verb, scan_file, output, "--run", run.path, epoch, "3")
    refuse("runs", run.path / name)
    assert not marker.exists()
    with (run.path / name).open("rb") as file:  # the trap is a real one
        torch.load(file, weights_only=False) if name.endswith((".pt", ".pth")) else pickle.load(file)  # noqa: S301
    assert marker.exists()


@pytest.mark.parametrize("name", ["no-such-run", "", "..", "a/b", "scan.nii.gz"])
def test_an_unknown_run(
    name: str, scan_file: Path, tmp_path: Path, refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refuse("segment", scan_file, "labels.nii.gz", "--run", name)
    refuse("excite", scan_file, "maps.zarr", "--run", name)
    refuse("runs", name)


@pytest.mark.parametrize("epoch", ["4", "0", "-1", "1.5", "newest", "", "1e9"])
def test_an_unknown_epoch(epoch: str, scan_file: Path, run: Run, tmp_path: Path, refuse: Refuse) -> None:
    line = refuse("segment", scan_file, tmp_path / "labels.nii.gz", "--run", run.path, f"--epoch={epoch}")
    assert "1, 2, 3" in line
    for epochs in (epoch, f"1,{epoch}"):
        refuse("excite", scan_file, tmp_path / "maps.zarr", "--run", run.path, "--sites=first", f"--epochs={epochs}")


@pytest.mark.parametrize("sites", ["sD-9", "sE1", "first,nose", "", "first,,last"])
def test_an_unknown_site(sites: str, scan_file: Path, run: Run, tmp_path: Path, refuse: Refuse) -> None:
    line = refuse("excite", scan_file, tmp_path / "maps.zarr", "--run", run.path, f"--sites={sites}")
    assert "sE-1, sE-2" in line or "separated by" in line


@pytest.mark.parametrize(("excitation", "has"), [("none", "no gates"), ("cse", "no spatial gate, only cE-1")])
def test_a_run_without_spatial_gates_says_what_it_has(
    excitation: str, has: str, scan_file: Path, tiny_run: Callable[..., Run], tmp_path: Path, refuse: Refuse
) -> None:
    run = tiny_run(excitation=excitation, epochs=1)
    assert has in refuse("excite", scan_file, tmp_path / "maps.zarr", "--run", run.path)


@pytest.mark.parametrize("device", ["tpu", "", "cpu:x", "cuda:99", "CUDA"])
@pytest.mark.parametrize("verb", ["segment", "excite"])
def test_an_unknown_device(verb: str, device: str, scan_file: Path, run: Run, tmp_path: Path, refuse: Refuse) -> None:
    output = tmp_path / ("labels.nii.gz" if verb == "segment" else "maps.zarr")
    sites = () if verb == "segment" else ("--sites", "first")
    refuse(verb, scan_file, output, "--run", run.path, *sites, f"--device={device}")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this computer has CUDA")
def test_cuda_where_there_is_none(scan_file: Path, run: Run, tmp_path: Path, refuse: Refuse) -> None:
    line = refuse("segment", scan_file, tmp_path / "labels.nii.gz", "--run", run.path, "--device", "cuda")
    assert "CUDA" in line


@pytest.mark.parametrize(
    "options",
    [
        ("--precision", "float8"),
        ("--batch-size", "0"),
        ("--batch-size", "many"),
        ("--frame", "3"),
        ("--mirror",),
    ],
    ids=" ".join,
)
def test_options_that_make_no_sense_for_segment(
    options: tuple[str, ...],
    scan_file: Path,
    run: Run,
    tiny_run: Callable[..., Run],
    tmp_path: Path,
    refuse: Refuse,
) -> None:
    if options == ("--mirror",):
        run = tiny_run(plane="sagittal", name="sagittal", epochs=1)
    refuse("segment", scan_file, tmp_path / "labels.nii.gz", "--run", run.path, *options)


@pytest.mark.parametrize(
    "options",
    [
        ("--slab", "0"),
        ("--slab", "few"),
        ("--slab", "4", "--centre", "999"),
        ("--slab", "4", "--centre", "-1"),
        ("--centre", "4"),
        ("--precision", "float8"),
        ("--nifti", "map.nii.gz"),
        ("--nifti", "first=map.nii.gz"),
        ("--nifti", "first:1="),
        ("--nifti", "sE-2:1=map.nii.gz"),
        ("--nifti", "nose:1=map.nii.gz"),
        ("--nifti", "first:7=map.nii.gz"),
        ("--nifti", "first:1=map.png"),
        ("--nifti", "first:1=nowhere/map.nii.gz"),
        ("--nifti", "cE-1:1=map.nii.gz"),
        ("--nifti", "first:1=map.nii.gz", "--nifti", "last:1=map.nii.gz"),
        ("--epochs", "2", "--nifti", "first:1=map.nii.gz"),
    ],
    ids=" ".join,
)
def test_options_that_make_no_sense_for_excite(
    options: tuple[str, ...],
    scan_file: Path,
    run: Run,
    tmp_path: Path,
    refuse: Refuse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    refuse("excite", scan_file, "maps.zarr", "--run", run.path, "--sites", "first,last,cE-1", *options)
