"""Pause and stop a training from another process: it looks at a small file between its events.

A file works on every system, survives both sides, and is looked at where the training is whole: between two steps.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from napari_scse.atomic import write_atomically
from napari_scse.errors import ScseError
from napari_scse.events import Continued, Ended, Event, Paused

CONTROL_FILE = "control"
_PACE = 0.2  # seconds between two looks at the file during a pause

Result = TypeVar("Result")


class Wish(StrEnum):
    """What a training is asked to do."""

    GO_ON = "go on"
    PAUSE = "pause"
    STOP = "stop"


def ask(folder: Path, wish: Wish) -> None:
    """Ask the training in `folder`; it follows after its present step."""
    if wish is Wish.GO_ON:
        (folder / CONTROL_FILE).unlink(missing_ok=True)
    else:
        write_atomically(folder / CONTROL_FILE, wish.value.encode())


def asked(folder: Path) -> Wish:
    """Return what the training in `folder` is asked to do."""
    try:
        return Wish((folder / CONTROL_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Wish.GO_ON


def attended(work: Generator[Event, None, Result], folder: Path) -> Generator[Event, None, Result | None]:
    """Do `work` as the control file in `folder` asks, and say how it ends.

    Yields
    ------
    Event
        Those of `work`; `Paused` and `Continued`; `Ended` at the end.

    Returns
    -------
    The work's result, or None where it was stopped.
    """
    with closing(work):
        try:
            while True:
                wish = asked(folder)
                if wish is Wish.STOP:
                    ask(folder, Wish.GO_ON)
                    yield Ended("stopped")
                    return None
                if wish is Wish.PAUSE:
                    yield Paused()
                    _free_memory()
                    while asked(folder) is Wish.PAUSE:
                        time.sleep(_PACE)
                    yield Continued()
                    continue
                yield next(work)
        except StopIteration as stop:
            result: Result = stop.value
        except ScseError as error:
            yield Ended("failed", str(error))
            raise
    yield Ended("finished")
    return result


def _free_memory() -> None:
    """Give back what the GPU keeps for the next step; weights and the optimiser's state stay."""
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
