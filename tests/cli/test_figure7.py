"""`napari-scse figure7` draws what `excite` and `plot_figure7` draw, of one slice."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_scse.events import drain
from napari_scse.exploration import excite, plot_figure7
from napari_scse.images import read
from napari_scse.runs import Run

Cli = Callable[..., Any]


def texts(path: Path) -> list[str]:
    return re.findall(r"<!-- (.+?) -->", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("slice_", ["middle", "0", "26"])
def test_the_picture_is_that_of_the_api(slice_: str, scan_file: Path, run: Run, tmp_path: Path, cli: Cli) -> None:
    before = scan_file.read_bytes()
    outcome = cli("figure7", scan_file, tmp_path / "figure.png", "--run", run.path, "--slice", slice_)
    assert (outcome.code, outcome.out) == (0, "")
    scan = read(scan_file)
    centre = None if slice_ == "middle" else int(slice_)
    plot_figure7(drain(excite(scan, run, slab=1, centre=centre, dtype="float32")), scan, tmp_path / "wanted.png")
    assert (tmp_path / "figure.png").read_bytes() == (tmp_path / "wanted.png").read_bytes()
    assert scan_file.read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"runs", scan_file.name, "figure.png", "wanted.png"}


def test_chosen_sites_and_epochs(scan_file: Path, run: Run, tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "figure.svg"
    options = ("--sites", "sE-2,last", "--epochs", "last,1", "--limits", "site")
    assert cli("figure7", scan_file, path, "--run", run.path, *options).code == 0
    found = texts(path)
    assert [text for text in found if text.startswith("epoch")] == ["epoch 1", "epoch 3"]
    assert [text for text in found if text.startswith("s")] == ["sE-2", "sD-2"]
    assert found.count("excitation") == 2


def test_a_row_that_cannot_be_seen_is_told(scan_file: Path, run: Run, tmp_path: Path, cli: Cli) -> None:
    for epoch in run.epochs:  # sD-2 is half open everywhere
        network = run.network(epoch)
        with torch.no_grad():
            network.decoders[1].excitation.spatial_gate.squeeze.weight.zero_()
        run.save_epoch(epoch, network, {"loss": 1.0, "validation_dice": epoch / 10, "seconds": 1.0})
    shared = cli("figure7", scan_file, tmp_path / "a.png", "--run", run.path)
    assert "sD-2 varies little beside the others; '--limits site'" in shared.err
    own = cli("figure7", scan_file, tmp_path / "b.png", "--run", run.path, "--limits", "site")
    assert (own.code, own.err) == (0, "")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (("--slice", "27"), "slices 0 to 26, but 27"),
        (("--slice", "-1"), "number from 0 on, or middle; got '-1'"),
        (("--slice", "centre"), "number from 0 on, or middle; got 'centre'"),
        (("--sites", "sE-9"), "no site 'sE-9'"),
        (("--sites", "cE-1"), "cE-1 is a channel gate"),
        (("--sites", "sE-1,,sD-2"), "single commas"),
        (("--epochs", "9"), "no epoch"),
        (("--limits", "all"), "Unknown --limits 'all'; there is shared, site, full"),
        (("--device", "tpu"), "Unknown device"),
    ],
)
def test_bad_options(
    options: tuple[str, str], match: str, scan_file: Path, run: Run, tmp_path: Path, refuse: Callable[..., str]
) -> None:
    assert match in refuse("figure7", scan_file, tmp_path / "figure.png", "--run", run.path, *options)


def test_bad_outputs(scan_file: Path, run: Run, tmp_path: Path, refuse: Callable[..., str]) -> None:
    for name in ("figure", "figure.jpg", ".png"):
        assert ".pdf, .svg or .png" in refuse("figure7", scan_file, tmp_path / name, "--run", run.path)
    assert "no folder" in refuse("figure7", scan_file, tmp_path / "nowhere" / "figure.png", "--run", run.path)
    link = tmp_path / "link.png"
    link.symlink_to(scan_file)
    assert "is the input" in refuse("figure7", scan_file, link, "--run", run.path)
