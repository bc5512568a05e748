"""Any image layer as input: frames, slices, pyramids, lazy arrays; what is refused; what is assumed."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from napari.layers import Image

from napari_scse._napari.inputs import Anatomy, anatomical_grid, assumed_anatomy, layer_input, refuse
from napari_scse._napari.layers import Grid, lead, volume_layer
from napari_scse.errors import InputError
from napari_scse.slices import Plane
from napari_scse.volume import Volume

# napari tells the user that it shows oblique scans without their tilt
pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing:UserWarning")

RAMP = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
HERE = (0.0, 0.0, 0.0)


def image(volume: Volume) -> Image:
    data, keywords, _ = volume_layer(volume, "scan")
    return Image(data, **keywords)


def test_an_anatomical_layer_is_read_as_it_was_written(scan: Volume) -> None:
    source = layer_input(image(scan), HERE)
    volume = source.volume()
    assert np.array_equal(volume.data, scan.data)
    assert np.array_equal(volume.affine, scan.affine)
    assert np.array_equal(source.to_shown, np.eye(4))
    labels = np.zeros(scan.shape, np.uint8)
    over = source.overlay(labels)
    assert over.shape == image(scan).data.shape
    assert np.shares_memory(over, labels)


@pytest.mark.parametrize("kind", ["dask", "zarr", "pyramid", "bool", "int64", "big-endian"])
def test_arrays_of_every_kind(kind: str) -> None:
    made = {
        "dask": lambda: da.from_array(RAMP, chunks=(1, 5, 6)),
        "zarr": lambda: zarr.array(RAMP),
        "pyramid": lambda: [RAMP, RAMP[::2, ::2, ::2]],
        "bool": lambda: RAMP > 7,
        "int64": lambda: RAMP.astype(np.int64),
        "big-endian": lambda: RAMP.astype(">f4"),
    }[kind]()
    layer = Image(made, scale=(2, 1, 1.5), multiscale=kind == "pyramid", contrast_limits=(0, 100))
    source = layer_input(layer, HERE, Anatomy("SAR", (2.0, 1.0, 1.5)))
    volume = source.volume()
    assert volume.shape == (6, 5, 4)
    assert volume.orientation == "RAS"
    assert volume.spacing == pytest.approx((1.5, 1, 2))
    assert np.array_equal(volume.data, (RAMP > 7 if kind == "bool" else RAMP).T)


def test_the_frame_at_the_slider_is_taken(scan: Volume) -> None:
    data, keywords, _ = volume_layer(scan, "scan")
    series = np.stack([data, data + 1000, data - 1000])
    layer = Image(series, **lead(Grid.of(scan).transforms(), "t", 10, 5), metadata=keywords["metadata"])
    for frame in range(3):
        source = layer_input(layer, (10.0 + 5 * frame + 1, 0, 0, 0))
        assert source.frame == frame
        assert np.array_equal(source.volume().data, scan.data + (0, 1000, -1000)[frame])
        assert np.array_equal(source.volume().affine, scan.affine)
    assert layer_input(layer, (99.0, 0, 0, 0)).frame == 2
    over = Image(source.overlay(np.zeros(scan.shape)), **source.transforms)
    assert np.allclose(over.data_to_world((1, 2, 3)), layer.data_to_world((0, 1, 2, 3))[1:])
    assert over.axis_labels == ("z", "y", "x")


def test_a_slice_is_a_volume_of_one_slice() -> None:
    layer = Image(RAMP[0], scale=(0.7, 0.8), translate=(3, 4))
    anatomy = assumed_anatomy(layer, through=2.0)
    assert anatomy == Anatomy("AIL", (2.0, 0.7, 0.8))
    source = layer_input(layer, (0.0, 0.0), anatomy)
    volume = source.volume()
    assert volume.shape == (6, 5, 1)
    assert volume.orientation == "LIA"
    assert volume.spacing == pytest.approx((0.8, 0.7, 2.0))
    labels = np.arange(30, dtype=np.uint8).reshape(6, 5, 1)
    assert np.array_equal(source.overlay(labels), labels[:, :, 0].T)
    over = Image(source.overlay(labels), **source.transforms)
    assert np.allclose(over.data_to_world((2, 3)), layer.data_to_world((2, 3)))
    source.require_plane(Plane.CORONAL)
    with pytest.raises(InputError, match="taken for coronal and the run reads axial"):
        source.require_plane(Plane.AXIAL)


def test_what_is_assumed_follows_the_layers_transform() -> None:
    plain = Image(RAMP, scale=(3, 1, 2))
    assert anatomical_grid(plain) is None
    assert assumed_anatomy(plain) == Anatomy("SAR", (3.0, 1.0, 2.0))
    flipped = Image(RAMP, affine=np.diag([-3.0, 1, -2, 1]))
    assert assumed_anatomy(flipped) == Anatomy("IAL", (3.0, 1.0, 2.0))


def test_what_the_user_says_of_the_anatomy_holds() -> None:
    layer = Image(RAMP)
    source = layer_input(layer, HERE, Anatomy("PSL", (2.0, 0.5, 0.5)))
    volume = source.volume()
    assert volume.orientation == "LSP"
    assert volume.spacing == pytest.approx((0.5, 0.5, 2.0))
    assert source.grid.assumed
    assert source.axis_through(Plane.CORONAL) == 0
    assert source.axis_through(Plane.AXIAL) == 1
    assert source.axis_through(Plane.SAGITTAL) == 2
    world = source.to_shown @ source.grid.display @ (1, 2, 3, 1)
    assert np.allclose(world[:3], layer.data_to_world((1, 2, 3)))


@pytest.mark.parametrize("orientation", ["SAX", "SSR", "SA", "SIR", "sar"])
def test_impossible_orientations(orientation: str) -> None:
    with pytest.raises(InputError, match="one letter each"):
        Anatomy(orientation, (1, 1, 1))


@pytest.mark.parametrize("spacing", [(0, 1, 1), (1, -1, 1), (1, 1, float("nan")), (1, 1, 5000)])
def test_impossible_spacings(spacing: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="between 0 and 1000 mm"):
        Anatomy("SAR", spacing)


@pytest.mark.parametrize(
    ("layer", "advice"),
    [
        (Image(np.zeros((4, 5, 3), np.uint8), rgb=True, name="photo"), "Split RGB"),
        (Image(np.zeros((2, 4, 5, 6)), axis_labels=("Channel", "z", "y", "x"), name="stained"), "Split Stack"),
        (Image(np.zeros((2, 4, 5)), axis_labels=("c", "y", "x"), name="stained"), "Split Stack"),
        (Image(np.zeros((2, 2, 4, 5, 6)), name="big"), "5 axes"),
        (Image(np.zeros((4, 5, 6)), metadata={"napari-scse": {"maps": {}}}, name="gate"), "excitation maps"),
    ],
)
def test_what_is_refused_says_what_to_do(layer: Image, advice: str) -> None:
    refusal = refuse(layer)
    assert refusal is not None
    assert len(refusal.brief.split()) < 4
    assert layer.name in refusal.sentence
    assert advice in refusal.sentence
    with pytest.raises(InputError, match=advice):
        layer_input(layer, tuple(np.zeros(layer.ndim)))


def test_the_slider_of_a_viewer_with_fewer_axes_is_enough() -> None:
    viewer = ViewerModel()
    viewer.add_image(RAMP)
    source = layer_input(Image(np.stack([RAMP] * 2)), tuple(viewer.dims.point))
    assert source.frame == 0


@pytest.mark.parametrize("scale", [(1.06e-7,) * 3, (1, 2000, 1)])
def test_voxels_of_an_absurd_size_are_refused_with_a_sentence(scale: tuple[float, ...]) -> None:
    why = refuse(Image(np.zeros((3, 4, 5), np.float32), scale=scale, name="map"))
    assert why is not None
    assert why.brief == "voxel size"
    assert "“map” has voxels of" in why.sentence
