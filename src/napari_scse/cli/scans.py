"""Reading the scan that a verb works on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_scse.volume import Volume


def read_scan(path: Path, frame: int | None) -> tuple[Volume, tuple[str, ...]]:
    """Read the scan at `path`, and sentences on what had to be assumed about its place in space.

    Raises
    ------
    InputError, SpaceError
        As `images.read`; for a 4-D file the sentence names the option that chooses a frame.
    """
    from napari_scse.errors import InputError
    from napari_scse.images import read_with_notes

    try:
        return read_with_notes(path, frame)
    except InputError as error:
        if frame is None and "is 4-D (" in str(error):
            raise InputError(f"{error} Or choose one with --frame N.") from error
        raise
