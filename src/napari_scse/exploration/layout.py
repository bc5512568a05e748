"""Where a run's gates lie on a scan: which slices, which window of each, and the grid of every map.

* A run with channel gates looks at the canvas it was trained on, as its gates average over that (eq. 1); without them
  at whole slices.
* Maps are never resampled: their affine says where they lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from napari_scse import __version__
from napari_scse.conform import Window, windows
from napari_scse.errors import RunError
from napari_scse.exploration.maps import ExcitationMaps, SiteRecord
from napari_scse.inference import Location, Scan
from napari_scse.nn.recorder import Site, resolve_sites, winner_sites
from napari_scse.nn.recorder import sites as sites_of
from napari_scse.runs import Run


@dataclass(frozen=True, eq=False)
class Layout:
    """What is looked at.

    Attributes
    ----------
    scan
        The scan as the run wants it.
    gain
        Factor on its intensities.
    window
        The part of every slice that the network is shown.
    slices
        Conformed slice numbers.
    epochs
        Numbers of the checkpoints.
    records
        Site name → its kind, place and shape.
    sites
        All gates of the network, also those that are not looked at.
    """

    scan: Scan
    gain: float
    window: Window
    slices: range
    epochs: tuple[int, ...]
    records: dict[str, SiteRecord]
    sites: Mapping[str, Site]

    @classmethod
    def of(
        cls,
        scan: Scan,
        network: nn.Module,
        location: Location,
        *,
        sites: Sequence[str],
        epochs: tuple[int, ...],
        slab: int | None = None,
        centre: int | None = None,
    ) -> Layout:
        """Lay out the gates `sites` of `network`; `slab` and `centre` as for `excite`."""
        there = sites_of(network)
        averages = any(site.kind == "channel" for site in there.values())
        window = _canvas(scan, location) if averages else Window(0, 0, *scan.plane_shape)
        middle = None if centre is None else scan.geometry.number(centre)
        slices = _slab(scan, location, slab, middle)
        names = resolve_sites(network, sites)
        winners = winner_sites(network)  # they lie where the spatial gate does
        gates = {name: winners[name][0] if name in winners else name for name in names}
        records = {name: _record(there[gate], scan, slices, window, len(epochs)) for name, gate in gates.items()}
        return cls(scan, location.gain, window, slices, epochs, records, there)

    @property
    def plane_shape(self) -> tuple[int, int]:
        """(height, width) of what the network is shown."""
        return self.window.height, self.window.width

    def maps(self, run: Run, arrays: dict[str, np.ndarray]) -> ExcitationMaps:
        """Put `arrays`, one for each site, together with what they are."""
        losses = {line["epoch"]: line.get("loss") for line in run.metrics()}
        return ExcitationMaps(
            run_name=run.name,
            version=__version__,
            plane=str(run.config.plane),
            slices=(self.slices.start, self.slices.stop),
            epochs=self.epochs,
            losses=tuple(losses.get(epoch) for epoch in self.epochs),
            records=self.records,
            arrays=arrays,
        )

    def affine(self, stride: int) -> tuple[tuple[float, ...], ...]:
        """Return index (slice, row, column) of a map of that stride to RAS+ mm: (4, 4) in nested tuples."""
        return _affine(self.scan, self.slices, self.window, stride)

    def seen(self, numbers: Sequence[int]) -> np.ndarray:
        """Return what the network is shown of some of `slices`: (len(numbers), channels, height, width), float32."""
        return self.scan.slices([self.slices[number] for number in numbers], self.gain, [self.window])


def choose_epochs(run: Run, epochs: str | Sequence[int | str]) -> tuple[int, ...]:
    """Turn ``"all"``, numbers, ``"best"`` and ``"last"`` into numbers of epochs that have a checkpoint."""
    asked: Sequence[int | str] = [epochs] if isinstance(epochs, str) else epochs
    chosen = run.epochs if epochs == "all" else tuple(dict.fromkeys(run.resolve_epoch(epoch) for epoch in asked))
    if not chosen:
        raise RunError(f"No epoch was asked for, or the run {run.name} has no checkpoint.")
    return chosen


def _affine(scan: Scan, slices: range, window: Window, stride: int) -> tuple[tuple[float, ...], ...]:
    to_conformed = np.diag([1.0, stride, stride, 1.0])
    to_conformed[:3, 3] = (slices.start, window.top + (stride - 1) / 2, window.left + (stride - 1) / 2)
    affine = scan.conformation.affine(scan.geometry.stack_affine) @ to_conformed
    return tuple(tuple(row) for row in affine.tolist())


def _record(site: Site, scan: Scan, slices: range, window: Window, epochs: int) -> SiteRecord:
    if site.stride is None:
        raise RunError(f"How far {site.name} shrinks the image is not known, so its maps cannot be placed on the scan.")
    lead = (epochs, len(slices))
    if site.kind == "channel":
        return SiteRecord(site.kind, site.stride, None, (*lead, site.channels))
    shape = (*lead, -(-window.height // site.stride), -(-window.width // site.stride))
    return SiteRecord(site.kind, site.stride, _affine(scan, slices, window, site.stride), shape)


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
