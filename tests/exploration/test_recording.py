"""What is recorded is what the gates let through, where it says it is, and nothing half-done stays."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_scse.conform import Window
from napari_scse.errors import DeviceError, InputError, RunError
from napari_scse.events import Event, MapDone, Progress, SliceDone, drain
from napari_scse.exploration import ExcitationMaps, MapsStarted, excite, open_maps
from napari_scse.inference import Scan, segment
from napari_scse.nn.recorder import record_excitations
from napari_scse.runs import Run
from napari_scse.volume import Volume

MakeRun = Callable[..., Run]


@pytest.mark.parametrize("excitation", ["sse", "scse"])
def test_the_maps_are_the_gates_of_every_epoch_and_slice(tiny_run: MakeRun, scan: Volume, excitation: str) -> None:
    run = tiny_run(excitation=excitation, canvas=(16, 12))
    sites = ("sE-1", "sE-2", "sD-1", "sD-2")
    found: list[Event] = []
    maps = drain(excite(scan, run, sites=sites, dtype="float32"), found.append)
    assert maps.epochs == (1, 2, 3)
    assert maps.losses == (1.0, 0.5, pytest.approx(1 / 3))
    laid_out = Scan.of(scan, run.config)
    result = drain(segment(scan, run))
    window = Window(0, 0, *laid_out.plane_shape)
    if excitation == "scse":  # channel gates average over the canvas: one window on the middle of the region
        _, row, column = result.location.centre
        window = Window(row - 8, column - 6, 16, 12)
    for index, epoch in enumerate(maps.epochs):
        network = run.network(epoch)
        for number in (0, 7, len(laid_out.data) - 1):
            slices = laid_out.slices([number], result.location.gain, [window])
            with torch.inference_mode(), record_excitations(network, sites) as recorder:
                network(torch.from_numpy(slices))
            for site in sites:
                np.testing.assert_allclose(maps[site][index, number], recorder.maps[site][0, 0], atol=1e-6)


def test_channel_gates_are_recorded_too(tiny_run: MakeRun, scan: Volume) -> None:
    maps = drain(excite(scan, tiny_run(excitation="cse", epochs=2), sites=["cE-1", "cD-2"], slab=5))
    assert maps["cE-1"].shape == (2, 5, 4)
    assert maps.record("cE-1").affine is None
    assert 0 < maps["cE-1"].min() <= maps["cE-1"].max() < 255
    with pytest.raises(RunError, match="channel gate"):
        maps.affine("cE-1")


@pytest.mark.parametrize("plane", ["coronal", "axial", "sagittal"])
def test_an_affine_puts_every_map_pixel_amid_the_pixels_it_stands_for(
    tiny_run: MakeRun, scan: Volume, plane: str
) -> None:
    maps = drain(excite(scan, tiny_run(excitation="sse", epochs=1, plane=plane), sites=["sE-1", "sE-2"], slab=4))
    laid_out = Scan.of(scan, tiny_run(plane=plane, name="other").config)
    conformed = laid_out.conformation.affine(laid_out.geometry.stack_affine)
    assert maps["sE-2"].shape[2:] == tuple(-(-size // 2) for size in maps["sE-1"].shape[2:])
    first = maps.slices[0]
    for n, i, j in ((0, 0, 0), (3, 2, 5)):
        block = [conformed @ (first + n, 2 * i + a, 2 * j + b, 1) for a, b in itertools.product((0, 1), repeat=2)]
        np.testing.assert_allclose(maps.affine("sE-2") @ (n, i, j, 1), np.mean(block, axis=0), atol=1e-9)
        np.testing.assert_allclose(maps.affine("sE-1") @ (n, i, j, 1), conformed @ (first + n, i, j, 1), atol=1e-9)


def test_the_same_head_gets_the_same_maps_in_the_same_place_however_it_is_stored(
    tiny_run: MakeRun, scan: Volume
) -> None:
    run = tiny_run(epochs=1)
    wanted = drain(excite(scan, run, slab=6))
    affine = scan.affine[:, [2, 0, 1, 3]].copy()
    affine[:3, 3] += affine[:3, 1] * (scan.shape[0] - 1)
    affine[:3, 1] *= -1
    turned = drain(excite(Volume(scan.data[::-1].transpose(2, 0, 1), affine), run, slab=6))
    for site in wanted.sites:
        np.testing.assert_array_equal(turned[site], wanted[site])
        np.testing.assert_allclose(turned.affine(site), wanted.affine(site), atol=1e-9)


def test_a_store_holds_what_memory_holds_and_describes_itself(tiny_run: MakeRun, scan: Volume, tmp_path: Path) -> None:
    run = tiny_run(epochs=2)
    sites = ["first", "last", "sE-2", "cE-1"]
    wanted = drain(excite(scan, run, sites=sites, slab=7))
    path = tmp_path / "maps.zarr"
    maps = drain(excite(scan, run, sites=sites, slab=7, store=path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["maps.zarr", "runs"]
    for read in (maps, open_maps(path)):
        assert read.path == path
        assert (read.run_name, read.plane, read.epochs, read.losses) == ("tiny", "coronal", (1, 2), (1.0, 0.5))
        assert read.sites == wanted.sites == ("sE-1", "sD-2", "sE-2", "cE-1")
        assert read.records == wanted.records
        assert read.slices == wanted.slices
        for site in sites[2:]:
            assert read[site].dtype == np.uint8
            assert read[site].chunks == (1, 1, *read[site].shape[2:])
            np.testing.assert_array_equal(read[site][:], wanted[site])


def test_8_bit_steps_are_the_nearest(tiny_run: MakeRun, scan: Volume) -> None:
    run = tiny_run(epochs=1)
    exact, coarse = (drain(excite(scan, run, slab=3, dtype=dtype)) for dtype in ("float32", "uint8"))
    assert (exact.unit, coarse.unit) == (1, 255)
    np.testing.assert_array_equal(coarse["sE-1"], np.rint(exact["sE-1"] * 255))
    np.testing.assert_allclose(coarse.values("sE-1").compute(), exact.values("sE-1").compute(), atol=0.5001 / 255)


def test_the_events_tell_what_has_been_filled(tiny_run: MakeRun, scan: Volume) -> None:
    maps: ExcitationMaps | None = None
    done = 0
    for event in excite(scan, tiny_run(epochs=2), slab=5):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        if isinstance(event, MapsStarted):
            maps = event.maps
            assert not maps["sD-2"].any()
        elif isinstance(event, MapDone):
            assert maps is not None
            done += 1
            assert (event.done, event.total) == (done, 10)
            assert (event.epoch_index, event.slice_index) == divmod(done - 1, 5)
            assert maps["sD-2"][event.epoch_index, event.slice_index].any()
            assert np.count_nonzero(maps["sD-2"].any(axis=(2, 3))) >= done
        else:
            assert isinstance(event, Progress)
    assert done == 10


def test_a_slab_lies_around_the_region_or_where_it_is_put(tiny_run: MakeRun, scan: Volume) -> None:
    run = tiny_run(epochs=1)  # coronal: n is the volume's third axis, 27 slices of 0.8 mm, 22 at 1 mm
    count = len(Scan.of(scan, run.config).data)
    assert drain(excite(scan, run)).slices == (0, count)
    assert drain(excite(scan, run, slab=99)).slices == (0, count)
    at_start, at_end = (drain(excite(scan, run, slab=4, centre=c)).slices for c in (0, 26))
    assert {at_start, at_end} == {(0, 4), (count - 4, count)}
    middle = drain(excite(scan, run, slab=1, centre=13))
    world = middle.affine("sE-1") @ (0, 0, 0, 1) - scan.affine @ (0, 0, 13, 1)
    across = scan.affine[:3, 2] / np.linalg.norm(scan.affine[:3, 2])
    assert abs(world[:3] @ across) <= 0.5 + 1e-6
    location = drain(segment(scan, run)).location
    events: list[Event] = []
    first, last = drain(excite(scan, run, slab=6, location=location), events.append).slices
    assert last - first == 6
    assert first <= location.centre[0] < last
    assert not [event for event in events if isinstance(event, Progress | SliceDone)]  # no second coarse pass


def test_epochs_are_chosen(tiny_run: MakeRun, scan: Volume) -> None:
    run = tiny_run(epochs=3)
    assert drain(excite(scan, run, slab=1, epochs=[3, 1, "best"])).epochs == (3, 1)
    assert drain(excite(scan, run, slab=1, epochs="last")).epochs == (3,)


def test_what_is_not_there_is_refused(tiny_run: MakeRun, scan: Volume, tmp_path: Path) -> None:
    run = tiny_run(epochs=1)
    for error, match, options in (
        (RunError, "no epoch", {"epochs": [7]}),
        (RunError, "No epoch", {"epochs": []}),
        (RunError, "no site 'sX-1'", {"sites": ["sX-1"]}),
        (RunError, "No site", {"sites": []}),
        (InputError, "uint8 or float32", {"dtype": "int16"}),
        (InputError, "at least one slice", {"slab": 0}),
        (InputError, "middle of a slab", {"centre": 3}),
        (InputError, "0 to 26", {"slab": 3, "centre": 27}),
        (DeviceError, "Unknown device", {"device": "tpu"}),
    ):
        with pytest.raises(error, match=match):
            drain(excite(scan, run, store=tmp_path / "x.zarr", **options))
    with pytest.raises(RunError, match="no spatial gate"):
        drain(excite(scan, tiny_run(excitation="cse", name="channels"), sites=["first"]))
    with pytest.raises(RunError, match="no gates at all"):
        drain(excite(scan, tiny_run(excitation="none", name="plain")))
    with pytest.raises(InputError, match="constant"):
        drain(excite(Volume(np.zeros((4, 5, 6)), np.eye(4)), run))
    assert [p.name for p in tmp_path.iterdir()] == ["runs"]


@pytest.mark.parametrize("last", [Progress, MapsStarted, MapDone])
def test_cancelling_removes_what_was_written(
    tiny_run: MakeRun, scan: Volume, tmp_path: Path, last: type[Event]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    work = excite(scan, tiny_run(epochs=2), slab=5, store=out / "maps.zarr")
    for event in work:
        if isinstance(event, last):
            break
    assert len(list(out.iterdir())) == 1
    work.close()
    assert not list(out.iterdir())


def test_nothing_is_replaced(tiny_run: MakeRun, scan: Volume, tmp_path: Path) -> None:
    path = tmp_path / "maps.zarr"
    path.mkdir()
    (path / "precious").write_text("kept")
    with pytest.raises(InputError, match="exists already"):
        drain(excite(scan, tiny_run(), store=path))
    assert (path / "precious").read_text() == "kept"


def test_a_place_that_cannot_be_written_to_is_a_sentence(tiny_run: MakeRun, scan: Volume, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for parent in (tmp_path / "file", tmp_path / "missing"):
        with pytest.raises(InputError, match="Cannot write"):
            drain(excite(scan, tiny_run(), store=parent / "maps.zarr"))


def test_a_defect_on_the_way_leaves_nothing_behind(tiny_run: MakeRun, scan: Volume, tmp_path: Path) -> None:
    run = tiny_run(epochs=3)
    out = tmp_path / "out"
    out.mkdir()
    run.checkpoint(2).write_bytes(b"not weights")
    with pytest.raises(RunError, match="epoch-0002"):
        drain(excite(scan, run, slab=2, store=out / "maps.zarr"))
    assert not list(out.iterdir())
