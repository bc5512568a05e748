"""Refuse an output that cannot or must not be written before any work is done for it."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path

from napari_scse.errors import InputError


def check_output_file(
    path: Path, suffixes: Collection[str], inputs: Iterable[Path], outputs: Iterable[Path] = ()
) -> None:
    """Check that `path` can be written: its suffix, its folder, and that it is none of `inputs` and other `outputs`.

    Raises
    ------
    InputError
        An unknown suffix; a folder that is missing or read-only; something that is not a plain file in its place; the
        same file as an input or another output, by whatever path or link.
    """
    name = path.name.lower()
    if not name.endswith(tuple(suffixes)) or name in suffixes:
        raise InputError(f"Cannot write '{path}': its name must end in {_either(suffixes)}.")
    if path.is_dir():
        raise InputError(f"Cannot write '{path}': it is a folder; give the name of a file.")
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        raise InputError(f"Cannot write '{path}': something that is not a file is in its place.")
    _check_is_none_of(path, inputs, "the input")
    _check_is_none_of(path, outputs, "another output")
    if path.exists() and not os.access(path, os.W_OK):
        raise InputError(f"Cannot write '{path}': the file there is write-protected.")
    _check_folder(path)


def check_output_folder(path: Path, suffix: str, inputs: Iterable[Path]) -> None:
    """Check that a folder can be made at `path`, where nothing may be yet, and whose name must end in `suffix`.

    Raises
    ------
    InputError
        As `check_output_file`; also if anything is already there (a folder of results is never replaced).
    """
    if not path.name.lower().endswith(suffix) or path.name.lower() == suffix:
        raise InputError(f"Cannot write '{path}': its name must end in {suffix}.")
    _check_is_none_of(path, inputs, "the input")
    if path.exists() or path.is_symlink():
        raise InputError(f"Cannot write '{path}': it exists already; remove it or choose another name.")
    _check_folder(path)


def _check_is_none_of(path: Path, others: Iterable[Path], what: str) -> None:
    for other in others:
        same_place = os.path.realpath(path) == os.path.realpath(other)
        if same_place or (path.exists() and other.exists() and path.samefile(other)):
            raise InputError(f"Cannot write '{path}': it is {what}; choose another name.")


def _check_folder(path: Path) -> None:
    """Check that a file can be made where `path` leads, by making one there that has no name or loses it at once."""
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise InputError(f"Cannot write '{path}': it is a link that leads back to itself.")
    if not target.parent.is_dir():
        raise InputError(f"Cannot write '{path}': there is no folder '{target.parent}'.")
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise InputError(f"Cannot write '{path}': the folder cannot be written to ({error.strerror}).") from error


def _either(suffixes: Collection[str]) -> str:
    *others, last = suffixes
    return f"{', '.join(others)} or {last}" if others else last
