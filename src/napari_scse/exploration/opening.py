"""Open the film of a scan: lay it out for a run, and find what was computed of it before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_scse.errors import RunError
from napari_scse.events import Event, Message
from napari_scse.execution import Executor, choose_device
from napari_scse.exploration.film import LABELS, Film
from napari_scse.exploration.frames import Frames
from napari_scse.exploration.layout import Layout, choose_epochs
from napari_scse.exploration.shelf import Shelf
from napari_scse.inference import NOTHING_FOUND, Location, Scan, locate
from napari_scse.nn.recorder import resolve_sites, winner_sites
from napari_scse.nn.recorder import sites as sites_of
from napari_scse.runs import Run
from napari_scse.volume import Volume

_FORMAT = 3


def open_film(
    volume: Volume,
    run: Run,
    *,
    sites: Sequence[str] = ("first", "last"),
    epochs: str | Sequence[int | str] = "all",
    labels: bool = True,
    winners: bool = False,
    device: str | torch.device = "auto",
    precision: str = "float32",
    shelf: Shelf | None = None,
) -> Generator[Event, None, Film]:
    """Lay a scan out for a run's gates, without computing any: `develop` does that, where it is looked at.

    Parameters
    ----------
    volume, run, sites, epochs, device, precision
        As for `excite`.
    labels
        Whether to label the slices as well; without, a forward pass stops at the deepest site.
    winners
        Whether to keep the winner map of every chosen spatial site that has one.
    shelf
        Where films are kept; None: `Shelf()`.

    Yields
    ------
    Progress
        During the coarse pass, where this scan was not looked at before.
    Message
        Sentences for the user.

    Raises
    ------
    InputError, RunError, DeviceError
        As for `excite`.
    """
    chosen = choose_epochs(run, epochs)
    where = choose_device(device)
    network = run.network("best")
    names = resolve_sites(network, sites)
    if winners:
        names += tuple(name for name, (spatial, _) in winner_sites(network).items() if spatial in names)
    if not names and not labels:
        raise RunError(f"No site was asked for; this run has {', '.join(sites_of(network)) or 'none'}.")
    scan = Scan.of(volume, run.config)
    shelf = shelf or Shelf()
    look = {"scan": digest(volume), "run": _identity(run, chosen), "device": where.type, "precision": precision}
    place = shelf.place(look | {"format": _FORMAT, "what": "location"})
    found = place / "location.json"
    if found.exists():
        location = _read_location(found)
    else:
        with Executor(network, where, precision) as executor:
            location = yield from locate(scan, executor)
        shelf.write(found, json.dumps(asdict(location)))
    if not location.found:
        yield Message(NOTHING_FOUND)
    layout = Layout.of(scan, network, location, sites=names, epochs=chosen)
    lead = (len(chosen), len(layout.slices))
    wanted: dict[str, tuple[tuple[int, ...], Any]] = {n: (r.shape, np.float32) for n, r in layout.records.items()}
    if labels:
        wanted[LABELS] = ((*lead, layout.window.height, layout.window.width), run.config.values.dtype)
    folder = shelf.place(look | {"format": _FORMAT, "sites": sorted(wanted)})
    arrays = {name: shelf.array(folder, name, shape, dtype) for name, (shape, dtype) in wanted.items()}
    done = shelf.array(folder, "done", lead, np.bool_)
    return Film(run, layout, Frames(run, layout, where, precision, 1), shelf, arrays, done)


def digest(volume: Volume) -> str:
    """The SHA-256 of a scan: its numbers and where they lie."""
    found = hashlib.sha256(np.ascontiguousarray(volume.data).data)
    found.update(np.asarray(volume.affine, np.float64).tobytes())
    found.update(f"{volume.data.dtype}{volume.shape}".encode())
    return found.hexdigest()


def _identity(run: Run, epochs: Sequence[int]) -> list[Any]:
    """What changes when a run or one of its checkpoints does."""
    described = json.dumps(run.config.to_dict(), sort_keys=True)
    files = [run.checkpoint(epoch) for epoch in epochs]
    return [
        hashlib.sha256(described.encode()).hexdigest(),
        *([f.name, f.stat().st_size, f.stat().st_mtime_ns] for f in files),
    ]


def _read_location(path: Path) -> Location:
    described = json.loads(path.read_text(encoding="utf-8"))
    return Location(**described | {"box": tuple(described["box"])})
