"""`napari-scse train` as a process: killed for real, resumed, and heard by a machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from napari_scse import images
from napari_scse.cli import main
from napari_scse.runs import Run
from napari_scse.runs.weights import load_tensors
from napari_scse.volume import LabelVolume

NETWORK = ["--network", "sd-net", "--preset", "paper-count", "--maps", "4", "--canvas", "24x32"]
SCHEDULE = ["--epochs", "2", "--slices", "40", "--optimizer", "adamw", "--schedule", "one-cycle"]
MACHINE = ["--learning-rate", "0.01", "--seed", "5", "--device", "cpu", "--precision", "float32"]
QUIET = [*NETWORK, *SCHEDULE, *MACHINE]
OPTIONS = [*QUIET, "--events", "jsonl"]


@pytest.fixture
def maps(tmp_path: Path, label_map: LabelVolume) -> Path:
    folder = tmp_path / "maps"
    folder.mkdir()
    for name in "ab":
        images.write_labels(folder / f"{name}.nii.gz", label_map)
    return folder


def test_killed_and_resumed_is_uninterrupted(maps: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "--label-maps", str(maps), *OPTIONS]
    program = "import sys, torch; torch.set_num_threads(1); from napari_scse.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, *arguments, "--out", str(tmp_path / "killed")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "StepDone" and event["epoch"] == 2:
                process.kill()
                break
    assert Run(tmp_path / "killed").epochs == (1,)
    assert main([*arguments, "--out", str(tmp_path / "killed"), "--resume"]) == 0
    assert main([*arguments, "--out", str(tmp_path / "whole")]) == 0
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert {"Progress", "Message", "StepDone", "EpochDone"} == {e["event"] for e in events}
    first, second = (load_tensors(Run(tmp_path / name).checkpoint(2)) for name in ("killed", "whole"))
    assert all(torch.equal(first[k], second[k]) for k in second)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--label-maps", "EMPTY"], "holds no images"),
        (["--label-maps", "MISSING"], "no folder"),
        ([], "needs either"),
        (["--label-maps", "EMPTY", "--resume"], "nothing to resume"),
        (["--label-maps", "EMPTY", "--se", "xse"], "xse"),
        (["--label-maps", "EMPTY", "--network", "v-net"], "v-net"),
        (["--label-maps", "EMPTY", "--canvas", "big"], "ROWSxCOLUMNS"),
        (["--label-maps", "EMPTY", "--plane", "tilted"], "tilted"),
        (["--label-maps", "EMPTY", "--device", "abacus"], "abacus"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str], words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"EMPTY": str(tmp_path / "empty"), "MISSING": str(tmp_path / "missing")}
    code = main(["train", "--out", str(tmp_path / "run"), *(places.get(a, a) for a in arguments)])
    error = capfd.readouterr().err
    assert code == 2
    assert words in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_people_see_a_line_per_epoch(maps: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--label-maps", str(maps), "--out", str(tmp_path / "run"), *QUIET]) == 0
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "epoch 1: loss" in captured.err
    assert "the best is" in captured.err


def test_the_whole_configuration_is_kept_and_taken_up(
    maps: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(["train", "--label-maps", str(maps), "--out", str(first), *QUIET]) == 0
    kept = ["train", "--config", str(first / "train.json")]
    events = second / "events.jsonl"
    assert main([*kept, "--out", str(second), "--device", "cpu", "--events", str(events)]) == 0
    assert Run(second).config.training == Run(first).config.training
    weights = [load_tensors(Run(folder).checkpoint(2)) for folder in (first, second)]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    kinds = [json.loads(line)["event"] for line in events.read_text().splitlines()]
    assert (kinds[0], kinds[-1]) == ("Began", "Ended")
    assert (second / "process.json").exists()
    capfd.readouterr()
    for arguments, words in (
        ([*kept, "--epochs", "3"], "leave --epochs out"),
        (["train", "--label-maps", str(maps)], "--out"),
        (["train", "--config", str(tmp_path / "none.json")], "not a readable configuration"),
        ([*kept, "--events", "events.xml"], ".jsonl"),
        (kept, "already holds a run"),
    ):
        assert main(arguments) == 2
        error = capfd.readouterr().err
        assert words in error
        assert len(error.splitlines()) == 1
