"""Stored maps are found again, shown with sensible limits, and written as images; broken stores are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import zarr

from napari_scse.errors import InputError, RunError
from napari_scse.events import drain
from napari_scse.exploration import ExcitationMaps, SiteRecord, excite, open_maps
from napari_scse.runs import Run
from napari_scse.volume import Volume


@pytest.fixture
def store(tiny_run: Callable[..., Run], scan: Volume, tmp_path: Path) -> Path:
    path = tmp_path / "maps.zarr"
    drain(excite(scan, tiny_run(epochs=2), sites=["sE-1", "sE-2", "cE-1"], slab=5, store=path))
    return path


def make_maps(array: np.ndarray) -> ExcitationMaps:
    affine = tuple(tuple(row) for row in np.eye(4).tolist())
    record = SiteRecord("spatial", 1, affine, array.shape)
    epochs = tuple(range(1, len(array) + 1))
    return ExcitationMaps(
        "r", "0", "axial", (0, array.shape[1]), epochs, (0.41234, None), {"sE-1": record}, {"sE-1": array}
    )


def test_values_are_lazy_and_one_look_is_one_chunk(store: Path) -> None:
    maps = open_maps(store)
    values = maps.values("sE-2")
    assert values.dtype == np.float32
    assert values.chunksize == (1, 1, *values.shape[2:])
    look = values[1, 3].compute()
    np.testing.assert_allclose(look, maps["sE-2"][1, 3] / 255, atol=1e-6)
    assert 0 <= look.min() <= look.max() <= 1


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_limits_are_percentiles_between_0_and_1(dtype: str) -> None:
    unit = 255 if dtype == "uint8" else 1
    array = np.linspace(0.2, 0.6, 2 * 9 * 30 * 40).reshape(2, 9, 30, 40) * unit
    low, high = make_maps(array.astype(dtype)).limits("sE-1")
    assert low == pytest.approx(0.204, abs=0.01)
    assert high == pytest.approx(0.596, abs=0.01)
    low, high = make_maps(array.astype(dtype)).limits("sE-1", 25, 75)
    assert (low, high) == (pytest.approx(0.3, abs=0.01), pytest.approx(0.5, abs=0.01))


@pytest.mark.parametrize("value", [0, 128, 255])
def test_limits_of_an_even_map_still_span_something(value: int) -> None:
    low, high = make_maps(np.full((2, 3, 4, 5), value, np.uint8)).limits("sE-1")
    assert 0 <= low < high <= 1
    assert low <= value / 255 <= high


def test_epochs_are_named_with_their_loss() -> None:
    maps = make_maps(np.zeros((2, 3, 4, 5), np.uint8))
    assert maps.epoch_label(0) == "epoch 1 · loss 0.412"
    assert maps.epoch_label(1) == "epoch 2"


def test_an_unknown_site_names_those_there_are(store: Path) -> None:
    maps = open_maps(store)
    for ask in (maps.__getitem__, maps.affine, maps.limits, maps.values):
        with pytest.raises(RunError, match="there is sE-1, sE-2, cE-1"):
            ask("sD-9")


@pytest.mark.parametrize("site", ["sE-1", "sE-2"])
def test_one_epoch_is_written_as_an_image_in_its_place(store: Path, tmp_path: Path, site: str) -> None:
    maps = open_maps(store)
    path = tmp_path / "map.nii.gz"
    maps.write_nifti(path, site, 2)
    image = nibabel.load(path)
    np.testing.assert_allclose(image.affine, maps.affine(site), atol=1e-4)
    np.testing.assert_allclose(np.asarray(image.dataobj), maps[site][1] / 255, atol=1e-6)
    assert image.get_data_dtype() == np.float32


def test_no_image_of_what_was_not_recorded(store: Path, tmp_path: Path) -> None:
    maps = open_maps(store)
    for site, epoch, problem in (("sE-1", 3, "Epoch 3 was not recorded"), ("cE-1", 1, "channel gate"), ("sB", 1, "sB")):
        with pytest.raises(RunError, match=problem):
            maps.write_nifti(tmp_path / "map.nii", site, epoch)
    assert not (tmp_path / "map.nii").exists()


def test_what_is_no_store_of_maps_is_refused(store: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.zarr"
    empty.mkdir()
    text = tmp_path / "text.zarr"
    text.write_text("hello")
    other = tmp_path / "other.zarr"
    zarr.open_group(other, mode="w", zarr_format=3).create_array("x", shape=(2, 2), dtype="uint8")
    old = tmp_path / "old.zarr"
    zarr.open_group(old, mode="w", zarr_format=2)
    for path in (tmp_path / "missing.zarr", empty, text, other, old, store / "sE-1"):
        with pytest.raises(InputError, match="no excitation maps"):
            open_maps(path)


def break_store(store: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = store / "zarr.json"
    described = json.loads(file.read_text())
    change(described["attributes"]["napari-scse"])
    file.write_text(json.dumps(described))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(format=99),
        lambda d: d.pop("sites"),
        lambda d: d.pop("run"),
        lambda d: d.update(sites=[1, 2]),
        lambda d: d["epochs"].append(3),
        lambda d: d.update(slices=[0]),
        lambda d: d["sites"]["sE-1"].update(affine=[[1, 2], [3, 4]]),
        lambda d: d["sites"]["sE-1"].update(kind="radial"),
        lambda d: d["sites"]["sE-2"].update(shape=[2, 5, 1, 1]),
        lambda d: d.update(losses=["low", "lower"]),
        lambda d: d.update(losses=[0.5]),
    ],
)
def test_a_description_that_does_not_fit_is_refused(store: Path, change: Callable[[dict[str, Any]], object]) -> None:
    break_store(store, change)
    with pytest.raises(InputError):
        open_maps(store)


def test_a_missing_site_is_refused(store: Path) -> None:
    shutil.rmtree(store / "sE-2")
    with pytest.raises(InputError, match="sE-2"):
        open_maps(store)
