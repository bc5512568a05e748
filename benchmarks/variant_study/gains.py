"""What an SE variant gains over the plain network, beside how much two seeds of the same training differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from napari_scse.evaluation import Comparison, PairedDifference, spread
from variant_study.paper import TABLE_THREE, VARIANTS
from variant_study.study import Study

PLAIN, *EXCITED = VARIANTS


@dataclass(frozen=True)
class Gain:
    """One SE variant minus the plain network, paired by head.

    Attributes
    ----------
    network, variant, kind
        Of what, on which kind of heads.
    by_seed
        Seed → the difference, both networks trained with that seed.
    seed_differences
        Variant → later seed minus earlier one (mean over heads), for this variant and the plain network; without
        further seeds empty.
    structures
        Structure → mean gain, of the first seed.
    """

    network: str
    variant: str
    kind: str
    by_seed: Mapping[int, PairedDifference]
    seed_differences: Mapping[str, float]
    structures: Mapping[str, float]

    @property
    def first(self) -> PairedDifference:
        """That of the first seed."""
        return next(iter(self.by_seed.values()))

    @property
    def lowest(self) -> float:
        """The smallest mean gain of all seeds."""
        return min(difference.mean for difference in self.by_seed.values())

    @property
    def highest(self) -> float:
        """The largest mean gain of all seeds."""
        return max(difference.mean for difference in self.by_seed.values())

    @property
    def of_the_paper(self) -> float:
        """The same by the paper's Table III; NaN if it has no such network."""
        row = TABLE_THREE.get(self.network)
        return row[self.variant][0] - row[PLAIN][0] if row else float("nan")


def find_gains(study: Study, kind: str) -> list[Gain]:
    """The gains of every network and SE variant on one kind of heads, where there are both networks."""
    gains = []
    for network in study.networks:
        compared = {seed: study.variants(network, seed, kind) for seed in study.seeds(network)}
        tests = {seed: comparison.differences() if comparison else () for seed, comparison in compared.items()}
        differ = seed_differences(study, network, kind)
        for variant in EXCITED:
            pair = VARIANTS[PLAIN], VARIANTS[variant]
            by_seed = {seed: t for seed, found in tests.items() for t in found if (t.first, t.second) == pair}
            if not by_seed:
                continue
            structures = _by_structure(compared[next(iter(by_seed))], pair)
            own = {name: differ[name] for name in (PLAIN, variant) if name in differ}
            gains.append(Gain(network, variant, kind, by_seed, own, structures))
    return gains


def _by_structure(comparison: Comparison | None, pair: tuple[str, str]) -> dict[str, float]:
    """Structure → mean over heads of the second of a pair minus the first."""
    if comparison is None:
        return {}
    first, second = (comparison.values[list(comparison.variants).index(name)] for name in pair)
    columns = (second - first).T.tolist()
    return {name: spread(column).mean for name, column in zip(comparison.structures.values(), columns, strict=True)}


def seed_differences(study: Study, network: str, kind: str) -> dict[str, float]:
    """Variant → mean difference of two of its seeds, later minus earlier; the largest if there are more than two."""
    found: dict[str, float] = {}
    for variant in VARIANTS:
        for seeds in combinations(study.seeds(network), 2):
            comparison = study.two_seeds(network, variant, seeds, kind)
            if comparison is not None:
                (test,) = comparison.differences()
                found[variant] = max(found.get(variant, 0.0), test.mean, key=abs)
    return found


def seed_noise(study: Study, kind: str) -> dict[str, float]:
    """Network → the largest difference between two seeds of any of its variants, without sign; where there are two."""
    differ = {network: seed_differences(study, network, kind) for network in study.networks}
    return {network: max(map(abs, found.values())) for network, found in differ.items() if found}
