"""Excitation maps as layers: the right numbers at the right place, epochs that read right, a caption that follows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_scse._napari.inputs import Anatomy, layer_input
from napari_scse._napari.maps import (
    EpochCaption,
    GateArray,
    is_map,
    map_layers,
    set_limits,
    show_epoch,
    show_limits,
    shown_epoch,
)
from napari_scse.events import drain
from napari_scse.exploration import ExcitationMaps, excite, open_maps
from napari_scse.runs import Run
from napari_scse.volume import Volume

# napari tells the user that it shows oblique scans without their tilt
pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing:UserWarning")


@pytest.fixture
def maps(scan: Volume, tiny_run: Callable[..., Run]) -> ExcitationMaps:
    """Maps of two sites and three epochs, one of them at half resolution."""
    return drain(excite(scan, tiny_run(excitation="sse"), sites=("sE-1", "sE-2"), dtype="float32"))


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
@pytest.mark.parametrize("unit", [1, 255])
def test_an_array_of_gates_is_indexed_like_any_other(axes: tuple[int, int, int], unit: int) -> None:
    stored = np.random.default_rng(0).integers(0, 255, (3, 4, 5, 6)).astype(np.uint8 if unit > 1 else np.float32)
    gates = GateArray(stored, axes, unit)
    whole = (stored / np.float32(unit)).transpose(0, *(axis + 1 for axis in axes))
    assert gates.shape == whole.shape
    assert len(gates) == 3
    assert np.allclose(np.asarray(gates), whole)
    keys = [
        *(1, (0, slice(None), 2), (slice(1, 3), 1, slice(None), -1), (..., 2), (2, ..., 1), (slice(None),) * 4),
        *((0, 1, 2, 3), np.s_[::2, :, ::-1], (np.array([0, 2]), 1)),
    ]
    for key in keys:
        assert np.allclose(gates[key], whole[key]), key
        assert gates[key].dtype == np.float32


def test_every_gate_is_shown_where_it_was_recorded(maps: ExcitationMaps) -> None:
    for (data, keywords, kind), site in zip(map_layers(maps, "T1 "), maps.sites, strict=True):
        layer = Image(data, **keywords)
        assert (kind, layer.name) == ("image", f"T1 {site}")
        assert layer.axis_labels == ("epoch", "z", "y", "x")
        assert is_map(layer)
        for index in ((0, 0, 0, 0), (2, 3, 4, 5)):
            epoch, *place = index
            world = maps.affine(site) @ (*place, 1)
            at = layer.world_to_data((maps.epochs[epoch], *world[2::-1]))
            assert np.isclose(data[tuple(round(float(i)) for i in at)], maps[site][index])


def test_limits_are_percentiles_or_the_whole_range(maps: ExcitationMaps) -> None:
    (data, keywords, _), _ = map_layers(maps)
    layer = Image(data, **keywords)
    assert layer.contrast_limits == pytest.approx(maps.limits("sE-1"))
    show_limits(layer, full_range=True)
    assert layer.contrast_limits == [0, 1]
    show_limits(layer, full_range=False)
    assert layer.contrast_limits == pytest.approx(maps.limits("sE-1"))
    set_limits(layer, (0.2, 0.4), full_range=False)
    assert layer.contrast_limits == pytest.approx((0.2, 0.4))
    show_limits(layer, full_range=True)
    show_limits(layer, full_range=False)
    assert layer.contrast_limits == pytest.approx((0.2, 0.4))


def test_what_is_not_computed_yet_is_not_shown(maps: ExcitationMaps) -> None:
    done = np.ones((3, maps["sE-1"].shape[1]), bool)
    done[1, 3] = False
    maps["sE-1"][0, 2] = 0  # a gate that is shut is a gate
    (data, keywords, _), _ = map_layers(maps, done=done)
    whole = np.asarray(data)
    assert np.isnan(whole[1]).sum() == maps["sE-1"][1, 3].size
    assert not np.isnan(whole[0]).any()
    assert np.count_nonzero(whole[0] == 0) == maps["sE-1"][0, 2].size
    assert keywords["contrast_limits"] == (0, 1)  # until something is known of it
    done[1, 3] = True
    assert not np.isnan(data[1]).any()  # it is seen at the next look


@pytest.mark.parametrize(
    ("epochs", "points"), [((1, 2, 3), (1, 2, 3)), ((1, 3), (1, 3)), ((3, 1), (0, 1)), ((2,), (2,))]
)
def test_the_epoch_axis_reads_the_epochs(
    scan: Volume, tiny_run: Callable[..., Run], epochs: tuple[int, ...], points: tuple[float, ...]
) -> None:
    maps = drain(excite(scan, tiny_run(excitation="sse"), sites=("sE-1",), epochs=epochs, slab=2))
    ((data, keywords, _),) = map_layers(maps)
    layer = Image(data, **keywords)
    assert [layer.data_to_world((i, 0, 0, 0))[0] for i in range(len(epochs))] == list(points)
    assert [shown_epoch(layer, (p, 0, 0, 0)) for p in points] == list(range(len(epochs)))


def test_the_caption_follows_the_slider(maps: ExcitationMaps) -> None:
    viewer = ViewerModel()
    caption = EpochCaption(viewer)
    assert not caption.text
    for data, keywords, _ in map_layers(maps):
        viewer.add_image(data, **keywords)
    overlay = viewer.canvas.overlays["scse_bottom_left"]
    for step, text in enumerate(("epoch 1 · loss 1", "epoch 2 · loss 0.5", "epoch 3 · loss 0.333")):
        viewer.dims.set_current_step(0, step)
        assert (overlay.text, overlay.visible) == (text, True)
    viewer.layers.clear()
    assert not overlay.visible
    caption.close()
    assert "scse_bottom_left" not in viewer.canvas.overlays


def test_maps_of_one_epoch_have_no_caption(maps: ExcitationMaps) -> None:
    viewer = ViewerModel()
    caption = EpochCaption(viewer)
    (data, keywords, _), _ = map_layers(maps)
    viewer.add_image(data, **keywords)
    viewer.add_image(np.asarray(data[0]), metadata=keywords["metadata"])  # as napari's "Split Stack" makes it
    viewer.dims.set_current_step(0, 2)
    viewer.dims.set_current_step(1, 3)
    assert caption.text == "epoch 3 · loss 0.333"
    viewer.layers.pop(0)
    assert caption.text == ""
    caption.close()


def test_an_epoch_is_found_beside_other_axes(scan: Volume, tiny_run: Callable[..., Run]) -> None:
    maps = drain(excite(scan, tiny_run(excitation="sse"), sites=("sE-1",), epochs=(1, 3), slab=2))
    viewer = ViewerModel()
    viewer.add_image(np.zeros((9, 3, 3, 3)))  # a time series, from 0 on
    ((data, keywords, _),) = map_layers(maps)
    layer = viewer.add_image(data, **keywords)
    for index in (1, 0):
        show_epoch(viewer, layer, index)
        assert viewer.dims.point[0] == maps.epochs[index]
        assert shown_epoch(layer, viewer.dims.point) == index


def test_maps_of_a_layer_without_anatomy_lie_over_that_layer(scan: Volume, tiny_run: Callable[..., Run]) -> None:
    layer = Image(scan.data, scale=(2, 1, 1), translate=(50, 0, -20))
    source = layer_input(layer, (0, 0, 0), Anatomy("PIR", (1.0, 1.3, 0.8)))
    maps = drain(excite(source.volume(), tiny_run(excitation="sse"), sites=("sE-1",), epochs=[1], dtype="float32"))
    ((data, keywords, _),) = map_layers(maps, source=source)
    over = Image(data, **keywords)
    index = np.array((3, 4, 5, 1.0))
    anatomical = source.grid.display @ index  # where the user says this voxel is
    shown = np.asarray(layer.data_to_world(index[:3]))
    at = np.linalg.inv(maps.affine("sE-1")) @ (*anatomical[2::-1], 1)
    there = over.world_to_data((1, *shown))
    assert np.allclose(sorted(there[1:]), sorted(at[:3]))
    assert np.linalg.norm(np.asarray(over.extent.world)[:, 1:].mean(0) - layer.extent.world.mean(0)) < 2


def test_a_store_is_read_as_layers(scan: Volume, tiny_run: Callable[..., Run], tmp_path: Path) -> None:
    store = tmp_path / "gates.zarr"
    maps = drain(excite(scan, tiny_run(), sites=("sE-1", "cE-1", "sD-2"), store=store))
    layers = map_layers(open_maps(store))
    assert [keywords["name"] for _, keywords, _ in layers] == ["sE-1", "sD-2"]  # channel gates have no picture
    data, keywords, _ = layers[0]
    axes = keywords["metadata"]["napari-scse"]["grid"]["axes"]
    recorded = np.asarray(maps["sE-1"][0]).transpose(axes) / np.float32(maps.unit)
    np.testing.assert_array_equal(np.asarray(data)[0], recorded)


def test_volumes_that_somebody_holds_are_not_written_to_again() -> None:
    stored = np.arange(4 * 105 * 100 * 100, dtype=np.float32).reshape(4, 105, 100, 100)
    gates = GateArray(stored, (1, 0, 2))
    volumes = [gates[epoch] for epoch in range(4)]
    part = gates[0][1:]
    gates[1], gates[2], gates[3]
    for epoch, volume in enumerate(volumes):
        np.testing.assert_array_equal(volume, stored[epoch].transpose(1, 0, 2))
    np.testing.assert_array_equal(part, stored[0].transpose(1, 0, 2)[1:])
    places = {gates[epoch].__array_interface__["data"][0] for epoch in range(4)}
    assert len(places) == 1  # nobody held them
    gates[0, :, 3]  # a slice leaves them there
    assert gates[0].__array_interface__["data"][0] in places
