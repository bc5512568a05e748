"""`napari-scse params`, `runs` and `doctor`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_scse.cli.console import table
from napari_scse.nn.architectures import build_network
from napari_scse.nn.parameters import table_one
from napari_scse.runs import Run, list_models, list_runs

Cli = Callable[..., Any]


def test_params_is_table_one(cli: Cli) -> None:
    outcome = cli("params")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    for row in table_one():
        start = [row.network, row.preset, str(row.excitation), f"{row.parameters:,}"]
        (line,) = [line.split() for line in lines if line.split()[:4] == start]
        assert line[5] == f"{row.added:,}"
        assert row.note in outcome.out
    scse = next(line for line in lines if line.startswith("fc-densenet  paper-count  scse"))
    assert scse.split()[3:] == ["3,153,760", "3.1e6", "33,280", "3.3e4", "1.07", "1.06"]


@pytest.fixture
def own_runs(
    tmp_path: Path,
    tiny_run: Callable[..., Run],
    publish: Callable[..., Any],  # noqa: ARG001 - nothing is published
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A user's folder with a good run, one without weights and one that is no run."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the user's data folder can only be moved by a variable on Linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "napari-scse" / "runs"
    run = tiny_run(folder=folder, name="mine", excitation="sse")
    run.save_epoch(4, build_network(run.config.network), {"loss": 0.123, "validation_dice": 0.25, "seconds": 61.0})
    tiny_run(folder=folder, name="unfinished", kind="u-net", plane="axial", epochs=0)
    (folder / "broken").mkdir()
    (folder / "broken" / "run.json").write_text("{}")
    return folder


def test_runs_lists_what_can_be_picked_by_name(own_runs: Path, cli: Cli) -> None:
    outcome = cli("runs")
    assert (outcome.code, outcome.err) == (0, "")
    header, *rows = [line.split() for line in outcome.out.splitlines()]
    assert header == ["name", "network", "SE", "plane", "epochs", "best", "Dice", "MB", "where"]
    assert [row[0] for row in rows] == [one.name for one in (*list_models(), *list_runs())]
    megabytes = sum(path.stat().st_size for path in (own_runs / "mine").glob("*.safetensors")) / 1e6
    assert rows[-2:] == [
        ["mine", "fc-densenet", "sse", "coronal", "4", "3", "0.300", f"{megabytes:.1f}", "yours"],
        ["unfinished", "u-net", "scse", "axial", "0", "-", "-", "0.0", "yours"],
    ]


def test_one_run_epoch_by_epoch(own_runs: Path, cli: Cli) -> None:
    by_name, by_folder = cli("runs", "mine"), cli("runs", own_runs / "mine")
    assert by_name.code == 0
    assert by_name.out == by_folder.out
    header, *rows = by_name.out.splitlines()
    assert header.split()[:4] == ["epoch", "loss", "validation", "Dice"]
    assert [row.split()[0] for row in rows] == ["1", "2", "3", "4"]
    assert rows[-1].split()[1:4] == ["0.1230", "0.250", "61"]


def test_a_run_is_used_by_its_name(own_runs: Path, scan_file: Path, tmp_path: Path, cli: Cli) -> None:
    assert cli("segment", scan_file, tmp_path / "labels.nii", "--run", "mine", "--epoch", "2").code == 0
    assert (own_runs / "mine").is_dir()


def test_doctor_says_what_there_is(own_runs: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":73")
    outcome = cli("doctor")
    assert (outcome.code, outcome.err) == (0, "")
    said = dict(line.strip().split(maxsplit=1) for line in outcome.out.splitlines() if line.startswith("  "))
    assert said["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert said["numpy"] == np.__version__
    assert said["DISPLAY"] == ":73"
    assert "bfloat16" in outcome.out
    assert "Qt binding" in outcome.out
    assert str(own_runs) in outcome.out
    assert "mine" in outcome.out


def test_tables_are_aligned_text() -> None:
    laid_out = table(("name", "n"), [("a", "1"), ("longer", "23")], right=(1,))
    assert laid_out == "name     n\na        1\nlonger  23"
