"""Files are written whole or not at all, and lie where the volume lies."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_scse.errors import InputError
from napari_scse.images import SUFFIXES, read, read_labels, write, write_labels
from napari_scse.volume import LabelVolume, Volume

SHAPE = (5, 6, 4)
TURN = Rotation.from_euler("xyz", (20, -10, 100), degrees=True).as_matrix()


def affine(shear: float = 0.0) -> np.ndarray:
    """Anisotropic, oblique and left-handed, far from the origin."""
    matrix = np.eye(4)
    matrix[:3, :3] = TURN @ np.array([[0.9, shear, 0.0], [0.0, 1.2, 0.0], [0.0, 0.0, -3.0]])
    matrix[:3, 3] = (3.3, -105.0, 90.25)
    return matrix


def volume(dtype: str = "f4", shear: float = 0.0) -> Volume:
    """Positive numbers, with fractions where the type has them."""
    data = np.random.default_rng(0).random(SHAPE) * 100
    return Volume(data.astype(dtype), affine(shear))


def names(folder: Path) -> list[str]:
    """What lies in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


def by_nibabel(path: Path) -> nib.spatialimages.SpatialImage:
    """What nibabel makes of a file; its own `load` leaves `.mgh` files open."""
    if path.suffix == ".mgh":
        return nib.MGHImage.from_bytes(path.read_bytes())
    return nib.load(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "dtype", ["bool", "u1", "i1", "u2", ">i2", "i4", "u4", "i8", "u8", "f2", "f4", ">f4", "f8", "g"]
)
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str, dtype: str) -> None:
    path = tmp_path / f"scan{suffix}"
    write(path, volume(dtype))
    back = read(path)
    np.testing.assert_array_equal(back.data, volume(dtype).data.astype("f4"))
    np.testing.assert_allclose(back.affine, affine(), rtol=1e-6, atol=2e-5)
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("shear", [0.0, 0.4])
def test_other_programs_find_the_same_place(tmp_path: Path, suffix: str, shear: float) -> None:
    path = tmp_path / f"scan{suffix}"
    write(path, volume(shear=shear))
    image = by_nibabel(path)
    np.testing.assert_allclose(image.affine, affine(shear), rtol=1e-6, atol=2e-5)
    if "nii" in suffix:
        assert isinstance(image, nib.Nifti1Image)
        assert not isinstance(image, nib.Nifti2Image)
        assert int(image.header["sform_code"]) == 1
        assert image.header.get_xyzt_units()[0] == "mm"
        # A sheared affine does not fit a qform: then none is given, rather than a wrong one.
        assert int(image.header["qform_code"]) == (0 if shear else 1)
        if not shear:
            np.testing.assert_allclose(image.get_qform(), affine(), atol=1e-4)


def test_reading_and_writing_again_moves_nothing(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        write(tmp_path / f"a{suffix}", volume())
        once = read(tmp_path / f"a{suffix}")
        write(tmp_path / f"b{suffix}", once)
        twice = read(tmp_path / f"b{suffix}")
        np.testing.assert_allclose(twice.affine, once.affine, rtol=1e-6, atol=2e-5)
        if "nii" in suffix:
            np.testing.assert_array_equal(twice.affine, once.affine)


@pytest.mark.parametrize("frames", [(), (2,)])
@pytest.mark.parametrize(("qform", "sform"), [(1, 2), (1, 4), (0, 4), (1, 0), (0, 0)])
def test_labels_lie_on_their_scan_whichever_form_is_believed(
    tmp_path: Path, qform: int, sform: int, frames: tuple[int, ...]
) -> None:
    scan = nib.Nifti1Image(np.zeros((*SHAPE, *frames), dtype=np.float32), None)
    scan.set_qform(np.diag((-1.0, 2.0, 1.5, 1.0)), code=qform)
    scan.set_sform(affine(), code=sform)
    scan.header.set_xyzt_units("micron")
    scan.to_filename(tmp_path / "scan.nii")
    given = read(tmp_path / "scan.nii", frame=0)
    data = np.zeros(SHAPE, dtype=np.uint8)
    write_labels(tmp_path / "labels.nii", LabelVolume(data, given.affine, given.forms))
    before, after = (nib.load(tmp_path / name).header for name in ("scan.nii", "labels.nii"))
    for coded in ("get_sform", "get_qform"):
        np.testing.assert_array_equal(getattr(after, coded)(), getattr(before, coded)())
    for field in ("sform_code", "qform_code", "pixdim", "xyzt_units"):
        np.testing.assert_array_equal(after[field], before[field])
    assert after.get_intent()[0] == "label"
    again = read_labels(tmp_path / "labels.nii")
    np.testing.assert_array_equal(again.affine, given.affine)
    assert again.forms == given.forms


def test_forms_that_are_no_longer_true_are_not_repeated(tmp_path: Path) -> None:
    scan = nib.Nifti1Image(np.zeros(SHAPE, dtype=np.float32), None)
    scan.to_filename(tmp_path / "scan.nii")
    given = read(tmp_path / "scan.nii")
    for number, other in enumerate((Volume(given.data, affine(), given.forms), replace(given, data=given.data[1:]))):
        write(tmp_path / f"{number}.nii", other)
        image = nib.load(tmp_path / f"{number}.nii")
        assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 1)
        np.testing.assert_allclose(image.get_sform(), other.affine, rtol=1e-6, atol=2e-5)
        np.testing.assert_allclose(image.get_qform(), other.affine, atol=1e-4)


