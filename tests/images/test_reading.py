"""What is written is read back: numbers, type and place in space."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_scse.errors import InputError
from napari_scse.images import SUFFIXES, count_frames, find_format, read, read_frames, read_labels, read_with_notes
from napari_scse.images.reading import LARGEST_LABEL

SHAPE = (5, 6, 4)


def oblique() -> np.ndarray:
    """Anisotropic, oblique and left-handed, far from the origin."""
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", (20, -10, 100), degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag((0.9, 1.2, -3.0))
    affine[:3, 3] = (3.3, -105.0, 90.25)
    return affine


def numbers(dtype: str) -> np.ndarray:
    """Distinct numbers that every type holds."""
    return np.random.default_rng(0).permutation(np.prod(SHAPE)).reshape(SHAPE).astype(dtype)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_reads_every_number_type_of_nifti(tmp_path: Path, dtype: str, order: str, kind: type) -> None:
    header = kind.header_class(endianness=order)  # type: ignore[attr-defined]
    image = kind(numbers(dtype), oblique(), header, dtype=np.dtype(dtype))
    path = tmp_path / "scan.nii"
    image.to_filename(path)
    volume = read(path)
    assert volume.data.dtype == (np.float32 if dtype[0] == "f" else np.dtype(dtype))
    np.testing.assert_array_equal(volume.data, numbers(dtype))
    np.testing.assert_allclose(volume.affine, oblique(), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4"])
@pytest.mark.parametrize("suffix", [".mgh", ".mgz"])
def test_reads_every_number_type_of_mgh(tmp_path: Path, dtype: str, suffix: str) -> None:
    path = tmp_path / f"scan{suffix}"
    nib.MGHImage(numbers(dtype), oblique()).to_filename(path)
    volume = read(path)
    assert volume.data.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(volume.data, numbers(dtype))
    np.testing.assert_allclose(volume.affine, oblique(), rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_applies_the_scaling_of_the_header(tmp_path: Path, kind: type) -> None:
    image = kind(numbers("i2"), oblique())
    path = tmp_path / "scan.nii"
    image.to_filename(path)
    slope, dtype = (112, "<f4") if kind is nib.Nifti1Image else (176, "<f8")
    with path.open("r+b") as file:
        file.seek(slope)
        file.write(np.array([0.5, -3.0], dtype=dtype).tobytes())
    volume = read(path)
    assert volume.data.dtype == np.float32
    np.testing.assert_allclose(volume.data, nib.load(path).get_fdata(), rtol=1e-6)
    np.testing.assert_array_equal(volume.data, numbers("f4") * 0.5 - 3.0)


@pytest.mark.parametrize("slope", [0.0, np.nan, 1.0])
def test_numbers_without_scaling_keep_their_type(tmp_path: Path, slope: float) -> None:
    path = tmp_path / "scan.nii"
    nib.Nifti1Image(numbers("i2"), oblique()).to_filename(path)
    with path.open("r+b") as file:
        file.seek(112)
        file.write(np.array([slope, 0.0], dtype="<f4").tobytes())
    assert read(path).data.dtype == np.int16


def test_numbers_beyond_float32_become_infinite(tmp_path: Path) -> None:
    data = numbers("f8")
    data[0, 0, 0] = 1e300
    nib.Nifti1Image(data, oblique(), dtype=np.float64).to_filename(tmp_path / "scan.nii")
    assert np.isinf(read(tmp_path / "scan.nii").data[0, 0, 0])


@pytest.mark.parametrize("name", ["scan.NII", "SCAN.Nii.GZ", "a.b.mgZ"])
def test_suffixes_may_be_upper_case(tmp_path: Path, name: str) -> None:
    suffix, form = find_format(name)
    assert name.lower().endswith(suffix)
    assert form.packed == name.lower().endswith("z")
    plain = tmp_path / name.lower()
    kind = nib.MGHImage if form.name == "MGH" else nib.Nifti1Image
    kind(numbers("i2"), oblique()).to_filename(plain)
    plain.rename(tmp_path / name)
    assert read(str(tmp_path / name)).shape == SHAPE


def test_compression_is_seen_and_not_believed(tmp_path: Path) -> None:
    nib.Nifti1Image(numbers("i2"), oblique()).to_filename(tmp_path / "plain.nii")
    content = (tmp_path / "plain.nii").read_bytes()
    (tmp_path / "packed.nii").write_bytes(gzip.compress(content))
    (tmp_path / "unpacked.nii.gz").write_bytes(content)
    for name in ("packed.nii", "unpacked.nii.gz"):
        np.testing.assert_array_equal(read(tmp_path / name).data, numbers("i2"))


def test_skips_what_stands_between_header_and_voxels(tmp_path: Path) -> None:
    image = nib.Nifti1Image(numbers("i2"), oblique())
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 200))
    image.to_filename(tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(read(tmp_path / "scan.nii.gz").data, numbers("i2"))


def test_believes_the_sform_before_the_qform(tmp_path: Path) -> None:
    image = nib.Nifti1Image(numbers("i2"), None)
    image.set_qform(np.diag((2.0, 2.0, 2.0, 1.0)), code=1)
    image.set_sform(oblique(), code=4)
    image.to_filename(tmp_path / "both.nii")
    np.testing.assert_allclose(read(tmp_path / "both.nii").affine, oblique(), rtol=1e-6, atol=1e-5)
    image.set_sform(None, code=0)
    image.to_filename(tmp_path / "qform.nii")
    assert read(tmp_path / "qform.nii").spacing == pytest.approx((2.0, 2.0, 2.0))


def test_a_qfac_of_zero_means_one(tmp_path: Path) -> None:
    affine = np.diag((-2.0, 3.0, -1.0, 1.0))
    image = nib.Nifti1Image(numbers("i2"), None)
    image.set_qform(affine, code=1)
    image.to_filename(tmp_path / "scan.nii")
    with (tmp_path / "scan.nii").open("r+b") as file:
        file.seek(76)
        file.write(np.float32(0).tobytes())
    np.testing.assert_allclose(read(tmp_path / "scan.nii").affine, affine, atol=1e-5)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_says_what_it_assumes_of_a_scan_without_a_place(tmp_path: Path, kind: type) -> None:
    path = tmp_path / "scan.nii"
    kind(numbers("i2"), None).to_filename(path)
    volume, notes = read_with_notes(path)
    assert volume.orientation == "LAS"
    assert notes == ("scan.nii does not say how it lies in space: LAS and its centre at 0 are assumed.",)
    kind(numbers("i2"), oblique()).to_filename(path)
    assert read_with_notes(path)[1] == ()


def test_says_what_it_assumes_of_an_mgh_without_a_place(tmp_path: Path) -> None:
    path = tmp_path / "scan.mgh"
    nib.MGHImage(numbers("i2"), oblique()).to_filename(path)
    assert read_with_notes(path)[1] == ()
    with path.open("r+b") as file:
        file.seek(28)
        file.write(b"\0\0")
    volume, notes = read_with_notes(path)
    assert volume.orientation == "LIA"
    assert volume.spacing == pytest.approx((1, 1, 1))
    assert notes == ("scan.mgh does not say how it lies in space: LIA, 1 mm and its centre at 0 are assumed.",)


@pytest.mark.parametrize("unit", ["meter", "micron"])
def test_says_that_other_units_are_not_applied(tmp_path: Path, unit: str) -> None:
    image = nib.Nifti1Image(numbers("i2"), oblique())
    image.header.set_xyzt_units(unit, "sec")
    image.to_filename(tmp_path / "scan.nii")
    volume, notes = read_with_notes(tmp_path / "scan.nii")
    assert "taken for millimetres" in notes[0]
    assert volume.spacing == pytest.approx((0.9, 1.2, 3.0))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mgh", ".mgz"])
def test_takes_the_frame_that_is_chosen(tmp_path: Path, suffix: str) -> None:
    data = np.stack([numbers("i2") + 1000 * frame for frame in range(3)], axis=-1)
    path = tmp_path / f"series{suffix}"
    (nib.MGHImage if "mg" in suffix else nib.Nifti1Image)(data, oblique()).to_filename(path)
    assert count_frames(path) == 3
    assert isinstance(read_frames(path), np.memmap) == (not suffix.endswith("z"))
    np.testing.assert_array_equal(read_frames(path), data)
    for frame in range(3):
        np.testing.assert_array_equal(read(path, frame=frame).data, data[..., frame])
    with pytest.raises(InputError, match=r"4-D \(5 x 6 x 4 x 3\).* file of its own .*frame=0 to frame=2"):
        read(path)
    for frame in (-1, 3):
        with pytest.raises(InputError, match=f"has no frame {frame}: it has 3, counted from 0"):
            read(path, frame=frame)


@pytest.mark.parametrize("shape", [(*SHAPE, 1), (*SHAPE, 1, 1), (*SHAPE, 1, 1, 1, 1)])
def test_axes_of_length_one_behind_the_third_do_not_matter(tmp_path: Path, shape: tuple[int, ...]) -> None:
    nib.Nifti1Image(numbers("i2").reshape(shape), oblique()).to_filename(tmp_path / "scan.nii")
    np.testing.assert_array_equal(read(tmp_path / "scan.nii").data, numbers("i2"))
    assert read(tmp_path / "scan.nii", frame=0).shape == SHAPE
    assert count_frames(tmp_path / "scan.nii") == 1
    with pytest.raises(InputError, match="has no frame 1: it has 1"):
        read(tmp_path / "scan.nii", frame=1)


def test_a_single_slice_is_a_volume_where_its_third_axis_is_stored(tmp_path: Path) -> None:
    nib.Nifti1Image(numbers("i2")[:, :, :1], oblique()).to_filename(tmp_path / "scan.nii")
    assert read(tmp_path / "scan.nii").shape == (5, 6, 1)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("largest", "dtype"), [(255, np.uint8), (256, np.uint16), (65535, np.uint16)])
@pytest.mark.parametrize("stored", ["f4", "i4"])
def test_reads_labels_of_any_type(tmp_path: Path, suffix: str, largest: int, dtype: type, stored: str) -> None:
    data = numbers(stored)
    data[0, 0, 0] = largest
    path = tmp_path / f"labels{suffix}"
    (nib.MGHImage if "mg" in suffix else nib.Nifti1Image)(data, oblique()).to_filename(path)
    labels = read_labels(path)
    assert labels.data.dtype == dtype
    np.testing.assert_array_equal(labels.data, data)


@pytest.mark.parametrize("wrong", [0.5, -1, 65536, np.nan, np.inf])
def test_refuses_what_are_no_labels(tmp_path: Path, wrong: float) -> None:
    data = numbers("f4")
    data[1, 2, 3] = wrong
    nib.Nifti1Image(data, oblique()).to_filename(tmp_path / "labels.nii")
    with pytest.raises(InputError, match="does not hold labels"):
        read_labels(tmp_path / "labels.nii")
    assert LARGEST_LABEL == 65535


def test_reads_real_scans_as_nibabel_does(data: Path) -> None:
    for name in ("brain-dev/sub-02/T1.mgz", "brain-demo/SampleData.mgz", "ct-dev/example_ct_sm.nii.gz"):
        image = nib.load(data / name)
        volume, notes = read_with_notes(data / name)
        assert np.array_equal(volume.data, np.asarray(image.dataobj))
        np.testing.assert_allclose(volume.affine, image.affine, atol=1e-5)
        assert notes == ()
    assert read_labels(data / "brain-dev/sub-02/aseg.mgz").data.dtype == np.uint8
