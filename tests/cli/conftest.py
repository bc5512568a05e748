"""The command line as its users meet it: arguments in; exit code, stdout, stderr and files out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from napari_scse.cli import main
from napari_scse.images import write
from napari_scse.runs import Run
from napari_scse.volume import Volume

BOX = set("╭╮╰╯│─┌┐└┘┃━")


@dataclass(frozen=True)
class Outcome:
    """What a call of the program left."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run the program in this process: ``cli("segment", scan, "out.nii.gz")``."""

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return call


@pytest.fixture
def refuse(cli: Callable[..., Outcome], tmp_path: Path) -> Callable[..., str]:
    """Run the program on something it must refuse; returns its one line.

    It ends with exit code 2 and exactly one line on stderr, and every file below `tmp_path` is what it was before: no
    output, nothing half-written, the input untouched.
    """

    def call(*arguments: object) -> str:
        before = contents(tmp_path)
        outcome = cli(*arguments)
        assert contents(tmp_path) == before
        return the_line(outcome)

    return call


def the_line(outcome: Outcome) -> str:
    """Check that `outcome` is a refusal in one line, and return the line."""
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert outcome.err.endswith("\n")
    (line,) = outcome.err.splitlines()
    assert line.startswith("napari-scse: ")
    assert line.endswith((".", "?"))
    assert "Traceback" not in line
    assert not BOX & set(line)
    return line


def contents(folder: Path) -> dict[str, str]:
    """Every path below `folder`, hidden ones too, with what it is or holds."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
    return found


@pytest.fixture
def scan_file(scan: Volume, tmp_path: Path) -> Path:
    """A small oblique scan as a file."""
    path = tmp_path / "scan.nii.gz"
    write(path, scan)
    return path


@pytest.fixture
def run(tiny_run: Callable[..., Run]) -> Run:
    """A small run with three epochs and both kinds of gates."""
    return tiny_run()
