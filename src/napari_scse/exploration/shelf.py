"""A bounded folder of arrays on disk, so that what was computed once is there when it is looked at again.

What was not looked at for the longest time goes first when the folder grows beyond its bound.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_scse.atomic import write_atomically
from napari_scse.errors import InputError
from napari_scse.settings import PREFERRED, user_cache

BOUND = 4 << 30  # bytes
_LEAST_ROOM = 256 << 20  # bytes that stay free


class Shelf:
    """Folders by what they hold.

    Parameters
    ----------
    root
        The folder; None: in the user's cache.
    bound
        Bytes that all of it may take on disk; what is in use is never removed. None: as preferred, or `BOUND`.
    """

    def __init__(self, root: Path | None = None, bound: int | None = None) -> None:
        self.root = root or user_cache() / "films"
        self.bound = bound if bound is not None else PREFERRED.film_bytes or BOUND
        self._used: set[Path] = set()

    def place(self, key: Mapping[str, Any]) -> Path:
        """Return the folder of `key` (what JSON can hold), made where it is missing; make room for it."""
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
        folder = self.root / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            os.utime(folder)
        except OSError as error:
            raise InputError(f"Cannot keep excitation maps in {self.root}: {error.strerror or error}.") from error
        self._used.add(folder)
        self.tidy()
        return folder

    def array(self, folder: Path, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Open the array `name` of a folder, mapped into memory; one of zeros where there is none of that shape."""
        file = folder / f"{name}.npy"
        try:
            if file.exists():
                found: np.ndarray = np.load(file, mmap_mode="r+", allow_pickle=False)
                if found.shape == shape and found.dtype == dtype:
                    return found
                file.unlink()
            return np.lib.format.open_memmap(file, mode="w+", dtype=np.dtype(dtype), shape=shape)
        except (OSError, ValueError) as error:
            raise InputError(f"Cannot keep excitation maps in {folder}: {error}.") from error

    def require_room(self) -> None:
        """Raise `InputError` where the disk is about to be full: a mapped file cannot tell of it."""
        if shutil.disk_usage(self.root).free < _LEAST_ROOM:
            raise InputError(f"The disk that holds {self.root} is full: make room on it, and go on.")

    def write(self, file: Path, text: str) -> None:
        """Write a small file."""
        write_atomically(file, text.encode())

    def size(self) -> int:
        """Return how many bytes the shelf takes on disk."""
        return sum(_size(folder) for folder in self._folders())

    def tidy(self) -> None:
        """Remove what was not looked at for the longest time until the rest is within the bound."""
        folders = sorted(self._folders(), key=lambda folder: folder.stat().st_mtime)
        sizes = {folder: _size(folder) for folder in folders}
        total = sum(sizes.values())
        for folder in folders:
            if total <= self.bound:
                return
            if folder not in self._used:
                shutil.rmtree(folder, ignore_errors=True)
                total -= sizes[folder]

    def _folders(self) -> list[Path]:
        return [path for path in self.root.iterdir() if path.is_dir()] if self.root.is_dir() else []


def _size(folder: Path) -> int:
    """What a folder takes on disk: of a file with holes only what was written."""
    total = 0
    for file in folder.iterdir():
        state = file.stat()
        total += getattr(state, "st_blocks", 0) * 512 or state.st_size
    return total


def release(*arrays: np.ndarray) -> None:
    """Give the memory that mapped arrays take up back to the system; what they hold stays."""
    for array in arrays:
        mapped = getattr(array, "_mmap", None)
        if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)
