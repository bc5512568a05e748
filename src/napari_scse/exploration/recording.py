"""Run a scan through a run's checkpoints and keep what its gates let through (the paper's figure 7).

* Epochs are the outer loop: each checkpoint is loaded once, and never more than a batch of maps is in memory.
* A forward pass stops at the deepest site that is asked for.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from napari_scse.errors import InputError, RunError
from napari_scse.events import Event, MapDone, Message
from napari_scse.execution import Executor, choose_device
from napari_scse.exploration.frames import Frames
from napari_scse.exploration.layout import Layout, choose_epochs
from napari_scse.exploration.maps import DTYPES, ExcitationMaps, MapsStarted
from napari_scse.exploration.store import describe, make_arrays, open_maps, partial_store
from napari_scse.inference import NOTHING_FOUND, Location, Scan, locate
from napari_scse.nn.recorder import resolve_sites
from napari_scse.nn.recorder import sites as sites_of
from napari_scse.runs import Run
from napari_scse.volume import Volume


def excite(
    volume: Volume,
    run: Run,
    *,
    sites: Sequence[str] = ("first", "last"),
    epochs: str | Sequence[int | str] = "all",
    slab: int | None = None,
    centre: int | None = None,
    store: Path | str | None = None,
    dtype: str = "uint8",
    device: str | torch.device = "auto",
    precision: str = "float32",
    batch_size: int | None = None,
    location: Location | None = None,
) -> Generator[Event, None, ExcitationMaps]:
    """Record the excitation maps of `volume`; to cancel, stop iterating and close the generator.

    Parameters
    ----------
    volume
        As for `segment`.
    run
        The trained network.
    sites
        Gates to look at, as the paper names them. ``"first"`` is sE-1 and ``"last"`` the last decoder, sD-4 at depth 4;
        ``"wD-4"`` is a winner map (`nn.sites`).
    epochs
        ``"all"`` checkpoints of the run, or some of them: numbers, ``"best"``, ``"last"``.
    slab
        Only that many slices (at the run's spacing) around `centre`; None: all.
    centre
        Index along the volume's axis through the plane; None: the middle of the region that the run labels.
    store
        A zarr store to make; it is there when it is complete, and nothing of it stays otherwise. None: in memory.
    dtype
        ``"uint8"`` (255 is an open gate) or ``"float32"``.
    device, precision, batch_size
        See `execution`.
    location
        Of an earlier `segment` of the same volume with a run of the same plane and spacing: saves the coarse pass.

    Yields
    ------
    Progress
        During the coarse pass.
    MapsStarted
        Once, with the arrays that are about to be filled.
    MapDone
        For every slice of every epoch.
    Message
        Sentences for the user.

    Returns
    -------
    ExcitationMaps

    Raises
    ------
    InputError
        If the volume or an option is not valid, or the store exists already or cannot be written.
    RunError, DeviceError
        If the run has no such epoch or site, or the device is not there or too small.
    """
    if dtype not in DTYPES:
        raise InputError(f"Excitation maps are stored as {' or '.join(DTYPES)}, not {dtype!r}.")
    if slab is not None and slab < 1:
        raise InputError(f"A slab has at least one slice, not {slab}.")
    if centre is not None and slab is None:
        raise InputError("A centre is the middle of a slab: say how many slices the slab has.")
    chosen = choose_epochs(run, epochs)
    where = choose_device(device)
    network = run.network("best")
    if not resolve_sites(network, sites):
        raise RunError(f"No site was asked for; this run has {', '.join(sites_of(network)) or 'none'}.")
    scan = Scan.of(volume, run.config)

    with ExitStack() as stack:
        folder = None if store is None else stack.enter_context(partial_store(Path(store)))
        if location is None:
            with Executor(network, where, precision, batch_size) as executor:
                location = yield from locate(scan, executor)
            if not location.found:
                yield Message(NOTHING_FOUND)
        layout = Layout.of(scan, network, location, sites=sites, epochs=chosen, slab=slab, centre=centre)
        arrays = make_arrays(layout.records, dtype, folder)
        maps = replace(layout.maps(run, arrays), path=folder)
        if folder is not None:
            describe(folder, maps)
        yield MapsStarted(maps)
        said: set[str] = set()
        count = len(layout.slices)
        for index in range(len(chosen)):
            with Frames(run, layout, where, precision, batch_size) as frames:
                for number, frame in enumerate(frames.look(index, range(count), maps.sites)):
                    for name, gate in frame.gates.items():
                        arrays[name][index, number] = np.rint(gate * 255) if dtype == "uint8" else gate
                    yield from (Message(text) for text in frames.messages() if text not in said)
                    said.update(frames.messages())
                    yield MapDone(index, number, index * count + number + 1, len(chosen) * count)
    return maps if store is None else open_maps(store)
