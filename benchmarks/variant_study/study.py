"""The table of scores as comparisons: variants of one network, and two seeds of one variant, on the same heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from napari_scse.errors import InputError
from napari_scse.evaluation import CaseReports, Comparison, Report, compare
from variant_study.paper import KINDS, NETWORKS, VARIANTS
from variant_study.scores import Options, RunFacts, Scored, require_one_study


@dataclass(frozen=True)
class Study:
    """All that a table of scores holds.

    Attributes
    ----------
    trained
        (network, variant, seed) → the run.
    results
        (name of a run, kind of case) → its results; only where it has labelled every case of the kind.
    heads
        Kind of case → case → head.
    options
        How cases were labelled; `surfaces` only if all rows have surface distances.
    unfinished
        Sentences on the runs that have not labelled every case.
    """

    trained: Mapping[tuple[str, str, int], RunFacts]
    results: Mapping[tuple[str, str], CaseReports]
    heads: Mapping[str, Mapping[str, str]]
    options: Options
    unfinished: tuple[str, ...]

    @property
    def kinds(self) -> list[str]:
        """The kinds of cases that there are."""
        return [kind for kind in KINDS if kind in self.heads]

    @property
    def networks(self) -> list[str]:
        """The networks that there are, the paper's in its order."""
        there = {network for network, _, _ in self.trained}
        return [*(name for name in NETWORKS if name in there), *sorted(there - NETWORKS.keys())]

    def seeds(self, network: str) -> list[int]:
        """The seeds of a network's runs; the first one is that of Table III."""
        return sorted({seed for name, _, seed in self.trained if name == network})

    @property
    def seed(self) -> int:
        """The seed that Table III is of: the smallest of all."""
        return min(seed for _, _, seed in self.trained)

    def result(self, network: str, variant: str, seed: int, kind: str) -> CaseReports | None:
        """What a run gave on one kind of cases; None if there is no such run or not all cases are there."""
        trained = self.trained.get((network, variant, seed))
        return None if trained is None else self.results.get((trained.run, kind))

    def variants(self, network: str, seed: int, kind: str, measure: str = "dice") -> Comparison | None:
        """The SE variants of one network and seed, by the paper's names; None if there are fewer than two."""
        results = {name: self.result(network, variant, seed, kind) for variant, name in VARIANTS.items()}
        return self._compare(results, kind, measure)

    def two_seeds(self, network: str, variant: str, seeds: tuple[int, int], kind: str) -> Comparison | None:
        """Two seeds of one variant beside each other; None if one is not there."""
        return self._compare({f"seed {s}": self.result(network, variant, s, kind) for s in seeds}, kind, "dice")

    def _compare(self, results: Mapping[str, CaseReports | None], kind: str, measure: str) -> Comparison | None:
        there = {name: found for name, found in results.items() if found is not None}
        return compare(there, self.heads[kind], measure) if len(there) > 1 else None


def make_study(scored: Sequence[Scored]) -> Study:
    """Sort the rows of a table.

    Raises
    ------
    InputError
        There are none, or they cannot stand in one table.
    """
    if not scored:
        raise InputError("The table has no rows yet.")
    require_one_study([one.key for one in scored])
    heads: dict[str, dict[str, str]] = {}
    reports: dict[tuple[str, str], dict[str, Report]] = {}
    surfaces = all(one.key.options.surfaces for one in scored)
    for one in scored:
        scan = one.key.scan
        heads.setdefault(scan.kind, {})[scan.case] = scan.head
        own = reports.setdefault((one.key.trained.run, scan.kind), {})
        own[scan.case] = Report(one.scores, with_surfaces=surfaces)
    trained = {(t.network, t.variant, t.seed): t for t in (one.key.trained for one in scored)}
    unfinished = [
        f"{run} is left out of what is said of {KINDS[kind]}: it has labelled {len(reports.get((run, kind), {}))} of "
        f"{len(cases)} cases."
        for run in sorted(facts.run for facts in trained.values())
        for kind, cases in heads.items()
        if reports.get((run, kind), {}).keys() != cases.keys()
    ]
    results = {
        (run, kind): CaseReports({case: found[case] for case in sorted(found)})
        for (run, kind), found in reports.items()
        if found.keys() == heads[kind].keys()
    }
    options = Options(scored[0].key.options.precision, scored[0].key.options.mirror, surfaces)
    return Study(trained, results, heads, options, tuple(unfinished))
