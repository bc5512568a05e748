"""Compare several networks on the same cases: paired differences over heads, and whether they could be chance.

The independent unit is the head (or body, or eye): the cases of a head are averaged first, structure by structure. A
case's structure counts only where every variant has a number for it, so that all are judged on the same things.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy import stats

from napari_scse.errors import InputError
from napari_scse.evaluation.cases import CaseReports
from napari_scse.evaluation.measures import MEASURES, Spread, spread
from napari_scse.evaluation.report import COLUMNS
from napari_scse.evaluation.tables import write_table

MIN_HEADS = 6  # the smallest two-sided p of n signed ranks is 2 / 2**n: 0.0625 for five heads, 0.031 for six
_EXACT, _EXACT_TIED = 50, 13  # so many signed ranks are gone through, without and with ties
_DECIMALS = 12  # differences closer than this are equal: what is beyond is rounding


@dataclass(frozen=True)
class PairedDifference:
    """`second` minus `first`, paired by head.

    Attributes
    ----------
    first, second
        The variants.
    structure
        The name of the structure; None for the mean over structures.
    heads
        How many heads have a number.
    mean, sd, median
        Of the differences.
    higher
        In how many heads `second` has the higher number.
    p
        Two-sided Wilcoxon signed-rank test; NaN with fewer than six heads.
    p_holm
        `p` corrected by Holm's method for all the tests of its family: the pairs for the mean over structures, the
        structures of one pair otherwise.
    """

    first: str
    second: str
    structure: str | None
    heads: int
    mean: float
    sd: float
    median: float
    higher: int
    p: float
    p_holm: float = float("nan")


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    measure
        One of `MEASURES`.
    variants
        Name → its results, in the order given.
    heads
        Case → head.
    structures
        Value → name, in increasing order of the value; those that have a number in some head.
    values
        (variants, heads, structures) float64, heads in the order of their names; NaN where a head lacks a structure
        (then for every variant).
    left_out
        How many structures of cases were left out because not every variant has a number for them.
    """

    measure: str
    variants: Mapping[str, CaseReports]
    heads: Mapping[str, str]
    structures: Mapping[int, str]
    values: np.ndarray
    left_out: int

    @property
    def head_means(self) -> np.ndarray:
        """Mean over structures of every variant and head, (variants, heads); NaN for a head without any."""
        return _mean(self.values, axis=2)

    @property
    def head_count(self) -> int:
        """How many heads have a number."""
        return int(np.isfinite(self.head_means[0]).sum())

    def over_heads(self) -> dict[str, Spread]:
        """Spread over heads of every variant's mean over structures."""
        return {name: spread(row) for name, row in zip(self.variants, self.head_means.tolist(), strict=True)}

    def differences(self) -> tuple[PairedDifference, ...]:
        """Every pair of variants, by the mean over structures; p-values corrected for the number of pairs."""
        means = self.head_means
        return _corrected([_paired(*pair, None, means) for pair in self._pairs()])

    def structure_differences(self) -> tuple[PairedDifference, ...]:
        """Every pair and structure; p-values corrected, within each pair, for the number of structures."""
        return tuple(
            difference
            for pair in self._pairs()
            for difference in _corrected(
                [_paired(*pair, name, self.values[:, :, s]) for s, name in enumerate(self.structures.values())]
            )
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what the numbers are, what was left out, and why there may be no p-value."""
        cases, heads, pairs = len(self.heads), self.head_count, len(self._pairs())
        whose = f" of {heads} heads" if heads != cases else ", each a head of its own"
        unit = f"{cases} case{'s' * (cases > 1)}{whose}"
        notes = [f"{unit}; {len(self.structures)} structures; {pairs} pair{'s' * (pairs > 1)} of variants."]
        if self.left_out:
            notes.append(f"Left out, not every variant has a number: {self.left_out} structures of cases.")
        if heads < MIN_HEADS:
            notes.append(
                f"No p-value: a signed-rank test needs at least {MIN_HEADS} independent heads, and there "
                f"{'is 1' if heads == 1 else f'are {heads}'}; with fewer, even a difference of one sign in all of them "
                "has p > 0.06."
            )
        return tuple(notes)

    def write_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a row per variant, case and structure to a CSV file (whole or not at all)."""
        rows = [
            (name, case, self.heads[case], *score.row)
            for name, found in self.variants.items()
            for case, report in found.reports.items()
            for score in report.scores
        ]
        write_table(path, ("variant", "case", "head", *COLUMNS), rows)

    def _pairs(self) -> list[tuple[tuple[int, str], tuple[int, str]]]:
        return list(combinations(enumerate(self.variants), 2))


def compare(
    variants: Mapping[str, CaseReports], heads: Mapping[str, str] | None = None, measure: str = "dice"
) -> Comparison:
    """Put the results of two or more variants on the same cases beside each other.

    Parameters
    ----------
    variants
        Name → what `evaluate_cases` found, the reference first where there is one: differences are later minus earlier.
    heads
        Case → head; several cases of one head are averaged. None: every case is a head of its own.
    measure
        One of `MEASURES`.

    Raises
    ------
    InputError
        Fewer than two variants, other cases in one than in another, a case without head, an unknown measure, or no
        structure of which all variants have a number.
    """
    if len(variants) < 2:
        raise InputError("A comparison needs at least two variants.")
    if measure not in MEASURES:
        raise InputError(f"Unknown measure '{measure}'; there is {', '.join(MEASURES)}.")
    first, *others = variants.values()
    cases = list(first.reports)
    if any(set(other.reports) != set(cases) for other in others):
        raise InputError("The variants need the same cases; theirs differ.")
    heads = {case: case for case in cases} if heads is None else heads
    lacking = [case for case in cases if case not in heads]
    if lacking:
        raise InputError(f"There is no head for the case {lacking[0]}.")

    names = {s.value: s.name for found in variants.values() for r in found.reports.values() for s in r.scores}
    names = dict(sorted(names.items()))
    scored = np.zeros((len(cases), len(names)), bool)
    numbers = np.full((len(variants), len(cases), len(names)), np.nan)
    column = {value: place for place, value in enumerate(names)}
    for v, found in enumerate(variants.values()):
        for c, case in enumerate(cases):
            for score in found.reports[case].scores:
                scored[c, column[score.value]] = True
                numbers[v, c, column[score.value]] = getattr(score, measure)
    complete = np.isfinite(numbers).all(axis=0)
    if not complete.any():
        raise InputError(f"There is nothing to compare: no structure has {MEASURES[measure]} in every variant.")
    numbers[:, ~complete] = np.nan
    head_names = sorted({heads[case] for case in cases})
    of_head = np.array([head_names.index(heads[case]) for case in cases])
    values = np.stack([_mean(numbers[:, of_head == h], axis=1) for h in range(len(head_names))], axis=1)
    kept = complete.any(axis=0)
    return Comparison(
        measure=measure,
        variants=dict(variants),
        heads={case: heads[case] for case in cases},
        structures={value: name for (value, name), keep in zip(names.items(), kept, strict=True) if keep},
        values=values[:, :, kept],
        left_out=int((scored & ~complete).sum()),
    )


def signed_rank_p(differences: np.ndarray) -> float:
    """Two-sided p of the Wilcoxon signed-rank test, NaN with fewer than six differences.

    Differences of zero are dropped (Wilcoxon's own way). The null distribution is exact up to 50 differences, or up to
    13 if some are tied; beyond, it is the normal approximation. If all are zero, p is 1.
    """
    if len(differences) < MIN_HEADS:
        return float("nan")
    rounded = np.round(differences, _DECIMALS)
    rounded = rounded[rounded != 0]
    if not rounded.size:
        return 1.0
    tied = len(np.unique(np.abs(rounded))) < len(rounded)
    method: object = "exact" if len(rounded) <= (_EXACT_TIED if tied else _EXACT) else "asymptotic"
    if tied and method == "exact":
        method = stats.PermutationMethod(n_resamples=2**_EXACT_TIED)  # all of them
    return float(stats.wilcoxon(rounded, method=method).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct `p_values` for their number by Holm's step-down method; NaN are no tests and stay NaN.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6:65 (1979).
    """
    p = np.array(p_values, np.float64)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]  # NaN come last
    stepped = p[order] * np.arange(len(order), 0, -1)
    p[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    corrected: list[float] = p.tolist()
    return corrected


def _paired(
    first: tuple[int, str], second: tuple[int, str], structure: str | None, numbers: np.ndarray
) -> PairedDifference:
    """The pair by `numbers` (variants, heads)."""
    difference = numbers[second[0]] - numbers[first[0]]
    difference = difference[np.isfinite(difference)]
    found = spread(difference.tolist())
    return PairedDifference(
        first=first[1],
        second=second[1],
        structure=structure,
        heads=found.count,
        mean=found.mean,
        sd=found.sd,
        median=float(np.median(difference)),
        higher=int((np.round(difference, _DECIMALS) > 0).sum()),
        p=signed_rank_p(difference),
    )


def _corrected(family: Sequence[PairedDifference]) -> tuple[PairedDifference, ...]:
    corrected = holm([test.p for test in family])
    return tuple(replace(test, p_holm=p) for test, p in zip(family, corrected, strict=True))


def _mean(numbers: np.ndarray, axis: int) -> np.ndarray:
    """Mean of the numbers that are not NaN; NaN where there is none."""
    there = np.isfinite(numbers)
    count = there.sum(axis=axis)
    total = np.where(there, numbers, 0.0).sum(axis=axis)
    mean: np.ndarray = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean
