"""Write a journal: a description of the array, and a file of edits that only grows until it is written anew."""

from __future__ import annotations

import json
import os
import platform
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from io import RawIOBase
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from napari_scse.errors import InputError
from napari_scse.journal.records import differences, encode
from napari_scse.settings import user_data

SUBJECT_FILE, EDITS_FILE = "subject.json", "edits.log"
_VERSION = 1
_LARGE = 16 << 20  # bytes of edits from which on writing anew is considered
_GROWN = 4  # times the size after the last time


@dataclass(frozen=True)
class Subject:
    """What a journal is about.

    Attributes
    ----------
    name
        The layer's name.
    shape, dtype
        Of the array; the dtype's name is that of an integer type.
    affine
        Voxel index to RAS+ mm, (4, 4) as lists; None if it has none.
    source
        The path of the scan; empty if it has none.
    look
        Whatever else is needed to show the array again; plain JSON.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    affine: list[list[float]] | None = None
    source: str = ""
    look: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kind = np.dtype(self.dtype).kind
        if kind not in "iu" or not self.shape or min(self.shape) < 1:
            raise InputError(f"A journal holds whole numbers in an array, not {self.dtype} of shape {self.shape}.")


class Journal:
    """The journal of one array, written by this process; not for several threads at once.

    Parameters
    ----------
    folder
        Its folder, with the description in it; see `create`.
    subject
        The description.
    """

    def __init__(self, folder: Path, subject: Subject) -> None:
        self.folder, self.subject = folder, subject
        size = int(np.prod(subject.shape))
        self._labels, self._painted = np.zeros(size, subject.dtype), np.zeros(size, bool)
        self._after_writing_anew = 0

    @classmethod
    def create(cls, subject: Subject, root: Path | None = None) -> Journal:
        """Begin a journal in a new folder of `root` (default: `journals_folder`), for an array of zeros.

        Raises
        ------
        InputError
            The folder cannot be written to.
        """
        root = journals_folder() if root is None else root
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
        part, folder = root / f".{name}.part", root / name
        me = psutil.Process()
        whole = {
            "version": _VERSION,
            "host": platform.node(),
            "pid": me.pid,
            "since": me.create_time(),
            "subject": asdict(subject),
        }
        try:
            part.mkdir(parents=True)
            (part / SUBJECT_FILE).write_text(json.dumps(whole), encoding="utf-8")
            part.replace(folder)
        except OSError as error:
            raise InputError(f"Edits cannot be kept in {root}: {error.strerror or error}.") from error
        return cls(folder, subject)

    def update(self, labels: np.ndarray, painted: np.ndarray) -> int:
        """Append what changed since the last time; the arrays have the subject's shape. Returns the voxels that did.

        Raises
        ------
        InputError
            The file cannot be written: what was not appended will be the next time.
        """
        after = labels.reshape(-1), painted.reshape(-1)
        count, path = 0, self.folder / EDITS_FILE
        try:
            with path.open("ab", buffering=0) as file:  # a buffer would come after all once it was given up
                whole = file.tell()
                try:
                    for indices, values, flags in differences((self._labels, self._painted), after):
                        whole += _write_all(file, encode(indices, values, flags))
                        self._labels[indices], self._painted[indices] = values, flags
                        count += len(indices)
                except OSError:
                    file.truncate(whole)  # a record that is cut short would hide all that follow
                    raise
                if count:
                    os.fsync(file.fileno())
            if whole > max(_LARGE, _GROWN * self._after_writing_anew):
                self._write_anew(path)
        except OSError as error:
            raise InputError(f"Edits cannot be kept in {path}: {error.strerror or error}.") from error
        return count

    def close(self) -> None:
        """Forget the edits: they are saved elsewhere, or not wanted."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write_anew(self, path: Path) -> None:
        """Replace the file by one without what was edited again later."""
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            for record in self._all():
                file.write(encode(*record))
            file.flush()
            os.fsync(file.fileno())
            self._after_writing_anew = file.tell()
        part.replace(path)

    def _all(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        zeros = np.zeros(1, self._labels.dtype), np.zeros(1, bool)
        nothing = np.broadcast_to(zeros[0], self._labels.shape), np.broadcast_to(zeros[1], self._labels.shape)
        return differences(nothing, (self._labels, self._painted))


def _write_all(file: RawIOBase, data: bytes) -> int:
    done = 0
    while done < len(data):
        done += file.write(data[done:]) or 0
    return done


def journals_folder() -> Path:
    """Where journals are kept, for all programs of this user."""
    return user_data() / "journals"
