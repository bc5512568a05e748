"""The head stands upright, and the letters say where left is."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from napari.layers.utils.stack_utils import stack_to_images

from napari_scse._napari.layers import volume_layer
from napari_scse._napari.view import (
    Compass,
    Convention,
    edge_letters,
    erase,
    knows_anatomy,
    show_plane,
    shown_convention,
    shown_plane,
    stand_upright,
    write,
)
from napari_scse.slices import Plane
from napari_scse.volume import Volume

LIA = np.array([[-1.0, 0, 0, 9], [0, 0, 1, -7], [0, -1, 0, 4], [0, 0, 0, 1]])


@pytest.fixture
def viewer() -> ViewerModel:
    """A viewer with an anatomical scan."""
    viewer = ViewerModel()
    data, keywords, _ = volume_layer(Volume(np.zeros((5, 6, 7), np.uint8), LIA), "scan")
    viewer.add_image(data, **keywords)
    return viewer


@pytest.mark.parametrize("plane", Plane)
@pytest.mark.parametrize("epochs", [False, True])
def test_planes(viewer: ViewerModel, plane: Plane, epochs: bool) -> None:
    if epochs:
        viewer.add_image(np.zeros((2, 3, 4, 5)))
    show_plane(viewer, plane)
    assert shown_plane(viewer) is plane
    sliced = {Plane.CORONAL: "y", Plane.AXIAL: "z", Plane.SAGITTAL: "x"}[plane]
    labels = [("epoch", "z", "y", "x")[-viewer.dims.ndim :][axis] for axis in viewer.dims.order]
    assert labels[-3] == sliced
    viewer.dims.ndisplay = 3
    assert shown_plane(viewer) is None


def test_conventions(viewer: ViewerModel) -> None:
    assert shown_convention(viewer) is None  # napari's axes point down
    for convention in Convention:
        stand_upright(viewer, convention)
        assert shown_convention(viewer) is convention
        assert "right is on the" in convention.sentence


@pytest.mark.parametrize(
    ("plane", "convention", "letters"),
    [
        (Plane.CORONAL, Convention.RADIOLOGICAL, ("R", "L")),
        (Plane.AXIAL, Convention.NEUROLOGICAL, ("L", "R")),
        (Plane.SAGITTAL, Convention.NEUROLOGICAL, ("P", "A")),
        (Plane.SAGITTAL, Convention.RADIOLOGICAL, ("A", "P")),
    ],
)
def test_letters(viewer: ViewerModel, plane: Plane, convention: Convention, letters: tuple[str, str]) -> None:
    show_plane(viewer, plane)
    stand_upright(viewer, convention)
    assert edge_letters(viewer) == letters
    viewer.dims.ndisplay = 3
    assert edge_letters(viewer) == ("", "")


def test_the_compass_follows_and_goes(viewer: ViewerModel) -> None:
    assert not Compass.is_on(viewer)
    compass = Compass(viewer)
    assert Compass.is_on(viewer)
    show_plane(viewer, Plane.CORONAL)
    stand_upright(viewer, Convention.RADIOLOGICAL)
    left = viewer.canvas.overlays["scse_middle_left"]
    assert (left.text, left.visible) == ("R", True)
    stand_upright(viewer, Convention.NEUROLOGICAL)
    assert left.text == "L"
    compass.close()
    assert not Compass.is_on(viewer)
    stand_upright(viewer, Convention.RADIOLOGICAL)
    assert not Compass.is_on(viewer)


def test_there_are_no_letters_where_left_is_not_known(viewer: ViewerModel) -> None:
    compass = Compass(viewer)
    stand_upright(viewer, Convention.RADIOLOGICAL)
    plain = viewer.add_image(np.zeros((4, 5, 6)))
    left = viewer.canvas.overlays["scse_middle_left"]
    assert not left.visible
    viewer.layers.remove(plain)
    assert left.visible
    compass.close()


def test_there_are_no_letters_over_a_frame_that_was_split_off(viewer: ViewerModel) -> None:
    (scan,) = viewer.layers
    series = Image(np.stack([scan.data, scan.data]), scale=(1, *scan.scale), metadata=scan.metadata)
    viewer.layers.remove(scan)
    viewer.layers.extend(stack_to_images(series, 0))
    stand_upright(viewer, Convention.RADIOLOGICAL)
    assert not knows_anatomy(viewer)  # napari shows it as it lies in memory


def test_two_axes_have_no_plane() -> None:
    viewer = ViewerModel()
    show_plane(viewer, Plane.AXIAL)
    assert shown_plane(viewer) is None
    assert edge_letters(viewer) == ("", "")
    write(viewer, "top_left", "a")
    erase(viewer, "top_left")
    erase(viewer, "top_left")
    assert "scse_top_left" not in viewer.canvas.overlays
