"""`napari-scse demo`: an average brain, its structures, and where the network looked at every epoch of its training."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from napari_scse.cli.console import follow, say, shows_progress
from napari_scse.cli.display import screen
from napari_scse.diagnosis.window import has_display
from napari_scse.errors import InputError

if TYPE_CHECKING:
    from napari_scse.events import Event

Result = TypeVar("Result")

_NO_QT = "The window needs napari with a Qt binding: install them with “pip install napari-scse[all]”."
_NO_DISPLAY = (
    "There is no display to open a window on: add “--headless DIR” to have the labels, the maps and pictures of the "
    "window written to a folder."
)
_DRAWING_SECONDS = 300


def demo(
    headless: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", show_default=False, help="Open no window: write labels, maps and pictures of it to DIR."
        ),
    ] = None,
) -> None:
    """Show an average brain, its 27 structures, and where the network looked at every epoch of its training."""
    if headless is not None:
        write_demo(headless)
        return
    if not has_display():
        raise InputError(_NO_DISPLAY)
    try:
        from napari_scse._widgets.demo import show_demo
    except ImportError as error:
        raise InputError(_NO_QT) from error
    show_demo()


def write_demo(folder: Path) -> None:
    """Write ``labels.nii.gz``, ``maps.zarr``, ``labels.png`` and ``excitation.png`` to `folder`, replacing older ones.

    Raises
    ------
    InputError
        If the folder cannot be used, nothing can draw the window, or the sample brain is not installed.
    RunError
        If a bundled run is missing.
    """
    from napari_scse._napari.sample import mni152
    from napari_scse._napari.showcase import CENTRE, SITES, SLAB, shown_slice
    from napari_scse.execution import tune_allocator
    from napari_scse.exploration import excite
    from napari_scse.images import write_labels
    from napari_scse.inference import segment
    from napari_scse.runs import DEFAULT_EXPLORE_RUN, default_run, load_run

    _prepare(folder)
    with screen() as environment:  # first: to fail for want of a screen after minutes of work would be unkind
        run, explored, volume = default_run(), load_run(DEFAULT_EXPLORE_RUN), mni152()
        tune_allocator()
        started = time.monotonic()
        done = _report(segment(volume, run), "labels")
        write_labels(folder / "labels.nii.gz", done.labels)
        centre = shown_slice(volume, explored.config.plane, CENTRE)
        store = folder / "maps.zarr"
        work = excite(volume, explored, sites=SITES, slab=SLAB, centre=centre, store=store, dtype="float32")
        _report(work, "excitation maps")
        print("pictures of napari's window …", flush=True)
        _draw(folder, environment)
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    print(f"Done in {minutes} min {seconds} s. In {folder}:")
    for name in ("labels.nii.gz", "maps.zarr", "labels.png", "excitation.png"):
        print(f"  {name}")


def _prepare(folder: Path) -> None:
    """Make the folder, and remove the maps of an earlier demo."""
    import shutil

    from napari_scse.exploration import open_maps

    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: name a folder to write the demo to.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "maps.zarr").exists():
            open_maps(folder / "maps.zarr")  # refuses what is not ours, so that it is not removed
            shutil.rmtree(folder / "maps.zarr")
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}.") from error


def _report(work: Generator[Event, None, Result], what: str) -> Result:
    """Run `work`; draw a bar in a terminal, print a line now and then elsewhere."""
    if shows_progress():
        result, messages = follow(work, what)
        say(*messages)
        return result
    from napari_scse.events import MapDone, Message, SliceDone, drain

    tenths = 0

    def tell(event: Event) -> None:
        nonlocal tenths
        if isinstance(event, Message):
            print(event.text, flush=True)
        elif isinstance(event, SliceDone | MapDone) and event.done * 10 // event.total > tenths:
            tenths = event.done * 10 // event.total
            print(f"{what}: {event.done} of {event.total}", flush=True)

    print(f"{what} …", flush=True)
    return drain(work, tell)


def _draw(folder: Path, environment: dict[str, str]) -> None:
    """Open the window in a process of its own, with settings of its own, and have it photographed."""
    with tempfile.TemporaryDirectory(prefix="napari-scse-") as settings:
        command = [sys.executable, "-m", "napari_scse._widgets.demo", str(folder.resolve())]
        own = environment | {"NAPARI_CONFIG": str(Path(settings) / "settings.yaml")}
        try:
            done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=_DRAWING_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise InputError(
                f"The labels and maps are in {folder}, but napari's window did not open in time."
            ) from error
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        reason = lines[-1] if lines else f"it ended with code {done.returncode}"
        raise InputError(f"The labels and maps are in {folder}, but napari's window could not be drawn: {reason}")
