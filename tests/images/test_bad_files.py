"""Every kind of bad file is refused with one sentence that names it, and before memory is asked for."""

from __future__ import annotations

import gzip
import os
import resource
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_scse.errors import InputError, ScseError, SpaceError
from napari_scse.images import SUFFIXES, find_format, read, read_labels

SHAPE = (5, 6, 4)
AFFINE = np.array([[0.0, 0.1, -3.0, 4.0], [-1.2, 0.0, 0.0, 5.0], [0.0, 0.9, 0.3, 6.0], [0.0, 0.0, 0.0, 1.0]])
VOXELS = np.random.default_rng(0).integers(0, 1000, SHAPE, dtype=np.int16)

NIFTI_FIELDS = {  # name: (NIfTI-1 offset and type, NIfTI-2 offset and type)
    "dim": ((40, "i2"), (16, "i8")),
    "datatype": ((70, "i2"), (12, "i2")),
    "pixdim": ((76, "f4"), (104, "f8")),
    "vox_offset": ((108, "f4"), (168, "i8")),
    "scl_slope": ((112, "f4"), (176, "f8")),
    "scl_inter": ((116, "f4"), (184, "f8")),
    "qform_code": ((252, "i2"), (344, "i4")),
    "sform_code": ((254, "i2"), (348, "i4")),
    "quatern_b": ((256, "f4"), (352, "f8")),
    "srow_x": ((280, "f4"), (400, "f8")),
    "magic": ((344, "S4"), (4, "S8")),
}
MGH_FIELDS = {
    "version": (0, ">i4"),
    "dims": (4, ">i4"),
    "type": (20, ">i4"),
    "delta": (30, ">f4"),
    "Mdc": (42, ">f4"),
    "Pxyz_c": (78, ">f4"),
}
Make = Callable[..., Path]


@pytest.fixture(params=["nifti-1", "nifti-1 big-endian", "nifti-2"])
def nifti(tmp_path: Path, request: pytest.FixtureRequest) -> Make:
    """Makes a sound NIfTI file and overwrites fields of its header."""
    version = 2 if request.param == "nifti-2" else 1
    order = ">" if "big" in request.param else "<"

    def make(name: str = "scan.nii", **fields: object) -> Path:
        kind = nib.Nifti2Image if version == 2 else nib.Nifti1Image
        path = tmp_path / name.replace(".gz", "")
        kind(VOXELS, AFFINE, kind.header_class(endianness=order)).to_filename(path)
        content = bytearray(path.read_bytes())
        for field, value in fields.items():
            offset, dtype = NIFTI_FIELDS[field][version - 1]
            patch = np.atleast_1d(np.asarray(value, dtype=np.dtype(dtype).newbyteorder(order))).tobytes()
            content[offset : offset + len(patch)] = patch
        path = tmp_path / name
        path.write_bytes(gzip.compress(bytes(content)) if name.endswith("gz") else content)
        return path

    return make


@pytest.fixture
def mgh(tmp_path: Path) -> Make:
    """Makes a sound MGH file and overwrites fields of its header."""

    def make(name: str = "scan.mgh", **fields: object) -> Path:
        path = tmp_path / "made.mgh"
        nib.MGHImage(VOXELS, AFFINE).to_filename(path)
        content = bytearray(path.read_bytes())
        for field, value in fields.items():
            offset, dtype = MGH_FIELDS[field]
            patch = np.atleast_1d(np.asarray(value, dtype=dtype)).tobytes()
            content[offset : offset + len(patch)] = patch
        path = tmp_path / name
        path.write_bytes(gzip.compress(bytes(content)) if name.endswith("z") else content)
        return path

    return make


def refused(path: Path, what: str, error: type[ScseError] = InputError) -> None:
    """Reading raises `error` with one sentence that holds `what` and names the file."""
    with pytest.raises(error, match=what) as caught:
        read(path)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    assert message.endswith(".")
    with pytest.raises(error):
        read_labels(path)