def test_views_and_memory_maps_are_written(tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", volume("i2").data)
    mapped = np.load(tmp_path / "data.npy", mmap_mode="r")
    for data in (mapped, mapped[::-1, :, ::2], mapped.transpose(2, 0, 1)):
        write(tmp_path / "scan.nii.gz", Volume(data, affine()))
        np.testing.assert_array_equal(read(tmp_path / "scan.nii.gz").data, data)


def test_long_axes_need_nifti_2(tmp_path: Path) -> None:
    long = Volume(np.zeros((40000, 1, 2), dtype=np.uint8), affine())
    write(tmp_path / "scan.nii", long)
    assert isinstance(nib.load(tmp_path / "scan.nii"), nib.Nifti2Image)
    assert read(tmp_path / "scan.nii").shape == long.shape


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("largest", "dtype"), [(255, "u1"), (256, "u2"), (40000, "u2"), (65535, "u2")])
def test_labels_take_the_smallest_type(tmp_path: Path, suffix: str, largest: int, dtype: str) -> None:
    data = np.random.default_rng(0).integers(0, largest, SHAPE, dtype=np.int64)
    data[0, 0, 0] = largest
    path = tmp_path / f"labels{suffix}"
    write_labels(path, LabelVolume(data, affine()))
    back = read_labels(path)
    np.testing.assert_array_equal(back.data, data)
    assert back.data.dtype == np.dtype(dtype)
    stored = by_nibabel(path).get_data_dtype()
    if "nii" in suffix:
        assert stored == np.dtype(dtype)
    else:  # older FreeSurfers know no uint16
        assert stored == {255: ">u1", 256: ">i2", 40000: ">i4", 65535: ">i4"}[largest]


@pytest.mark.parametrize("wrong", [-1, 65536])
def test_other_numbers_are_no_labels(tmp_path: Path, wrong: int) -> None:
    data = np.zeros(SHAPE, dtype=np.int32)
    data[1, 1, 1] = wrong
    with pytest.raises(InputError, match="Labels run from 0 to 65535"):
        write_labels(tmp_path / "labels.nii", LabelVolume(data, affine()))
    assert names(tmp_path) == []


def test_whole_numbers_too_large_for_mgh(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="MGH holds whole numbers up to"):
        write(tmp_path / "scan.mgz", Volume(np.full(SHAPE, 2**31, dtype=np.int64), affine()))
    assert names(tmp_path) == []


def test_an_older_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    write(path, volume("i2"))
    write(path, volume("f4"))
    np.testing.assert_array_equal(read(path).data, volume("f4").data)
    assert names(tmp_path) == ["scan.nii"]


def test_files_get_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write(tmp_path / "scan.nii.gz", volume())
    assert (tmp_path / "scan.nii.gz").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_the_same_volume_gives_the_same_bytes(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        write(tmp_path / f"one{suffix}", volume())
        write(tmp_path / f"two{suffix}", volume())
        content = (tmp_path / f"one{suffix}").read_bytes()
        assert content == (tmp_path / f"two{suffix}").read_bytes()
        if suffix.endswith("z"):
            assert content[3:8] == bytes(5)  # neither the name nor the time is in it


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.nii").symlink_to(tmp_path / "real.nii")
    write(tmp_path / "link.nii", volume())
    assert (tmp_path / "link.nii").is_symlink()
    assert read(tmp_path / "real.nii").shape == SHAPE


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file can grow beyond `room` bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("existing", [False, True])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, suffix: str, existing: bool) -> None:
    path = tmp_path / f"scan{suffix}"
    if existing:
        write(path, volume())
    kept = names(tmp_path)
    large = Volume(np.random.default_rng(0).integers(0, 255, (100, 100, 100), dtype=np.uint8), affine())
    with full_disk(room=500_000), pytest.raises(InputError, match=f"{path.name} cannot be written: File too large"):
        write(path, large)
    assert names(tmp_path) == kept
    if existing:
        np.testing.assert_array_equal(read(path).data, volume().data)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.nii").mkdir()
    (tmp_path / "file").touch()
    for name, what in (
        ("folder.nii", "is a folder"),
        ("missing/scan.nii", "missing is not a folder"),
        ("file/scan.nii", "file is not a folder"),
        ("scan.png", "none of the suffixes"),
        (f"{'x' * 300}.nii", "cannot be written"),
    ):
        with pytest.raises(InputError, match=what):
            write(tmp_path / name, volume())
    assert names(tmp_path) == ["file", "folder.nii"]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that even root cannot write to")
def test_folders_that_cannot_be_written() -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write("/proc/self/scan.nii", volume())
