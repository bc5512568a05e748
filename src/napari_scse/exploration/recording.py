"""Run a scan through a run's checkpoints and keep what its gates let through (the paper's figure 7).

* Epochs are the outer loop: each checkpoint is loaded once, and never more than a batch of maps is in memory.
* A forward pass stops at the deepest site that is asked for.
* A run with channel gates looks at the canvas it was trained on, as its gates average over that (eq. 1); without them
  at whole slices. Maps are never resampled: their affine says where they lie.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from napari_scse import __version__
from napari_scse.conform import Window, windows
from napari_scse.errors import InputError, RunError
from napari_scse.events import Event, MapDone, Message
from napari_scse.execution import Executor, choose_device
from napari_scse.exploration.maps import DTYPES, ExcitationMaps, MapsStarted, SiteRecord
from napari_scse.exploration.store import describe, make_arrays, open_maps, partial_store
from napari_scse.inference import NOTHING_FOUND, Location, Scan, locate
from napari_scse.nn.recorder import Site, record_excitations, resolve_sites
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
        Gates to look at, as the paper names them. ``"first"`` is sE-1 and ``"last"`` the last decoder, sD-4 at depth 4.
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
    chosen = _epochs(run, epochs)
    where = choose_device(device)
    network = run.network("best")
    there = sites_of(network)
    names = resolve_sites(network, sites)
    if not names:
        raise RunError(f"No site was asked for; this run has {', '.join(there) or 'none'}.")
    scan = Scan.of(volume, run.config)
    middle = None if centre is None else scan.geometry.number(centre)

    with ExitStack() as stack:
        folder = None if store is None else stack.enter_context(partial_store(Path(store)))
        if location is None:
            with Executor(network, where, precision, batch_size) as executor:
                location = yield from locate(scan, executor)
            if not location.found:
                yield Message(NOTHING_FOUND)
        averages = any(site.kind == "channel" for site in there.values())
        window = _canvas(scan, location) if averages else Window(0, 0, *scan.plane_shape)
        slices = _slab(scan, location, slab, middle)
        records = {name: _record(there[name], scan, slices, window, len(chosen)) for name in names}
        arrays = make_arrays(records, dtype, folder)
        losses = {line["epoch"]: line.get("loss") for line in run.metrics()}
        maps = ExcitationMaps(
            run_name=run.name,
            version=__version__,
            plane=str(run.config.plane),
            slices=(slices.start, slices.stop),
            epochs=chosen,
            losses=tuple(losses.get(epoch) for epoch in chosen),
            records=records,
            arrays=arrays,
            path=folder,
        )
        if folder is not None:
            describe(folder, maps)
        yield MapsStarted(maps)
        said: set[str] = set()
        for index, epoch in enumerate(chosen):
            with Executor(run.network(epoch), where, precision, batch_size) as executor:
                for number, gates in enumerate(_record_slices(scan, executor, records, slices, window, location.gain)):
                    for name, gate in gates.items():
                        arrays[name][index, number] = np.rint(gate * 255) if dtype == "uint8" else gate
                    yield from (Message(text) for text in executor.messages if text not in said)
                    said.update(executor.messages)
                    done = index * len(slices) + number + 1
                    yield MapDone(index, number, done, len(chosen) * len(slices))
    return maps if store is None else open_maps(store)


def _record_slices(
    scan: Scan, executor: Executor, records: Mapping[str, SiteRecord], slices: range, window: Window, gain: float
) -> Iterator[dict[str, np.ndarray]]:
    """For each slice and site its gate: float32 (h, w) or (C,)."""

    def look(network: nn.Module, batch: Tensor) -> dict[str, np.ndarray]:
        with record_excitations(network, records, stop_early=True) as recorder:
            network(batch)
        gates = {}
        for name, record in records.items():
            gate = recorder.maps[name].float().cpu().numpy()
            gates[name] = gate[:, 0] if record.kind == "spatial" else gate[:, :, 0, 0]
        return gates

    size = executor.batch_size(window.height, window.width)
    for start in range(slices.start, slices.stop, size):
        seen = scan.slices(range(start, min(start + size, slices.stop)), gain, [window])
        for maps in executor.map(seen, look):
            for place in range(len(next(iter(maps.values())))):
                yield {name: gate[place] for name, gate in maps.items()}


def _record(site: Site, scan: Scan, slices: range, window: Window, epochs: int) -> SiteRecord:
    lead = (epochs, len(slices))
    if site.kind == "channel":
        return SiteRecord(site.kind, site.stride, None, (*lead, site.channels))
    to_conformed = np.diag([1.0, site.stride, site.stride, 1.0])
    to_conformed[:3, 3] = (slices.start, window.top + (site.stride - 1) / 2, window.left + (site.stride - 1) / 2)
    affine = scan.conformation.affine(scan.geometry.stack_affine) @ to_conformed
    shape = (*lead, -(-window.height // site.stride), -(-window.width // site.stride))
    return SiteRecord(site.kind, site.stride, tuple(tuple(row) for row in affine.tolist()), shape)


def _epochs(run: Run, epochs: str | Sequence[int | str]) -> tuple[int, ...]:
    asked: Sequence[int | str] = [epochs] if isinstance(epochs, str) else epochs
    chosen = run.epochs if epochs == "all" else tuple(dict.fromkeys(run.resolve_epoch(epoch) for epoch in asked))
    if not chosen:
        raise RunError(f"No epoch was asked for, or the run {run.name} has no checkpoint.")
    return chosen


def _slab(scan: Scan, location: Location, size: int | None, middle: int | None) -> range:
    """Conformed slice numbers: `size` of them around the scan's own slice `middle`, or around the located region."""
    count, source = len(scan.data), scan.geometry.stack_shape[0]
    if size is None or size >= count:
        return range(count)
    centre = location.centre[0]
    if middle is not None:
        centre = round((middle - (source - 1) / 2) / scan.conformation.steps[0] + (count - 1) / 2)
    first = min(max(0, centre - size // 2), count - size)
    return range(first, first + size)


def _canvas(scan: Scan, location: Location) -> Window:
    """One window of the run's canvas on the middle of the located region."""
    top, bottom, left, right = location.box
    _, row, column = location.centre
    if bottom - top > scan.config.canvas[0]:
        top, bottom = row, row + 1
    if right - left > scan.config.canvas[1]:
        left, right = column, column + 1
    (window,) = windows(scan.plane_shape, scan.config.canvas, (top, bottom, left, right))
    return window
