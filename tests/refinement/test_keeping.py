"""A refined network becomes a run: whole or not at all, loadable, and it says where it comes from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_scse.errors import RunError
from napari_scse.events import drain
from napari_scse.inference import segment
from napari_scse.refinement import RefineConfig, Refined, Strokes, keep, lineage, refine
from napari_scse.runs import DEFAULT_RUN, Run, list_runs, load_run, place_of, user_runs
from napari_scse.volume import Volume


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))


@pytest.fixture
def refined(scan: Volume, run: Run, strokes: Strokes, quick: RefineConfig) -> Refined:
    return drain(refine(scan, run, strokes, config=quick, device="cpu"))


def test_a_kept_run_is_found_and_segments(refined: Refined, scan: Volume, run: Run) -> None:
    kept = keep(refined, "mine", command="by hand")
    assert kept.path == user_runs() / "mine"
    assert {path.name for path in user_runs().iterdir()} == {"mine"}
    again = load_run("mine")
    assert "mine" in [one.name for one in list_runs()]
    assert place_of(again) == "yours"
    for name, tensor in again.network().state_dict().items():
        assert torch.equal(tensor, refined.network.state_dict()[name])
    assert again.epochs == (1,)
    assert again.config.command == "by hand"
    assert again.config.network == refined.network.config
    assert replace(again.config.network, taught=()) == run.config.network
    for field in ("classes", "plane", "spacing", "canvas", "neighbours", "intensity", "sizes", "training"):
        assert getattr(again.config, field) == getattr(run.config, field)
    before = drain(segment(scan, run, device="cpu")).labels.data
    after = drain(segment(scan, again, device="cpu")).labels.data
    assert np.any(before != after)


def test_its_lineage_says_where_it_comes_from(refined: Refined, run: Run, strokes: Strokes) -> None:
    kept = keep(refined, "mine")
    told = json.loads((kept.path / "run.json").read_text())["lineage"]
    checkpoint = hashlib.sha256(run.checkpoint(2).read_bytes()).hexdigest()
    assert told["parent"] == {"run": "tiny", "epoch": 2, "sha256": checkpoint}
    assert told["strokes"] == {str(value): count for value, count in strokes.counts().items()}
    assert told["settings"]["steps"] == 24
    assert told["rounds"] == 1
    assert kept.config.lineage == told == json.loads(json.dumps(lineage(refined)))
    assert kept.config.versions["torch"] == torch.__version__
    assert "lineage" not in json.loads((run.path / "run.json").read_text())


def test_a_refined_run_can_be_refined_again(
    refined: Refined, scan: Volume, strokes: Strokes, quick: RefineConfig
) -> None:
    first = keep(refined, "first")
    second = keep(drain(refine(scan, first, strokes, config=quick, device="cpu")), "second")
    parent = second.config.lineage["parent"]
    assert (parent["run"], parent["epoch"]) == ("first", 1)
    assert parent["lineage"] == first.config.lineage


def test_a_name_that_is_taken_or_none_is_refused(refined: Refined) -> None:
    keep(refined, "mine")
    before = sorted(path.name for path in user_runs().rglob("*"))
    for name, said in (
        ("mine", "already"),
        (DEFAULT_RUN, "already"),
        ("a/b", "letters"),
        ("../b", "letters"),
        ("", "letters"),
        ("a--b", "letters"),
        ("a" * 101, "100 at most"),
    ):
        with pytest.raises(RunError, match=said):
            keep(refined, name)
    assert sorted(path.name for path in user_runs().rglob("*")) == before


def test_where_nothing_can_be_written_nothing_is_left(refined: Refined, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot be written"):
        keep(refined, "mine", folder=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_damaged_lineage_is_refused(tiny_run: Callable[..., Run]) -> None:
    run = tiny_run(name="odd")
    told = json.loads((run.path / "run.json").read_text()) | {"lineage": "from afar"}
    (run.path / "run.json").write_text(json.dumps(told))
    with pytest.raises(RunError, match="lineage"):
        Run(run.path)
