"""Reader, writer, sample data and manifest: what napari reads it writes back exactly."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import nibabel
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from npe2 import PluginManager, PluginManifest, io_utils

from napari_scse import images
from napari_scse._napari.reader import get_maps_reader, read_volumes
from napari_scse._napari.sample import mni152, open_mni152
from napari_scse._napari.writer import write_image_layer, write_labels_layer
from napari_scse.errors import InputError
from napari_scse.events import drain
from napari_scse.exploration import excite
from napari_scse.runs import Run
from napari_scse.volume import LabelVolume, Volume, same_grid

# napari tells the user that it shows oblique scans without their tilt
pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing:UserWarning")

LIA = np.array([[-1.0, 0, 0, 12], [0, 0, 1, -7], [0, -1, 0, 4], [0, 0, 0, 1]])


def round_trip(source: Path, target: Path) -> Layer:
    """Open `source` as napari does and save the layer as `target`."""
    ((data, keywords, kind),) = read_volumes(str(source))
    layer = Layer.create(data, keywords, kind)
    write = write_labels_layer if kind == "labels" else write_image_layer
    assert write(str(target), *layer.as_layer_data_tuple()[:2]) == [str(target)]
    return layer


@pytest.mark.parametrize("suffix", list(images.SUFFIXES))
@pytest.mark.parametrize("oblique", [False, True], ids=["LIA", "oblique"])
def test_an_image_comes_back_exactly(scan: Volume, tmp_path: Path, suffix: str, oblique: bool) -> None:
    volume = Volume((scan.data * 10).astype(np.int16), scan.affine if oblique else LIA)
    images.write(tmp_path / f"a{suffix}", volume)
    layer = round_trip(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    first, second = images.read(tmp_path / f"a{suffix}"), images.read(tmp_path / f"b{suffix}")
    assert isinstance(layer, Image)
    assert layer.name == "a"
    assert np.array_equal(second.data, volume.data)
    assert np.array_equal(first.affine, second.affine)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mgz"])
def test_labels_come_back_exactly(labels: LabelVolume, tmp_path: Path, suffix: str) -> None:
    images.write_labels(tmp_path / f"aseg{suffix}", labels)
    layer = round_trip(tmp_path / f"aseg{suffix}", tmp_path / f"out{suffix}")
    assert isinstance(layer, Labels)
    assert layer.features["name"].tolist()[1] == "Left-Cerebral-White-Matter"
    back = images.read_labels(tmp_path / f"out{suffix}")
    assert np.array_equal(back.data, labels.data)
    assert same_grid(back, images.read(tmp_path / f"aseg{suffix}"), 1e-6)


@pytest.mark.parametrize("name", ["scan", "aseg"])
def test_both_forms_come_back_unless_the_layer_was_moved(labels: LabelVolume, tmp_path: Path, name: str) -> None:
    image = nibabel.Nifti1Image(labels.data, LIA)
    image.set_qform(np.diag([-1.0, 2, 1, 1]), code=1)
    image.to_filename(tmp_path / f"{name}.nii")
    layer = round_trip(tmp_path / f"{name}.nii", tmp_path / "out.nii")
    assert images.read(tmp_path / "out.nii").forms == images.read(tmp_path / f"{name}.nii").forms
    layer.translate = (5, 0, 0)
    write = write_labels_layer if name == "aseg" else write_image_layer
    write(str(tmp_path / "moved.nii"), *layer.as_layer_data_tuple()[:2])
    np.testing.assert_allclose(nibabel.load(tmp_path / "moved.nii").get_qform()[:3, 3], (12, -7, 4 - 5))


def test_labels_of_ours_are_known_by_their_header_whatever_their_name(labels: LabelVolume, tmp_path: Path) -> None:
    images.write_labels(tmp_path / "sub-02.nii.gz", labels)
    ((data, _, kind),) = read_volumes(str(tmp_path / "sub-02.nii.gz"))
    assert kind == "labels"
    assert set(np.unique(data)) == set(np.unique(labels.data))


def test_a_name_without_suffix_becomes_a_nifti_file_and_replaces_none(labels: LabelVolume, tmp_path: Path) -> None:
    images.write_labels(tmp_path / "aseg.mgz", labels)
    ((data, keywords, kind),) = read_volumes(str(tmp_path / "aseg.mgz"))
    layer = Layer.create(data, keywords, kind).as_layer_data_tuple()[:2]
    assert write_labels_layer(str(tmp_path / "brain.v2"), *layer) == [str(tmp_path / "brain.v2.nii.gz")]
    assert np.array_equal(images.read_labels(tmp_path / "brain.v2.nii.gz").data, labels.data)
    with pytest.raises(InputError, match="is there already"):
        write_labels_layer(str(tmp_path / "brain.v2"), *layer)


def test_a_name_that_promises_labels_is_not_believed(scan: Volume, tmp_path: Path) -> None:
    images.write(tmp_path / "t1_seg.nii", Volume(scan.data + 0.5, scan.affine))
    ((_, _, kind),) = read_volumes(str(tmp_path / "t1_seg.nii"))
    assert kind == "image"


def test_files_of_a_list_are_layers(scan: Volume, tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("a.nii", "b.mgz")]
    for path in paths:
        images.write(path, scan)
    assert [keywords["name"] for _, keywords, _ in read_volumes(paths)] == ["a", "b"]


def test_a_series_keeps_its_frames(scan: Volume, tmp_path: Path) -> None:
    frames = np.stack([scan.data, scan.data + 100], -1).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(frames, scan.affine), tmp_path / "bold.nii.gz")
    ((data, keywords, kind),) = read_volumes(str(tmp_path / "bold.nii.gz"))
    layer = Layer.create(data, keywords, kind)
    assert layer.axis_labels == ("frame", "z", "y", "x")
    first = images.read(tmp_path / "bold.nii.gz", frame=1)
    ((flat, *_),) = read_volumes(str(write_first(tmp_path / "one.nii", first)))
    assert np.array_equal(layer.data[1], flat)
    with pytest.raises(InputError, match="Split Stack"):
        write_image_layer(str(tmp_path / "no.nii"), *layer.as_layer_data_tuple()[:2])
    with pytest.raises(InputError, match="Convert to Image"):  # napari splits no labels
        write_labels_layer(str(tmp_path / "no.nii"), *Labels(layer.data).as_layer_data_tuple()[:2])
    assert not (tmp_path / "no.nii").exists()


@pytest.mark.parametrize("name", ["packed.nii", "plain.nii.gz", "newer.mgh", "scaled.nii"])
def test_a_series_is_read_as_its_frames_are(tmp_path: Path, name: str) -> None:
    frames = np.random.default_rng(0).integers(0, 1000, (3, 4, 5, 2)).astype(np.int16)
    kind = nibabel.MGHImage if name.endswith("mgh") else nibabel.Nifti1Image
    whole = bytearray(kind(frames, np.eye(4)).to_bytes())
    if name == "newer.mgh":
        whole[:2] = b"\0\x2a"  # FreeSurfer 7's intent
    if name == "scaled.nii":
        whole[112:120] = np.array([0.5, -3], "<f4").tobytes()
    (tmp_path / name).write_bytes(gzip.compress(whole) if name == "packed.nii" else whole)
    ((data, *_),) = read_volumes(str(tmp_path / name))
    for frame in (0, 1):
        volume = images.read(tmp_path / name, frame)
        assert data.dtype == volume.data.dtype
        np.testing.assert_array_equal(data[frame], volume.data.transpose(2, 1, 0))


def test_a_series_that_is_cut_off_is_refused_with_a_sentence(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 1000, (12, 12, 12, 40)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(frames, np.eye(4)), tmp_path / "bold.nii.gz")
    whole = (tmp_path / "bold.nii.gz").read_bytes()
    (tmp_path / "bold.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut short"):
        read_volumes(str(tmp_path / "bold.nii.gz"))


def write_first(path: Path, volume: Volume) -> Path:
    images.write(path, volume)
    return path


def test_a_missing_file_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.nii"):
        read_volumes(str(tmp_path / "nothing.nii"))


def test_a_plain_layer_is_written_by_what_is_assumed(tmp_path: Path) -> None:
    ramp = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    layer = Labels(ramp, scale=(3, 2, 1.5), translate=(5, 0, 0))
    write_labels_layer(str(tmp_path / "a.nii"), *layer.as_layer_data_tuple()[:2])
    back = images.read_labels(tmp_path / "a.nii")
    assert back.orientation == "RAS"
    assert back.spacing == (1.5, 2, 3)
    assert back.affine[2, 3] == 5
    assert np.array_equal(back.data, ramp.T)
    flat = Labels(ramp[0])
    write_labels_layer(str(tmp_path / "b.nii"), *flat.as_layer_data_tuple()[:2])
    assert images.read(tmp_path / "b.nii").shape == (4, 3, 1)


def test_a_labels_layer_made_beside_a_scan_lies_on_it(scan: Volume, tmp_path: Path) -> None:
    images.write(tmp_path / "a.nii", scan)
    viewer = ViewerModel()
    ((data, keywords, _),) = read_volumes(str(tmp_path / "a.nii"))
    viewer.add_image(data, **keywords)
    viewer._new_labels()  # the button above the layer list; napari does not pass the grid on
    layer = viewer.layers[-1]
    layer.data_setitem((np.array([1]), np.array([2]), np.array([3])), 7)
    write_labels_layer(str(tmp_path / "b.nii"), *layer.as_layer_data_tuple()[:2])
    back, first = images.read_labels(tmp_path / "b.nii"), images.read(tmp_path / "a.nii")
    world = back.affine @ (*np.argwhere(back.data == 7)[0], 1)
    i, j, k = np.rint(np.linalg.inv(first.affine) @ world)[:3].astype(int)
    assert first.data[i, j, k] == data[1, 2, 3]


def test_colour_images_are_refused(tmp_path: Path) -> None:
    layer = Image(np.zeros((4, 5, 3), np.uint8), rgb=True)
    with pytest.raises(InputError, match="Split RGB"):
        write_image_layer(str(tmp_path / "a.nii"), *layer.as_layer_data_tuple()[:2])


def test_other_zarr_folders_are_left_to_others(scan: Volume, tiny_run: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "other.zarr").mkdir()
    assert get_maps_reader(str(tmp_path / "other.zarr")) is None
    drain(excite(scan, tiny_run(excitation="sse"), sites=("sE-1",), epochs=[1], slab=2, store=tmp_path / "m.zarr"))
    reader = get_maps_reader(str(tmp_path / "m.zarr"))
    assert reader is not None
    ((_, keywords, _),) = reader(str(tmp_path / "m.zarr"))
    assert keywords["name"] == "m · sE-1"


def test_napari_finds_reader_and_writer(scan: Volume, tmp_path: Path, npe2pm: PluginManager) -> None:
    npe2pm.register(PluginManifest.from_file(str(files("napari_scse") / "napari.yaml")))
    images.write(tmp_path / "scan.nii.gz", scan)
    (layer,) = io_utils.read([str(tmp_path / "scan.nii.gz")], stack=False)
    assert io_utils.write(str(tmp_path / "out.mgz"), [layer]) == [str(tmp_path / "out.mgz")]
    back, first = images.read(tmp_path / "out.mgz"), images.read(tmp_path / "scan.nii.gz")
    assert np.array_equal(back.data, first.data)
    assert np.allclose(back.affine, first.affine, atol=1e-4)  # MGH keeps its affine in parts


@pytest.mark.parametrize("arguments", [["src/napari_scse/napari.yaml"], ["napari-scse", "--imports"]])
def test_the_manifest_is_valid(arguments: list[str]) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "npe2", "validate", *arguments], cwd=root, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "valid" in done.stdout


def test_the_sample_is_a_brain_in_place() -> None:
    pytest.importorskip("nilearn", reason="the sample brain comes with nilearn")
    volume = mni152()
    assert volume.orientation == "RAS"
    assert volume.spacing == (1, 1, 1)
    ((_, keywords, kind),) = open_mni152()
    assert (kind, keywords["name"]) == ("image", "MNI152 T1")


def test_without_nilearn_the_sample_says_how_to_get_it() -> None:
    code = (
        "import sys; sys.modules['nilearn'] = None\n"
        "from napari_scse._napari.sample import mni152\n"
        "from napari_scse.errors import InputError\n"
        "try:\n    mni152()\nexcept InputError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "pip install nilearn" in done.stdout
