"""How the excitation changes over a training, in numbers: what section IV-I of the paper reads from its figure 7.

One slice of two epochs is in memory at a time, whatever the size of the scan.
"""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np

from napari_scse.errors import InputError, RunError
from napari_scse.evaluation.report import name_structures
from napari_scse.evaluation.tables import write_table
from napari_scse.events import Event, Progress
from napari_scse.exploration.findings import CONTRASTS, FOREGROUND, EpochTally, Finding, contrast
from napari_scse.exploration.maps import ExcitationMaps
from napari_scse.exploration.regions import OUTSIDE, Regions, head_mask
from napari_scse.exploration.tallies import Correlation, Tally
from napari_scse.metrics import count_voxels
from napari_scse.structures import Structure
from napari_scse.volume import LabelVolume, Volume


@dataclass(frozen=True)
class Dynamics:
    """What `measure_dynamics` found.

    Attributes
    ----------
    run_name
        The run whose gates these are.
    sites, epochs
        What was measured; the epochs ascend.
    structures
        Those that have at least one pixel at one of the sites.
    findings
        Every number, by site, epoch and measure. What cannot be computed, such as the mean of a structure that the
        maps do not reach, is not there.
    """

    run_name: str
    sites: tuple[str, ...]
    epochs: tuple[int, ...]
    structures: tuple[Structure, ...]
    findings: tuple[Finding, ...]

    def select(self, site: str, measure: str, epoch: int | None = None) -> tuple[Finding, ...]:
        """Return the findings of one measure at one site, at one epoch or all."""
        wanted = (f for f in self.findings if (f.site, f.measure) == (site, measure))
        return tuple(f for f in wanted if epoch in (None, f.epoch))

    def series(self, site: str, measure: str, name: str) -> np.ndarray:
        """Return one number for each of `epochs`, float64; NaN where there is none."""
        found = {f.epoch: f.value for f in self.select(site, measure) if f.name == name}
        return np.array([found.get(epoch, math.nan) for epoch in self.epochs])

    def most_one_sided(self, site: str, epoch: int | None = None) -> Finding | None:
        """Return the largest asymmetry of a pair, at one epoch or all; None if there are no pairs."""
        pairs = [f for f in self.select(site, "asymmetry", epoch) if f.structure is not None]
        return max(pairs, key=lambda f: abs(f.value), default=None)

    def write_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a row per finding to a CSV file (whole or not at all)."""
        write_table(path, [field.name for field in fields(Finding)], map(astuple, self.findings))

    def describe(self) -> str:
        """Say in a line a site what the paper reads from its figure 7."""
        return "\n".join(f"{site}: {'; '.join(self._remarks(site))}." for site in self.sites)

    def _remarks(self, site: str) -> Iterator[str]:
        for pair in CONTRASTS[:2]:
            auc = self.series(site, "auc", contrast(*pair))
            if np.isfinite(auc).any():
                yield f"{contrast(*pair)}: AUC {_span(auc, '')}"
        most = max(self.select(site, "change"), key=lambda f: f.value, default=None)
        if most is not None:
            yield f"largest change {most.value:.3f}, to epoch {most.epoch}"
        pair_ = self.most_one_sided(site)
        if pair_ is not None:
            side = "left" if pair_.value > 0 else "right"
            yield f"most one-sided {pair_.name}, {abs(pair_.value):.3f} to the {side} at epoch {pair_.epoch}"
        emphasis = self.series(site, "boundary", FOREGROUND)
        if np.isfinite(emphasis).any():
            yield f"boundaries less interiors {_span(emphasis, '+')}"


def measure_dynamics(
    maps: ExcitationMaps,
    labels: LabelVolume,
    *,
    image: Volume | None = None,
    structures: Sequence[Structure] | None = None,
    sites: Sequence[str] | None = None,
    epochs: Sequence[int] | None = None,
) -> Generator[Event, None, Dynamics]:
    """Measure what the spatial gates let through, where and when; to cancel, stop iterating.

    * ``mean``, ``sd`` and ``pixels`` of each structure, of the foreground (everything labelled) and of the background
      (everything else that the labels' grid covers); with an image also of the head outside the labels and of the air.
    * ``asymmetry``: (L - R) / (L + R) of the means of two paired structures, and of all of them together.
    * ``boundary``: the mean of a structure's pixels next to another label (or none) in their row or column, less the
      mean of its other pixels; of every structure, and of the foreground.
    * ``difference`` of the means of two regions, and ``auc``: how often a pixel of the first has a larger gate than one
      of the second, equal ones counting half. That is 0.5 without contrast, and 1 or 0 if the gate tells them apart
      without fault. It does not change when gates are scaled or squeezed towards 1, as a sigmoid does that saturates;
      a difference in units of the spread would.
    * ``change``: 1 - Pearson's correlation with the epoch before, over the labels' field of view.

    Parameters
    ----------
    maps
        As recorded; each site's maps stay on their own grid.
    labels
        A prediction or a reference, on any grid: it is looked up at the centre of every pixel of a map.
    image
        A scan of the same head in the same space.
    structures
        Names of label values. None: FreeSurfer's where the values plainly are; any other is "label 5".
    sites
        None: every spatial one.
    epochs
        None: all. They are taken in ascending order.

    Yields
    ------
    Progress
        For every slice of every site.

    Returns
    -------
    Dynamics

    Raises
    ------
    RunError
        If a site or an epoch was not recorded, or a site is a channel gate.
    InputError
        If no pixel lies in a label, or the image has nothing to see in it.
    """
    names, order = spatial_sites(maps, sites), ascending_epochs(maps, epochs)
    values = np.array([value for value in count_voxels(labels.data) if value != 0], dtype=labels.data.dtype)
    named = _named(values.tolist(), structures)
    head = None if image is None else head_mask(image)
    total, done = sum(maps.record(site).shape[1] for site in names), 0
    findings: list[Finding] = []
    for site in names:
        _, slices, *shape = maps.record(site).shape
        regions = Regions(labels, values, head, maps.affine(site), (shape[0], shape[1]))
        tallies = [Tally(regions.count, regions.labelled, maps[site].dtype) for _ in order]
        changes = [Correlation() for _ in order[1:]]
        for number in range(slices):
            _add_slice(maps, site, number, order, regions, tallies, changes)
            done += 1
            yield Progress(done, total, "Measuring")
        if not tallies[0].moments(range(regions.labelled)).count:
            raise InputError(f"The labels and the maps do not meet: no pixel of {site} lies in a labelled voxel.")
        for place, index in enumerate(order):
            change = 1 - changes[place - 1].r if place else math.nan
            findings.extend(EpochTally(site, maps.epochs[index], tallies[place], named, change).findings())
    reached = {f.structure for f in findings if f.measure == "mean"}
    return Dynamics(
        run_name=maps.run_name,
        sites=names,
        epochs=tuple(maps.epochs[index] for index in order),
        structures=tuple(s for s in named if s.value in reached),
        findings=tuple(findings),
    )


def _add_slice(
    maps: ExcitationMaps,
    site: str,
    number: int,
    order: Sequence[int],
    regions: Regions,
    tallies: Sequence[Tally],
    changes: Sequence[Correlation],
) -> None:
    group = regions.groups(number)
    inside = group != OUTSIDE
    before: np.ndarray | None = None
    for place, index in enumerate(order):
        values = np.asarray(maps[site][index, number])[inside].astype(np.float64) / maps.unit
        tallies[place].add(group[inside], values)
        if before is not None:
            changes[place - 1].add(before, values)
        before = values


def spatial_sites(maps: ExcitationMaps, sites: Sequence[str] | None) -> tuple[str, ...]:
    """The sites asked for, each once; `ExcitationMaps.affine` refuses the others."""
    names = tuple(dict.fromkeys(sites or (site for site in maps.sites if maps.record(site).kind == "spatial")))
    if not names:
        raise RunError(f"There are no maps of a spatial gate, only {', '.join(maps.sites)}.")
    for site in names:
        maps.affine(site)
    return names


def ascending_epochs(maps: ExcitationMaps, epochs: Sequence[int] | None) -> list[int]:
    """Indices along the first axis, in the order of the epochs' numbers."""
    missing = [epoch for epoch in epochs or () if epoch not in maps.epochs]
    if missing:
        raise RunError(f"Epoch {missing[0]} was not recorded; there is {', '.join(map(str, maps.epochs))}.")
    return [maps.epochs.index(epoch) for epoch in sorted(set(epochs or maps.epochs))]


def names_for(labels: LabelVolume, structures: Sequence[Structure]) -> Sequence[Structure] | None:
    """Return the names that `structures` are for `labels`: None, any names, where these hold other values as well."""
    return structures if count_voxels(labels.data).keys() - {0} <= {s.value for s in structures} else None


def _named(values: Sequence[int], structures: Sequence[Structure] | None) -> list[Structure]:
    known = {s.value: s for s in (name_structures(values) if structures is None else structures)}
    return [known.get(value) or name_structures([value])[0] for value in values]


def _span(values: np.ndarray, sign: str) -> str:
    """``0.912 to 0.935``: the first and the last of `values` that there are."""
    there = values[np.isfinite(values)]
    ends = [f"{value:{sign}.3f}" for value in there[[0, -1]]]
    return ends[0] if len(there) == 1 else f"{ends[0]} (first epoch) to {ends[1]} (last)"