def test_what_is_changed_here_is_sound_before(nifti: Make, mgh: Make) -> None:
    for path in (nifti(), nifti("scan.nii.gz"), mgh(), mgh("scan.mgz")):
        np.testing.assert_array_equal(read(path).data, VOXELS)
        np.testing.assert_allclose(read(path).affine, AFFINE, atol=1e-5)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_empty_or_no_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scan{suffix}"
    refused(path, "does not exist")
    path.touch()
    refused(path, "is empty")
    path.unlink()
    path.mkdir()
    refused(path, "is a folder or a device")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "content", [b"a", b"subject,age\n001,37\n", b"\n" * 2000, b"\x00" * 2000, b"\x1f\x8b" + b"x" * 99]
)
@pytest.mark.parametrize("packed", [False, True])
def test_other_files_under_an_image_suffix(tmp_path: Path, suffix: str, content: bytes, packed: bool) -> None:
    path = tmp_path / f"scan{suffix}"
    path.write_bytes(gzip.compress(content) if packed else content)
    refused(path, "is not an? |is cut short|is damaged")


@pytest.mark.parametrize("name", ["scan.txt", "scan", "scan.nii.bz2", "scan.hdr", "scan.dcm", ".nii", "nii"])
def test_unknown_suffixes(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    refused(tmp_path / name, r"none of the suffixes of an image: \.nii, \.nii\.gz, \.mgh, \.mgz")
    with pytest.raises(InputError):
        find_format(name)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "scan.mgh", "scan.mgz"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.9, "last byte"])
def test_truncated_anywhere(nifti: Make, mgh: Make, name: str, part: float | str) -> None:
    path = (mgh if "mg" in name else nifti)(name)
    content = path.read_bytes()
    end = 352 + VOXELS.nbytes if name == "scan.nii" and content[0] != 28 else len(content)
    if name == "scan.mgh":
        end = 284 + VOXELS.nbytes  # scan parameters follow, which are not needed
    path.write_bytes(content[: end - 1] if part == "last byte" else content[: int(end * float(part))])
    refused(path, "is cut short")


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "scan.mgh", "scan.mgz"])
def test_nothing_but_a_header(nifti: Make, mgh: Make, name: str) -> None:
    path = (mgh if "mg" in name else nifti)(name)
    content = gzip.decompress(path.read_bytes()) if name.endswith("z") else path.read_bytes()
    size = 284 if "mg" in name else int.from_bytes(content[:4], "little" if content[3] == 0 else "big")
    content = content[:size]
    path.write_bytes(gzip.compress(content) if name.endswith("z") else content)
    refused(path, "is cut short")


def test_compressed_content_that_was_damaged(nifti: Make) -> None:
    path = nifti("scan.nii.gz")
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF  # the checksum
    path.write_bytes(content)
    refused(path, "is damaged: its compressed content")
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    refused(path, "is damaged|is cut short|is not a NIfTI")


@pytest.mark.parametrize("count", [9, 0, -1, 8, 2304])
def test_impossible_number_of_dimensions(nifti: Make, count: int) -> None:
    refused(nifti(dim=[count, *SHAPE, 1, 1, 1, 1]), f"gives {count} dimensions")


@pytest.mark.parametrize("sizes", [(-5, 6, 4), (0, 6, 4), (5, 6, -32768)])
def test_impossible_sizes(nifti: Make, mgh: Make, sizes: tuple[int, ...]) -> None:
    refused(nifti(dim=[3, *sizes, 1, 1, 1, 1]), "impossible size")
    refused(mgh(dims=[*sizes, 1]), "impossible size")
    refused(mgh(dims=[5, 6, 4, 0]), "impossible size")


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_absurd_sizes_ask_for_no_memory(nifti: Make, name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(nifti(name, dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]), "is cut short: its header promises 140,724,603,")
    refused(nifti(name, dim=[7, *[32767] * 7]), "7-D")
    refused(nifti(name, dim=[3, 500, 60, 40, 1, 1, 1, 1]), "is cut short")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


@pytest.mark.parametrize("name", ["scan.mgh", "scan.mgz"])
def test_absurd_sizes_of_mgh(mgh: Make, name: str) -> None:
    refused(mgh(name, dims=[2**31 - 1] * 3 + [1]), "is cut short: its header promises")
    refused(mgh(name, dims=[300, 40, 30, 1]), "is cut short")


@pytest.mark.parametrize("code", [0, 1, 3, 999, -4, 255])
def test_unknown_number_types(nifti: Make, mgh: Make, code: int) -> None:
    refused(nifti(datatype=code), f"number type {code} ")
    if code not in (0, 1, 3):  # which are those of MGH
        refused(mgh(type=code), f"number type {code} ")


