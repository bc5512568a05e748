"""`napari-scse excite` makes the store that `excite` makes, and images of chosen maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_scse.events import drain
from napari_scse.exploration import excite, open_maps
from napari_scse.images import read, write_labels
from napari_scse.runs import Run
from napari_scse.volume import LabelVolume

Cli = Callable[..., Any]


def test_the_maps_are_those_of_the_api(scan_file: Path, run: Run, tmp_path: Path, cli: Cli) -> None:
    before = scan_file.read_bytes()
    outcome = cli("excite", scan_file, tmp_path / "maps.zarr", "--run", run.path, "--sites", "sE-1,sD-2,cE-2")
    assert (outcome.code, outcome.out) == (0, "")
    maps = open_maps(tmp_path / "maps.zarr")
    expected = drain(excite(read(scan_file), run, sites=("sE-1", "sD-2", "cE-2")))
    assert maps.sites == ("sE-1", "sD-2", "cE-2")
    assert maps.epochs == (1, 2, 3)
    assert maps.slices == (0, maps["sE-1"].shape[1])
    for site in maps.sites:
        assert maps[site].dtype == np.uint8
        np.testing.assert_array_equal(maps[site][:], expected[site])
    assert scan_file.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"runs", scan_file.name, "maps.zarr"}


def test_a_slab_of_some_epochs_as_floats(scan_file: Path, run: Run, tmp_path: Path, cli: Cli) -> None:
    options = ("--sites", "last", "--epochs", "3,1", "--slab", "5", "--centre", "9", "--float")
    assert cli("excite", scan_file, tmp_path / "maps.zarr", "--run", run.path, *options).code == 0
    maps = open_maps(tmp_path / "maps.zarr")
    expected = drain(excite(read(scan_file), run, sites=("last",), epochs=(3, 1), slab=5, centre=9, dtype="float32"))
    assert (maps.epochs, maps.slices) == (expected.epochs, expected.slices)
    assert maps["sD-2"].shape[:2] == (2, 5)
    assert maps["sD-2"].dtype == np.float32
    np.testing.assert_array_equal(maps["sD-2"][:], expected["sD-2"])


def test_the_first_and_the_last_spatial_gate_are_the_default(
    scan_file: Path, run: Run, tmp_path: Path, cli: Cli
) -> None:
    assert cli("excite", scan_file, tmp_path / "maps.zarr", "--run", run.path, "--epochs", "best").code == 0
    maps = open_maps(tmp_path / "maps.zarr")
    assert (maps.sites, maps.epochs) == (("sE-1", "sD-2"), (3,))


def test_winner_maps_are_asked_for_as_gates_are(
    scan_file: Path, labels: LabelVolume, run: Run, tmp_path: Path, cli: Cli
) -> None:
    write_labels(tmp_path / "labels.nii.gz", labels)
    sites, store, image = ("--sites", "sD-2,wD-2", "--epochs", "1,2"), tmp_path / "maps.zarr", tmp_path / "map.nii.gz"
    assert cli("excite", scan_file, store, "--run", run.path, *sites, "--nifti", f"wD-2:2={image}").code == 0
    maps = open_maps(store)
    assert maps.sites == ("sD-2", "wD-2")
    np.testing.assert_allclose(read(image).data, maps.values("wD-2")[1].compute(), atol=1e-6)
    for verb, files in (("figure7", ["figure.svg"]), ("dynamics", ["labels.nii.gz", "dynamics.csv"])):
        outcome = cli(verb, scan_file, *(tmp_path / file for file in files), "--run", run.path, *sites)
        assert outcome.code == 0, outcome.err
        assert "wD-2" in (tmp_path / files[-1]).read_text()


@pytest.mark.parametrize("kind", ["--float", "--no-float"])
def test_chosen_maps_as_images(kind: str, scan_file: Path, run: Run, tmp_path: Path, cli: Cli) -> None:
    wishes = ("--nifti", f"first:2={tmp_path / 'early.nii.gz'}", "--nifti", f"sD-2:best={tmp_path / 'late=1.mgz'}")
    arguments = (scan_file, tmp_path / "maps.zarr", "--run", run.path, *wishes)
    assert cli("excite", *arguments, *(["--float"] if kind == "--float" else [])).code == 0
    maps = open_maps(tmp_path / "maps.zarr")
    for name, site, epoch in (("early.nii.gz", "sE-1", 1), ("late=1.mgz", "sD-2", 2)):
        image = read(tmp_path / name)
        np.testing.assert_allclose(image.data, maps.values(site)[epoch].compute(), atol=1e-6)
        np.testing.assert_allclose(image.affine, maps.affine(site), atol=1e-4)
