"""Journals of processes that are gone: what is left of their edits."""

from __future__ import annotations

import json
import logging
import platform
import shutil
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from napari_scse.errors import InputError
from napari_scse.journal.records import decode
from napari_scse.journal.writing import _VERSION, EDITS_FILE, SUBJECT_FILE, Subject, journals_folder

_SAME = 2.0  # seconds by which the computer's clock may be set while a process lives
_SILENT = 3600.0  # seconds after which a process of another computer counts as gone
_OLD = 60 * 86400.0  # seconds after which nobody wants it back
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Restored:
    """What a journal held at its end.

    Attributes
    ----------
    labels
        The array, of the subject's shape and dtype.
    painted
        Which voxels were the user's; bool, of the same shape.
    """

    labels: np.ndarray
    painted: np.ndarray


@dataclass(frozen=True)
class Lost:
    """A journal whose process is gone."""

    folder: Path
    subject: Subject

    @property
    def time(self) -> datetime:
        """When it was last written to."""
        return datetime.fromtimestamp((self.folder / EDITS_FILE).stat().st_mtime)

    def restore(self) -> Restored:
        """Read the edits; the journal stays until `discard`.

        Raises
        ------
        InputError
            The journal is gone or cannot be read.
        """
        size = int(np.prod(self.subject.shape))
        labels, painted = np.zeros(size, self.subject.dtype), np.zeros(size, bool)
        try:
            with (self.folder / EDITS_FILE).open("rb") as file:
                for indices, values, flags in decode(file, labels.dtype):
                    labels[indices], painted[indices] = values, flags
        except OSError as error:
            raise InputError(
                f"The edits of “{self.subject.name}” cannot be read: {error.strerror or error}."
            ) from error
        except IndexError as error:
            raise InputError(
                f"The edits of “{self.subject.name}” do not fit its shape {self.subject.shape}."
            ) from error
        return Restored(labels.reshape(self.subject.shape), painted.reshape(self.subject.shape))

    def discard(self) -> None:
        """Delete the journal."""
        shutil.rmtree(self.folder, ignore_errors=True)


def find_lost(root: Path | None = None) -> list[Lost]:
    """Return the journals of processes that are gone, the last first; very old ones and empty ones are deleted.

    Parameters
    ----------
    root
        Where to look (default: `journals_folder`).
    """
    root = journals_folder() if root is None else root
    found = []
    for folder in sorted(root.glob("[0-9]*-*"), reverse=True):
        try:
            noted = json.loads((folder / SUBJECT_FILE).read_text(encoding="utf-8"))
            last = max(path.stat().st_mtime for path in folder.iterdir())
            if noted["version"] != _VERSION or _is_alive(noted, last):
                continue
            edits = folder / EDITS_FILE
            if time.time() - last > _OLD or not edits.exists() or not edits.stat().st_size:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            about = noted["subject"]
            found.append(Lost(folder, Subject(**about | {"shape": tuple(about["shape"])})))
        except (OSError, KeyError, TypeError, ValueError, InputError) as error:
            _log.warning("the journal %s cannot be read: %s", folder, error)
    return found


def _is_alive(noted: dict[str, Any], last: float) -> bool:
    """Whether the process that writes the journal is there: the same, not another that has got its number since."""
    if noted["host"] != platform.node():
        return time.time() - last < _SILENT
    try:
        process = psutil.Process(int(noted["pid"]))
        gone = process.status() == psutil.STATUS_ZOMBIE
        return not gone and abs(process.create_time() - float(noted["since"])) < _SAME
    except psutil.Error:
        return False