@pytest.mark.parametrize(("code", "what"), [(32, "complex"), (1792, "complex"), (128, "RGB"), (2304, "RGB")])
def test_complex_numbers_and_colours(nifti: Make, code: int, what: str) -> None:
    refused(nifti(datatype=code), f"holds .*{what}")


def test_two_dimensions(nifti: Make) -> None:
    refused(nifti(dim=[2, 5, 24, 1, 1, 1, 1, 1]), r"is 2-D \(5 x 24\).* 5 x 24 x 1")
    refused(nifti(dim=[1, 120, 1, 1, 1, 1, 1, 1]), r"is 1-D")


def test_four_and_more_dimensions(nifti: Make, mgh: Make) -> None:
    refused(nifti(dim=[4, 5, 6, 2, 2, 1, 1, 1]), "is 4-D .*save one of its frames")
    refused(nifti(dim=[5, 5, 6, 1, 2, 2, 1, 1]), r"is 5-D \(5 x 6 x 1 x 2 x 2\)")
    refused(mgh(dims=[5, 6, 2, 2]), "is 4-D .*save one of its frames")


@pytest.mark.parametrize(
    "row",
    [(np.nan, 0, 0, 0), (np.inf, 0, 0, 0), (0, 0, 0, 0), (0, 0.9, 0.3, 0)],
    ids=["NaN", "infinite", "zero", "twice"],
)
def test_impossible_sforms(nifti: Make, row: tuple[float, ...]) -> None:
    refused(nifti(srow_x=row), "cannot be placed: the affine", SpaceError)


@pytest.mark.parametrize("fields", [{"quatern_b": [1, 1, 1]}, {"quatern_b": np.nan}, {"pixdim": [1, np.nan, 1, 1]}])
def test_impossible_qforms(nifti: Make, fields: dict[str, object]) -> None:
    refused(nifti(sform_code=0, qform_code=1, **fields), "affine", SpaceError)


@pytest.mark.parametrize(
    "fields",
    [
        {"delta": [0, 1, 1]},
        {"Mdc": [np.inf], "delta": [0, 1, 1]},
        {"Mdc": [np.nan]},
        {"Mdc": [0] * 9},
        {"Pxyz_c": [np.inf]},
    ],
)
def test_impossible_affines_of_mgh(mgh: Make, fields: dict[str, object]) -> None:
    refused(mgh(**fields), "cannot be placed: the affine", SpaceError)


@pytest.mark.parametrize("offset", [-352, 4, 347, 1e18])
def test_voxels_where_none_can_be(nifti: Make, offset: float) -> None:
    refused(nifti(vox_offset=offset), "puts the voxels at byte")


def test_voxels_beyond_the_end(nifti: Make) -> None:
    refused(nifti(vox_offset=4096), "is cut short")


def test_endless_scaling(nifti: Make) -> None:
    refused(nifti(scl_slope=2.0, scl_inter=np.inf), "scales the voxels")


def test_half_of_a_pair_of_files(nifti: Make) -> None:
    refused(nifti(magic=b"ni1"), "is not a single-file NIfTI image")


def test_other_versions_of_mgh(mgh: Make) -> None:
    refused(mgh(version=2), "is not an MGH image")
    assert read(mgh(version=0x0101)).shape == SHAPE  # FreeSurfer 7 notes an intent in the upper bytes


@pytest.mark.skipif(os.name != "posix", reason="needs named pipes")
def test_pipes_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "scan.nii")
    refused(tmp_path / "scan.nii", "is a folder or a device")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_files_that_may_not_be_read(nifti: Make) -> None:
    path = nifti()
    path.chmod(0)
    refused(path, "cannot be read: Permission denied")


def test_names_too_long_for_the_disk(tmp_path: Path) -> None:
    refused(tmp_path / f"{'x' * 300}.nii", "cannot be read: File name too long")


def test_nothing_is_said_beside_the_error(
    nifti: Make, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for fields in ({"dim": [9] * 8}, {"pixdim": [0, -1, 0, 1]}, {"datatype": 999}, {"qform_code": 77}):
        try:
            read(nifti(**fields))
        except ScseError:
            continue
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []  # nibabel logs to the error stream that it found when it was imported
