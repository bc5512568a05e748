"""Look at everything."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from napari_scse.diagnosis.findings import Section
from napari_scse.diagnosis.folders import folders
from napari_scse.diagnosis.machine import machine
from napari_scse.diagnosis.versions import versions
from napari_scse.diagnosis.window import window

if TYPE_CHECKING:
    from napari_scse.events import Event

_SECTIONS = (("Versions", versions), ("Devices", machine), ("Window", window), ("Folders", folders))


def diagnose(more: Sequence[Section] = ()) -> Generator[Event, None, tuple[Section, ...]]:
    """Look at versions, devices, what a window needs, and folders: a few seconds, most of them for torch.

    Parameters
    ----------
    more
        What somebody else has found, put between devices and window.
    """
    from napari_scse.events import Progress  # not before: the command line's help is not to wait for NumPy

    found = []
    for number, (title, look) in enumerate(_SECTIONS):
        yield Progress(number, len(_SECTIONS), "subjects looked at")
        found.append(Section(title, tuple(look())))
    return (*found[:2], *more, *found[2:])
