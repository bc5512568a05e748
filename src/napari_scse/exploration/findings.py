"""What is measured of one epoch of one site, from its tally."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from napari_scse.exploration.regions import AIR, OTHER_HEAD, UNLABELLED
from napari_scse.exploration.tallies import Moments, Tally
from napari_scse.sides import mirrored, split_side
from napari_scse.structures import Structure

FOREGROUND, BACKGROUND = "foreground", "background"
HEAD, SURROUNDINGS = "head outside the labels", "air"
PAIRED, FIELD_OF_VIEW = "paired structures", "field of view"
MEASURES = ("mean", "sd", "pixels", "asymmetry", "boundary", "difference", "auc", "change")
CONTRASTS = ((FOREGROUND, BACKGROUND), (HEAD, SURROUNDINGS), (FOREGROUND, HEAD))


@dataclass(frozen=True)
class Finding:
    """One number.

    Attributes
    ----------
    site, epoch
        Where and when.
    measure
        One of `MEASURES`; `measure_dynamics` says what they are.
    structure
        The label value; the left one's for an asymmetry; None for what is not a single structure or pair.
    name
        The structure or region, ``"foreground vs background"`` for two of them.
    side
        ``"left"``, ``"right"``, ``"left-right"`` for an asymmetry, otherwise empty.
    value
        The number.
    """

    site: str
    epoch: int
    measure: str
    structure: int | None
    name: str
    side: str
    value: float


def contrast(first: str, second: str) -> str:
    """Name two regions together, as `Finding.name` has it."""
    return f"{first} vs {second}"


@dataclass(frozen=True)
class EpochTally:
    """One epoch of one site, all slices added up.

    Attributes
    ----------
    site, epoch
        Which.
    tally
        By the groups of `regions.Regions`.
    structures
        Those of the groups, in their order.
    change
        From the epoch before; NaN for the first.
    """

    site: str
    epoch: int
    tally: Tally
    structures: Sequence[Structure]
    change: float

    def findings(self) -> tuple[Finding, ...]:
        """Every number that there is; what cannot be computed is left out."""
        found = (*self._levels(), *self._asymmetries(), *self._boundaries(), *self._contrasts())
        change = self._finding("change", FIELD_OF_VIEW, self.change)
        return tuple(finding for finding in (*found, change) if math.isfinite(finding.value))

    def _finding(
        self, measure: str, name: str, value: float, structure: int | None = None, side: str | None = None
    ) -> Finding:
        side = split_side(name)[0] if side is None else side
        return Finding(self.site, self.epoch, measure, structure, name, side, float(value))

    def _levels(self) -> Iterator[Finding]:
        measured: list[tuple[int | None, str, Moments]] = [
            (s.value, s.name, self.tally.moments(_groups(place))) for place, s in enumerate(self.structures)
        ]
        measured += [(None, name, self.tally.moments(groups)) for name, groups in self._regions().items()]
        measured = [row for row in measured if row[2].count]
        for measure, field in (("mean", "mean"), ("sd", "sd"), ("pixels", "count")):
            for structure, name, moments in measured:
                yield self._finding(measure, name, getattr(moments, field), structure)

    def _asymmetries(self) -> Iterator[Finding]:
        places = {s.value: place for place, s in enumerate(self.structures)}
        partners = mirrored(self.structures)
        lefts: list[int] = []
        rights: list[int] = []
        for structure in self.structures:
            partner = partners[structure.value]
            side, name = split_side(structure.name)
            if side != "left" or partner == structure.value:
                continue
            left, right = _groups(places[structure.value]), _groups(places[partner])
            balance = self._balance(left, right)
            if math.isfinite(balance):
                lefts.extend(left)
                rights.extend(right)
            yield self._finding("asymmetry", name, balance, structure.value, "left-right")
        yield self._finding("asymmetry", PAIRED, self._balance(lefts, rights), None, "left-right")

    def _balance(self, left: Sequence[int], right: Sequence[int]) -> float:
        means = self.tally.moments(left).mean, self.tally.moments(right).mean
        return (means[0] - means[1]) / sum(means) if sum(means) else math.nan

    def _boundaries(self) -> Iterator[Finding]:
        for place, structure in enumerate(self.structures):
            yield self._finding("boundary", structure.name, self._emphasis([place]), structure.value)
        yield self._finding("boundary", FOREGROUND, self._emphasis(range(len(self.structures))))

    def _emphasis(self, places: Sequence[int]) -> float:
        inside, edge = (self.tally.moments([2 * place + part for place in places]) for part in (0, 1))
        return edge.mean - inside.mean

    def _contrasts(self) -> Iterator[Finding]:
        regions = self._regions()
        for first, second in CONTRASTS:
            means = (self.tally.moments(regions[name]).mean for name in (first, second))
            yield self._finding("difference", contrast(first, second), next(means) - next(means))
        for first, second in CONTRASTS:
            yield self._finding("auc", contrast(first, second), self.tally.auc(regions[first], regions[second]))

    def _regions(self) -> dict[str, tuple[int, ...]]:
        """The groups of each region."""
        labelled = 2 * len(self.structures)
        other, air = labelled + OTHER_HEAD, labelled + AIR
        background = (labelled + UNLABELLED, other, air)
        return {FOREGROUND: tuple(range(labelled)), BACKGROUND: background, HEAD: (other,), SURROUNDINGS: (air,)}


def _groups(place: int) -> tuple[int, int]:
    return 2 * place, 2 * place + 1
