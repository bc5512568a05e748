"""Where the user looks is found in any orientation of the scan, and so is what is on screen."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_scse._napari.inputs import Anatomy, layer_input
from napari_scse._napari.layers import Grid, lead, volume_layer
from napari_scse._napari.looking import Front, box_of_shapes, plane_on_screen, shown_point, shown_slice, slab
from napari_scse._napari.view import show_plane
from napari_scse.errors import InputError
from napari_scse.slices import Plane, cut
from napari_scse.volume import Volume


def turned(order: tuple[int, ...], flips: tuple[bool, ...]) -> Volume:
    """A scan whose axes point anywhere, 1.1 x 0.7 x 2.0 mm."""
    steps = np.diag([1.1 * (-1) ** flips[0], 0.7 * (-1) ** flips[1], 2.0 * (-1) ** flips[2]])[:, order]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = steps, (3.0, -20.0, 11.0)
    return Volume(np.random.default_rng(0).random((12, 14, 9), np.float32), affine)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True)])
def test_the_slice_on_screen_is_the_one_that_napari_shows(order: tuple[int, ...], flips: tuple[bool, ...]) -> None:
    volume = turned(order, flips)
    viewer = ViewerModel()
    data, keywords, _ = volume_layer(volume, "scan")
    layer = viewer.add_image(data, **keywords)
    source = layer_input(layer, tuple(viewer.dims.point))
    for plane in Plane:
        show_plane(viewer, plane)
        viewer.dims.set_current_step(viewer.dims.order[0], 3)
        shown = shown_slice(viewer, source)
        point = shown_point(viewer, source)
        assert shown is not None
        assert point is not None
        geometry = cut(volume, plane).geometry
        axis = geometry.axes[0]
        assert [stop - start for start, stop in zip(shown.start, shown.stop, strict=True)] == [
            1 if n == axis else size for n, size in enumerate(volume.shape)
        ]
        box = tuple(slice(start, stop) for start, stop in zip(shown.start, shown.stop, strict=True))
        np.testing.assert_array_equal(np.sort(volume.data[box].ravel()), np.sort(layer._slice.image.raw.ravel()))
        number = (np.linalg.inv(geometry.stack_affine) @ (*point, 1))[0]
        assert geometry.number(shown.start[axis]) == pytest.approx(number, abs=1e-6)
        thick = slab(viewer, source, 2.2)
        assert thick is not None
        reach = int(2.2 / volume.spacing[axis])
        assert (thick.start[axis], thick.stop[axis]) == (
            max(0, shown.start[axis] - reach),
            min(volume.shape[axis], shown.stop[axis] + reach),
        )
    viewer.dims.ndisplay = 3
    assert shown_slice(viewer, source) is None


def test_a_flat_shape_goes_through_the_scan_and_several_make_a_box() -> None:
    volume = turned((0, 2, 1), (True, False, False))
    viewer = ViewerModel()
    data, keywords, _ = volume_layer(volume, "scan")
    layer = viewer.add_image(data, **keywords)
    source = layer_input(layer, tuple(viewer.dims.point))
    with pytest.raises(InputError, match="draw a rectangle"):
        box_of_shapes(viewer, source)
    place = {name: keywords[name] for name in ("scale", "affine", "units", "axis_labels")}
    rectangle = np.array([[2, 3, 4], [2, 3, 8], [2, 7, 8], [2, 7, 4]])  # (z, y, x) of the layer
    shapes = viewer.add_shapes([rectangle, rectangle + np.array([5, 0, 1])], **place)
    shapes.selected_data = {0}
    axes = source.grid.axes
    found = box_of_shapes(viewer, source)
    assert [(found.start[axis], found.stop[axis]) for axis in axes] == [(0, data.shape[0]), (3, 8), (4, 9)]
    shapes.selected_data = set()
    both = box_of_shapes(viewer, source)
    assert [(both.start[axis], both.stop[axis]) for axis in axes] == [(2, 8), (3, 8), (4, 10)]


def test_the_plane_on_screen_is_that_of_the_anatomy_that_is_assumed() -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(np.arange(60.0).reshape(3, 4, 5))
    source = layer_input(layer, tuple(viewer.dims.point), Anatomy("ASR", (1, 1, 1)))
    assert plane_on_screen(viewer, source) is Plane.CORONAL
    viewer.dims.order = (1, 0, 2)
    assert plane_on_screen(viewer, source) is Plane.AXIAL
    viewer.dims.ndisplay = 3
    assert plane_on_screen(viewer, source) is None


def test_a_front_follows_the_sliders_until_it_is_closed() -> None:
    viewer = ViewerModel()
    data, keywords, _ = volume_layer(turned((0, 1, 2), (False, False, False)), "scan")
    layer = viewer.add_image(data, **keywords)
    moves: list[int] = []

    class Owner:
        def moved(self) -> None:
            moves.append(1)

    front = Front(viewer, Owner().moved)
    assert front.point is None
    front.look_at(layer_input(layer, tuple(viewer.dims.point)))
    before, shown = front.point, front.slice
    viewer.dims.set_current_step(0, 1)
    assert front.point != before
    assert front.slice != shown
    assert front.plane is Plane.AXIAL
    count = len(moves)
    front.close()
    viewer.dims.set_current_step(0, 4)
    assert len(moves) == count


def test_a_front_hears_of_another_frame() -> None:
    viewer = ViewerModel()
    scan = turned((0, 1, 2), (False, False, False))
    data, keywords, _ = volume_layer(scan, "scan")
    placed = lead(Grid.of(scan).transforms(), "t")
    layer = viewer.add_image(np.stack([data, data, data]), **placed, metadata=keywords["metadata"])
    frames: list[int | None] = []

    class Owner:
        def moved(self) -> None:
            frames.append(layer_input(layer, tuple(viewer.dims.point)).frame)

    owner = Owner()
    front = Front(viewer, owner.moved)
    viewer.dims.set_current_step(0, 0)
    front.look_at(layer_input(layer, tuple(viewer.dims.point)))
    viewer.dims.set_current_step(0, 2)
    assert frames == [0, 2]
    front.close()
