"""The registry: the runs that can be fetched, with the size and the SHA-256 of each of their files.

``registry.json`` comes with the package, and `tools/make_registry.py` writes it. A file that is fetched is compared
with it, so that it does not matter whom it was fetched from. Nothing here touches the network.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_scse.errors import RunError

FORMAT = 1
REGISTRY = Path(__file__).with_name("registry.json")
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._]*(-[A-Za-z0-9._]+)*")  # no two dashes in a row: see `asset_name`
_LONGEST = 100  # letters of a run's name: it is part of files' names
RUN_FILE = re.compile(r"run\.json|metrics\.jsonl|README\.md|epoch-\d{4,}\.safetensors")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class RegisteredFile:
    """A file of a run: its size in bytes, and its SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        if not (RUN_FILE.fullmatch(self.name) and self.size >= 0 and _SHA256.fullmatch(self.sha256)):
            raise RunError(f"The registry of runs is damaged: {self} is no file of a run.")


@dataclass(frozen=True)
class RegisteredRun:
    """A run that can be fetched.

    Attributes
    ----------
    name
        What it is picked by.
    description, licence
        One line each, from its card.
    network, excitation, plane
        As in its ``run.json``.
    classes
        How many structures it labels, the background not counted.
    epochs
        Those that have a checkpoint.
    files
        All of its files; ``run.json`` is the last, so that a folder becomes a run when all others are there.
    """

    name: str
    description: str
    licence: str
    network: str
    excitation: str
    plane: str
    classes: int
    epochs: tuple[int, ...]
    files: tuple[RegisteredFile, ...]

    def __post_init__(self) -> None:
        names = [file.name for file in self.files]
        if not is_name(self.name) or names[-1:] != ["run.json"] or len(set(names)) < len(names):
            raise RunError(f"The registry of runs is damaged where it describes {self.name!r}.")

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    @property
    def megabytes(self) -> str:
        """The size for people, such as ``6.4 MB``."""
        return f"{max(self.size / 1e6, 0.1):.1f} MB"

    @property
    def has_spatial_gates(self) -> bool:
        """Whether there is a gate that can be explored."""
        return self.excitation in {"sse", "scse"}

    def asset_name(self, file: RegisteredFile) -> str:
        """What `file` is called where runs are not in folders, such as among a release's assets."""
        return f"{self.name}--{file.name}"


def read_registry() -> dict[str, RegisteredRun]:
    """The runs that can be fetched, by name; raises `RunError` if the registry is damaged."""
    try:
        data = json.loads(REGISTRY.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise RunError(f"The registry of runs has format {data['format']!r}; this version reads format {FORMAT}.")
        runs = [_run(entry) for entry in data["runs"]]
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"The registry of runs {REGISTRY} cannot be read: {error}.") from error
    return {run.name: run for run in runs}


def is_whole(run: RegisteredRun, folder: Path) -> bool:
    """Whether `folder` holds `run` as it is registered: all files by their sizes, ``run.json`` by its SHA-256.

    Weights were compared when they were fetched; to do so at every look would take a second per gigabyte.
    """
    try:
        sizes = all((folder / file.name).stat().st_size == file.size for file in run.files)
        return sizes and sha256_of(folder / "run.json") == run.files[-1].sha256
    except OSError:
        return False


def is_name(name: str) -> bool:
    """Whether a run can be called `name`."""
    return len(name) <= _LONGEST and RUN_NAME.fullmatch(name) is not None


def require_name(name: str) -> None:
    """Raise `RunError` unless a run can be called `name`."""
    if not is_name(name):
        raise RunError(
            f"A run's name has letters, digits, dots, underscores and single dashes, {_LONGEST} at most; got {name!r}."
        )


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _run(entry: Mapping[str, Any]) -> RegisteredRun:
    files = tuple(RegisteredFile(**file) for file in entry["files"])
    return RegisteredRun(**{**entry, "epochs": tuple(entry["epochs"]), "files": files})
