"""Grids as layers and back: exact, sliced right, never flipped."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.layers.utils.stack_utils import stack_to_images

from napari_scse._napari.inputs import layer_input
from napari_scse._napari.layers import (
    METADATA_KEY,
    Grid,
    contrast_limits,
    grid_of,
    layer_affine,
    layer_volume,
    lead,
    native,
    volume_layer,
    world_affine,
)
from napari_scse.errors import SpaceError
from napari_scse.volume import Volume

# napari tells the user that it shows oblique scans without their tilt
pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing:UserWarning")

SPACING = (0.9, 1.3, 2.1)


def affines() -> list[np.ndarray]:
    """All 48 orientations of an anisotropic grid."""
    found = []
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        matrix = np.eye(4)
        matrix[:3, :3] = np.eye(3)[:, order] * signs * np.asarray(SPACING)
        matrix[:3, 3] = (11, -7, 3.5)
        found.append(matrix)
    return found


def numbered(affine: np.ndarray, shape: tuple[int, int, int] = (5, 6, 7)) -> Volume:
    return Volume(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), affine)


def shown(layer: Image) -> np.ndarray:
    """The slice napari shows of `layer`."""
    return np.asarray(layer._slice.image.raw)


@pytest.mark.parametrize("affine", affines(), ids=lambda a: Volume(np.zeros((2, 2, 2)), a).orientation)
def test_every_voxel_is_shown_where_it_is(affine: np.ndarray) -> None:
    volume = numbered(affine)
    data, keywords, kind = volume_layer(volume, "scan")
    layer = Image(data, **keywords)
    assert kind == "image"
    assert np.shares_memory(data, volume.data)
    for index in ((0, 0, 0), (4, 5, 6), (1, 3, 2)):
        world = affine @ (*index, 1)
        z, y, x = (round(float(i)) for i in layer.world_to_data(world[2::-1]))
        assert data[z, y, x] == volume.data[index]
        assert np.allclose(layer.data_to_world((z, y, x)), world[2::-1])


@pytest.mark.parametrize("affine", affines()[::5], ids=lambda a: Volume(np.zeros((2, 2, 2)), a).orientation)
def test_two_dimensional_slices_are_right(affine: np.ndarray) -> None:
    volume = numbered(affine)
    data, keywords, _ = volume_layer(volume, "scan")
    viewer = ViewerModel()
    layer = viewer.add_image(data, **keywords)
    index = np.array((3, 2, 4))
    for axis in range(3):
        viewer.dims.order = (axis, *(a for a in range(3) if a != axis))
        viewer.dims.point = (affine @ (*index, 1))[2::-1]
        where = tuple(round(float(i)) for i in layer.world_to_data(viewer.dims.point))
        wanted = np.take(data, where[axis], axis)
        assert np.array_equal(shown(layer), wanted)
        assert volume.data[tuple(index)] in wanted


def test_the_layer_tells_voxel_size_units_and_axes(scan: Volume) -> None:
    data, keywords, _ = volume_layer(scan, "scan")
    layer = Image(data, **keywords)
    assert layer.axis_labels == ("z", "y", "x")
    assert [f"{unit:~}" for unit in layer.units] == ["mm"] * 3
    assert np.allclose(sorted(layer.scale), sorted(scan.spacing))
    steps = np.asarray(layer.data_to_world((1, 0, 0))) - layer.data_to_world((0, 0, 0))
    assert np.isclose(np.linalg.norm(steps), layer.scale[0])


def test_an_oblique_grid_comes_back_exactly(scan: Volume) -> None:
    data, keywords, _ = volume_layer(scan, "scan")
    grid = grid_of(Image(data, **keywords), data.shape)
    assert grid is not None
    back = layer_volume(data, grid)
    assert np.array_equal(back.affine, scan.affine)
    assert np.array_equal(back.data, scan.data)


def test_a_moved_layer_lies_where_it_was_moved(scan: Volume) -> None:
    data, keywords, _ = volume_layer(scan, "scan")
    layer = Image(data, **keywords)
    layer.translate = (5.0, 0.0, -2.0)  # in (S, A, R)
    moved = grid_of(layer, data.shape)
    assert moved is not None
    shift = world_affine(layer)[:3, 3] - Grid.of(scan).display[:3, 3]
    assert np.linalg.norm(shift) > 5
    assert np.allclose(moved.display, world_affine(layer))
    assert np.allclose(moved.affine[:3, 3] - scan.affine[:3, 3], shift[::-1])


@pytest.mark.parametrize("affine", affines()[::5], ids=lambda a: Volume(np.zeros((2, 2, 2)), a).orientation)
def test_a_frame_that_napari_splits_off_keeps_its_anatomy(affine: np.ndarray) -> None:
    volume = numbered(affine)
    data, keywords, _ = volume_layer(volume, "scan")
    grid = Grid.of(volume)
    series = Image(np.stack([data, data]), **lead(grid.transforms(), "t"), metadata=keywords["metadata"])
    frame = stack_to_images(series, 0)[1]
    kept = grid_of(frame, data.shape)
    assert kept is not None
    assert np.array_equal(kept.affine, affine)
    source = layer_input(frame, (0.0, 0.0, 0.0))
    assert source.volume().orientation == volume.orientation
    assert np.array_equal(source.volume().data, volume.data)
    over = Labels(source.overlay(np.zeros(volume.shape, np.uint8)), **source.transforms)
    assert np.allclose(layer_affine(over), layer_affine(frame))  # the labels lie over it


def test_a_remembered_grid_of_another_shape_is_forgotten(scan: Volume) -> None:
    data, keywords, _ = volume_layer(scan, "scan")
    layer = Labels(np.zeros(data[1:].shape, np.uint8), metadata=keywords["metadata"])
    assert grid_of(layer, layer.data.shape) is None
    with pytest.raises(SpaceError, match="does not lie on a grid"):
        layer_volume(np.zeros((1, 2, 3)), Grid.of(scan))


def test_metadata_are_plain(scan: Volume) -> None:
    import json

    metadata = Grid.of(scan).to_metadata()
    assert json.loads(json.dumps(metadata)) == metadata
    assert list(metadata) == [METADATA_KEY]


def test_a_leading_axis_leaves_space_alone(scan: Volume) -> None:
    data, keywords, _ = volume_layer(scan, "scan")
    placed = lead(Grid.of(scan).transforms(), "epoch", 3.0, 2.0)
    layer = Image(np.stack([data] * 2), **placed)
    flat = Image(data, **keywords)
    assert layer.axis_labels == ("epoch", "z", "y", "x")
    assert np.allclose(layer.data_to_world((1, 2, 3, 4)), (5.0, *flat.data_to_world((2, 3, 4))))
    assert np.allclose(layer_affine(layer), layer_affine(flat))


def test_micrometres_are_understood() -> None:
    layer = Image(np.zeros((2, 3, 4)), scale=(500, 1000, 2000), units=("um",) * 3)
    assert np.allclose(np.diag(world_affine(layer)), (0.5, 1, 2, 1))
    flat = Image(np.zeros((3, 4)), scale=(2, 3))
    assert np.allclose(np.diag(world_affine(flat)), (1, 2, 3, 1))


def test_contrast_limits_cope_with_anything() -> None:
    ramp = np.linspace(0, 100, 4096, dtype=">f4").reshape(16, 16, 16)
    low, high = contrast_limits(ramp)
    assert 0 < low < 2
    assert 99 < high <= 100
    assert contrast_limits(np.full((3, 3, 3), np.nan)) == (0.0, 1.0)
    assert contrast_limits(np.full((3, 3, 3), 7)) == (7.0, 8.0)
    spike = np.zeros((20, 20, 20))
    spike[0, 0, 0] = 3
    assert contrast_limits(spike) == (0.0, 3.0)
    assert native(ramp).dtype.isnative
    assert np.array_equal(native(ramp), ramp)


def test_units_survive_other_layers(scan: Volume) -> None:
    data, keywords, _ = volume_layer(scan, "scan")
    viewer = ViewerModel()
    viewer.add_image(data, **keywords)
    viewer.add_image(np.stack([data] * 2), **lead(Grid.of(scan).transforms(), "epoch"))
    assert viewer.dims.axis_labels == ("epoch", "z", "y", "x")
    assert viewer.layers.units is not None
    assert f"{viewer.layers.units[-1]:~}" == "mm"
