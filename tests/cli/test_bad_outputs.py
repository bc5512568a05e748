"""Outputs that cannot or must not be written are refused before any work, and nothing is touched."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from napari_scse.runs import Run

READ_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="folders have no permissions like these")


@pytest.fixture(params=["itself", "relative", "symlink", "linked-folder", "hardlink", "upper-case-suffix"])
def other_name(request: pytest.FixtureRequest, scan_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another way to name the scan's own file."""
    folder = scan_file.parent
    link = folder / "link.nii.gz"
    if request.param == "relative":
        (folder / "deeper").mkdir()
        monkeypatch.chdir(folder / "deeper")
        return Path("..") / scan_file.name
    if request.param == "symlink":
        link.symlink_to(scan_file)
        return link
    if request.param == "linked-folder":
        (folder / "elsewhere").symlink_to(folder)
        return folder / "elsewhere" / scan_file.name
    if request.param == "hardlink":
        os.link(scan_file, link)
        return link
    if request.param == "upper-case-suffix":
        scan_file.rename(scan_file.with_name("scan.NII.GZ"))
        scan_file.symlink_to("scan.NII.GZ")
        return scan_file.with_name("scan.NII.GZ")
    return scan_file


def test_the_output_is_never_the_input(
    scan_file: Path, other_name: Path, run: Run, tmp_path: Path, refuse: Callable[..., str]
) -> None:
    assert "is the input" in refuse("segment", scan_file, other_name, "--run", run.path)
    assert "is the input" in refuse("segment", other_name, scan_file, "--run", run.path)
    wish = f"first:1={other_name}"
    assert "is the input" in refuse("excite", scan_file, tmp_path / "maps.zarr", "--run", run.path, "--nifti", wish)


def test_a_table_is_never_an_input_or_the_labels(
    scan_file: Path, run: Run, tmp_path: Path, refuse: Callable[..., str]
) -> None:
    csv = tmp_path / "table.csv"
    csv.symlink_to(scan_file)
    out = tmp_path / "labels.nii.gz"
    assert "is the input" in refuse("segment", scan_file, out, "--run", run.path, "--volumes", csv)
    assert "is the input" in refuse("evaluate", scan_file, scan_file, "--csv", csv)
    csv.unlink()
    csv.symlink_to(out)
    assert "is another output" in refuse("segment", scan_file, out, "--run", run.path, "--volumes", csv)
    assert "is another output" in refuse("segment", scan_file, out, "--run", run.path, "--uncertainty", out)


@pytest.fixture(params=["no-folder", "in-a-file", "read-only-folder", "not-a-disk", "a-folder", "a-loop", "a-pipe"])
def unwritable(request: pytest.FixtureRequest, scan_file: Path) -> Iterator[Callable[[str], Path]]:
    """A maker of paths with a given suffix that nothing can be written to."""
    folder, kind = scan_file.parent, request.param

    def make(suffix: str) -> Path:
        path = folder / f"out{suffix}"
        if kind == "no-folder":
            return folder / "nowhere" / path.name
        if kind == "in-a-file":
            return scan_file / path.name
        if kind == "read-only-folder":
            locked = folder / "locked"
            locked.mkdir(exist_ok=True)
            locked.chmod(0o555)
            if os.access(locked, os.W_OK):
                pytest.skip("this user may write everywhere")
            return locked / path.name
        if kind == "not-a-disk":
            if not Path("/proc/self").is_dir():
                pytest.skip("this system has no folder that even its administrator cannot write to")
            return Path("/proc") / path.name
        if kind == "a-folder":
            path.mkdir()
        elif kind == "a-loop":
            path.symlink_to(path.name)
        elif hasattr(os, "mkfifo"):
            os.mkfifo(path)
        else:
            pytest.skip("this system has no named pipes")
        return path

    yield make
    if (folder / "locked").exists():
        (folder / "locked").chmod(0o755)


@READ_ONLY
@pytest.mark.parametrize(("verb", "suffix"), [("segment", ".nii.gz"), ("segment", ".mgz"), ("excite", ".zarr")])
def test_an_unwritable_output(
    verb: str,
    suffix: str,
    scan_file: Path,
    unwritable: Callable[[str], Path],
    run: Run,
    refuse: Callable[..., str],
) -> None:
    assert "Cannot write" in refuse(verb, scan_file, unwritable(suffix), "--run", run.path)


@READ_ONLY
def test_an_unwritable_table(
    scan_file: Path, unwritable: Callable[[str], Path], run: Run, tmp_path: Path, refuse: Callable[..., str]
) -> None:
    path = unwritable(".csv")
    arguments = ("segment", scan_file, tmp_path / "labels.nii.gz", "--run", run.path, "--volumes", path)
    assert "Cannot write" in refuse(*arguments)
    assert "Cannot write" in refuse("evaluate", scan_file, scan_file, "--csv", path)


@pytest.mark.parametrize("name", ["labels", "labels.png", "labels.gz", ".nii.gz", "labels.nii.gz.txt"])
def test_an_output_of_an_unknown_format(
    name: str, scan_file: Path, run: Run, tmp_path: Path, refuse: Callable[..., str]
) -> None:
    assert ".nii.gz" in refuse("segment", scan_file, tmp_path / name, "--run", run.path)


@pytest.mark.parametrize("name", ["maps", "maps.nii", ".zarr"])
def test_a_store_of_an_unknown_format(
    name: str, scan_file: Path, run: Run, tmp_path: Path, refuse: Callable[..., str]
) -> None:
    assert ".zarr" in refuse("excite", scan_file, tmp_path / name, "--run", run.path)


def test_a_table_of_an_unknown_format(scan_file: Path, run: Run, tmp_path: Path, refuse: Callable[..., str]) -> None:
    arguments = ("segment", scan_file, tmp_path / "labels.nii.gz", "--run", run.path)
    assert ".csv" in refuse(*arguments, "--volumes", tmp_path / "volumes.xlsx")
    assert ".csv" in refuse("evaluate", scan_file, scan_file, "--csv", tmp_path / "scores")


def test_a_store_that_exists_is_never_replaced(
    scan_file: Path, run: Run, tmp_path: Path, refuse: Callable[..., str]
) -> None:
    store = tmp_path / "maps.zarr"
    store.mkdir()
    (store / "precious").write_text("kept")
    assert "exists already" in refuse("excite", scan_file, store, "--run", run.path)
