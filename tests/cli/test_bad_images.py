"""Every way a scan can be wrong: one line, exit code 2, nothing written, the input untouched."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from napari_scse.images import write
from napari_scse.runs import Run
from napari_scse.volume import Volume

SHAPE = (9, 7, 8)
AFFINE = np.array([[0, 0, -2.0, 9], [1.5, 0.1, 0, -4], [-0.1, 1, 0, 3], [0, 0, 0, 1]])

Damage = Callable[[Path], None]


def _good(path: Path) -> bytes:
    data = np.random.default_rng(0).uniform(0, 900, SHAPE).astype(np.int16)
    write(path, Volume(data, AFFINE))
    return path.read_bytes()


def _bytes(content: bytes) -> Damage:
    def damage(path: Path) -> None:
        path.write_bytes(content)

    return damage


def _cut(keep: float) -> Damage:
    def damage(path: Path) -> None:
        whole = _good(path)
        path.write_bytes(whole[: int(len(whole) * keep)])

    return damage


def _header_only(path: Path) -> None:
    size = {".nii": 352, ".mgh": 284}[path.suffix]
    path.write_bytes(_good(path)[:size])


def _field(offset: int, value: int | tuple[int, ...], form: str) -> Damage:
    """Overwrite header numbers of a NIfTI-1 (little endian) or MGH (big endian) file."""

    def damage(path: Path) -> None:
        whole = bytearray(_good(path))
        new = np.asarray(value, form).tobytes()
        whole[offset : offset + len(new)] = new
        path.write_bytes(whole)

    return damage


def _zipped(damage: Damage) -> Damage:
    def damage_and_zip(path: Path) -> None:
        plain = path.with_suffix("")
        damage(plain)
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()

    return damage_and_zip


def _nifti(data: np.ndarray, affine: np.ndarray = AFFINE) -> Damage:
    def damage(path: Path) -> None:
        nibabel.Nifti1Image(data, affine).to_filename(path)

    return damage


def _affine_rows(rows: np.ndarray) -> Damage:
    """Overwrite the s-form of a NIfTI-1 file, which nibabel would not write."""
    return _field(280, tuple(rows.astype("<f4").view("<i4").ravel().tolist()), "<i4")


def _folder(path: Path) -> None:
    path.mkdir()


def _missing(path: Path) -> None:
    assert not path.exists()


def _constant(value: float) -> np.ndarray:
    return np.full(SHAPE, value, np.float32)


SINGULAR = np.array([[1, 2, 0, 0], [2, 4, 0, 0], [0, 0, 1, 0.0]])
NOT_A_NUMBER = np.array([[1, 0, 0, 0], [0, np.nan, 0, 0], [0, 0, 1, 0.0]])
COLORS = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])

BAD: dict[str, tuple[str, Damage]] = {
    "missing": ("scan.nii", _missing),
    "empty": ("scan.nii", _bytes(b"")),
    "empty-gz": ("scan.nii.gz", _bytes(b"")),
    "empty-mgz": ("scan.mgz", _bytes(b"")),
    "text": ("scan.nii", _bytes(b"this is a note about a scan\n" * 40)),
    "text-gz": ("scan.nii.gz", _bytes(b"this is a note about a scan\n" * 40)),
    "text-mgh": ("scan.mgh", _bytes(b"this is a note about a scan\n" * 40)),
    "zipped-text": ("scan.nii.gz", _bytes(gzip.compress(b"a note" * 400))),
    "truncated": ("scan.nii", _cut(0.7)),
    "truncated-gz": ("scan.nii.gz", _cut(0.6)),
    "truncated-mgz": ("scan.mgz", _cut(0.6)),
    "truncated-in-the-header": ("scan.nii", _bytes(b"\x5c\x01\x00\x00" + b"\x00" * 96)),
    "truncated-by-a-byte": ("scan.nii", _cut(0.999)),
    "header-only": ("scan.nii", _header_only),
    "header-only-mgh": ("scan.mgh", _header_only),
    "no-dimensions": ("scan.nii", _field(40, 0, "<i2")),
    "nine-dimensions": ("scan.nii", _field(40, 9, "<i2")),
    "negative-dimension": ("scan.nii", _field(42, -9, "<i2")),
    "zero-dimension": ("scan.nii", _field(44, 0, "<i2")),
    "absurd-dimensions": ("scan.nii", _field(42, (32767, 32767, 32767), "<i2")),
    "absurd-dimensions-gz": ("scan.nii.gz", _zipped(_field(42, (4000, 4000, 4000), "<i2"))),
    "negative-dimension-mgh": ("scan.mgh", _field(4, -9, ">i4")),
    "absurd-dimensions-mgh": ("scan.mgh", _field(4, (2**31 - 1, 2**31 - 1, 2**31 - 1), ">i4")),
    "unknown-number-type": ("scan.nii", _field(70, 4242, "<i2")),
    "unknown-number-type-mgh": ("scan.mgh", _field(20, 77, ">i4")),
    "unknown-mgh-version": ("scan.mgh", _field(0, 99, ">i4")),
    "two-dimensions": ("scan.nii", _nifti(np.ones((9, 7), np.float32))),
    "four-dimensions": ("scan.nii", _nifti(np.ones((*SHAPE, 3), np.float32))),
    "five-dimensions": ("scan.nii", _nifti(np.ones((*SHAPE, 3, 2), np.float32))),
    "complex": ("scan.nii", _nifti(np.ones(SHAPE, np.complex64))),
    "colors": ("scan.nii", _nifti(COLORS)),
    "singular-affine": ("scan.nii", _affine_rows(SINGULAR)),
    "nan-affine": ("scan.nii", _affine_rows(NOT_A_NUMBER)),
    "all-nan": ("scan.nii.gz", _nifti(_constant(np.nan))),
    "all-infinite": ("scan.nii.gz", _nifti(_constant(np.inf))),
    "constant": ("scan.nii.gz", _nifti(_constant(7))),
    "folder": ("scan.nii.gz", _folder),
    "unknown-suffix": ("scan.dcm", _bytes(b"\x00" * 400)),
    "no-suffix": ("scan", _bytes(b"\x00" * 400)),
}
ONLY_SCANS = {"all-nan", "all-infinite", "constant"}


@pytest.fixture(params=BAD)
def bad(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    name, damage = BAD[request.param]
    path = tmp_path / name
    damage(path)
    return path


def test_segment_refuses(bad: Path, run: Run, tmp_path: Path, refuse: Callable[..., str]) -> None:
    line = refuse("segment", bad, tmp_path / "out.nii.gz", "--run", run.path, "--volumes", tmp_path / "out.csv")
    assert len(line) < 400 + len(str(bad))


@pytest.mark.parametrize("bad", ["missing", "truncated-gz", "four-dimensions", "all-nan", "folder"], indirect=True)
def test_excite_refuses(bad: Path, run: Run, tmp_path: Path, refuse: Callable[..., str]) -> None:
    refuse("excite", bad, tmp_path / "maps.zarr", "--run", run.path, "--sites", "first,last")


@pytest.mark.parametrize("bad", [name for name in BAD if name not in ONLY_SCANS], indirect=True)
@pytest.mark.parametrize("first", [True, False], ids=["prediction", "reference"])
def test_evaluate_refuses(bad: Path, first: bool, tmp_path: Path, refuse: Callable[..., str]) -> None:
    labels = tmp_path / "labels.nii.gz"
    write(labels, Volume(np.ones(SHAPE, np.uint8), AFFINE))
    refuse("evaluate", *((bad, labels) if first else (labels, bad)), "--csv", tmp_path / "scores.csv")


def test_a_4d_file_is_read_once_a_frame_is_chosen(
    run: Run, tmp_path: Path, refuse: Callable[..., str], cli: Callable[..., object], scan: Volume
) -> None:
    data = np.stack([scan.data, scan.data * 0.5], axis=-1)
    path, out = tmp_path / "scan.nii.gz", tmp_path / "out.nii.gz"
    _nifti(data, scan.affine)(path)
    assert "--frame" in refuse("segment", path, out, "--run", run.path)
    assert "2" in refuse("segment", path, out, "--run", run.path, "--frame", 2)
    refuse("segment", path, out, "--run", run.path, "--frame", -1)
    outcome = cli("segment", path, out, "--run", run.path, "--frame", 1, "--epoch", 1)
    assert outcome.code == 0
    assert nibabel.load(out).shape == scan.shape


@pytest.mark.parametrize("data", [np.full(SHAPE, 0.5, np.float32), np.full(SHAPE, -3, np.int16)])
def test_evaluate_refuses_what_are_no_labels(data: np.ndarray, tmp_path: Path, refuse: Callable[..., str]) -> None:
    path = tmp_path / "scan.nii.gz"
    _nifti(data)(path)
    assert "labels" in refuse("evaluate", path, path)
