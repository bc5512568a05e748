"""What can be installed: the files of a run in a folder or a zip file, each looked at before anything is copied."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import IO

from napari_scse.errors import RunError
from napari_scse.runs.registry import RUN_FILE

_MAX_WEIGHTS = 2 << 30  # bytes of one checkpoint
_MAX_TEXT = 64 << 20  # bytes of one other file
_MAX_MEMBERS = 10_000  # of a zip file
_PICKLES = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".bin", ".model"}
_ENCRYPTED = 0x1
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


@dataclass(frozen=True)
class Member:
    """A file of a run that can be copied: its plain name, its size in bytes, and how it is opened."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


@contextmanager
def open_source(path: Path) -> Iterator[list[Member]]:
    """Open a run to be installed, and give its files; what is no part of a run is left out.

    Raises
    ------
    RunError
        If `path` is no folder with a ``run.json`` and no zip file with exactly one; if it has a pickle, or a file
        larger than any of a run; if a zip file is damaged, encrypted, or has a name that leads out of it.
    """
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if file.is_file()]
        if not any(file.name == "run.json" for file in files):
            raise RunError(f"The folder {path} holds no run (there is no run.json in it).")
        yield _choose(path, [Member(file.name, file.stat().st_size, partial(FileIO, file)) for file in files])
        return
    if not path.is_file():
        raise RunError(f"A run is installed from a folder or a zip file; there is no {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            yield _choose(path, _members(path, archive))
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise RunError(f"A run is installed from a folder or a zip file; {path} is neither, or damaged.") from error


def _members(path: Path, archive: zipfile.ZipFile) -> list[Member]:
    """The files in the folder of a zip file's only run.json."""
    infos = archive.infolist()
    if len(infos) > _MAX_MEMBERS:
        raise RunError(f"{path} holds {len(infos)} files, far more than a run has.")
    for info in infos:
        _check_info(path, info)
    plain = {PurePosixPath(info.filename): info for info in infos if not info.is_dir()}
    folders = [name.parent for name in plain if name.name == "run.json" and "__MACOSX" not in name.parts]
    if len(folders) != 1 or len(plain) != sum(not info.is_dir() for info in infos):
        count = "several" if folders else "no"
        raise RunError(f"A zip file to install is one run, with one run.json; {path} holds {count}.")
    strays = [name for name in plain if name.suffix.lower() in _PICKLES and name.parent != folders[0]]
    chosen = [name for name in plain if name.parent == folders[0]]
    return [Member(name.name, plain[name].file_size, partial(archive.open, plain[name])) for name in (*chosen, *strays)]


def _check_info(path: Path, info: zipfile.ZipInfo) -> None:
    """Refuse what no honest zip file of a run has."""
    name = info.orig_filename
    if name.startswith("/") or ".." in name.split("/") or any(c in name for c in "\\:\0"):
        raise RunError(f"{path} was not opened: it has a file called {name!r}, which leads out of it.")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise RunError(f"{path} was not opened: {name!r} in it is a link.")
    if info.flag_bits & _ENCRYPTED or info.compress_type not in _METHODS:
        raise RunError(f"{path} cannot be read: {name!r} in it is encrypted or compressed in an unusual way.")


def _choose(path: Path, members: list[Member]) -> list[Member]:
    """Keep the files of a run; refuse pickles and sizes that no run has."""
    pickles = [member.name for member in members if Path(member.name).suffix.lower() in _PICKLES]
    if pickles:
        raise RunError(
            f"{path} was not installed: {pickles[0]} may be a pickle, which can run anything when it is opened. The "
            "weights of a run are safetensors."
        )
    chosen = [member for member in members if RUN_FILE.fullmatch(member.name)]
    for member in chosen:
        limit = _MAX_WEIGHTS if member.name.endswith(".safetensors") else _MAX_TEXT
        if member.size > limit:
            raise RunError(f"{path} was not installed: {member.name} has {member.size} bytes, more than any run's.")
    return chosen
