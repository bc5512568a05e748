"""Numbers over many pixels, added up slice by slice in float64: means, spreads, correlations, overlap.

Sums of parts are merged as by Chan, Golub & LeVeque ("Updating formulae and a pairwise algorithm for computing sample
variances", 1979), which stays exact where all numbers are close to 1, as gates are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_HALVINGS, _BITS = 24, 11  # of the distance to 0 and to 1, and of a float32's fraction that tell levels: see `_level`
_MIDDLE = _HALVINGS << _BITS  # the level of 0.5
_LEVELS = {"uint8": 256, "float32": 2 * _MIDDLE + 1}  # that gates are counted in
_EVEN = 1e-8  # standard deviation of a map that is even but for rounding


@dataclass(frozen=True)
class Moments:
    """Of a set of pixels: how many, their mean and their standard deviation (divided by the number; NaN if none)."""

    count: int
    mean: float
    sd: float


class Tally:
    """Adds up one epoch of a site's gates, group by group.

    Parameters
    ----------
    groups
        How many groups there are.
    first_kind
        Groups from here on are counted by level one by one, those before it together (see `auc`).
    dtype
        Of the stored gates: uint8 or float32.
    """

    def __init__(self, groups: int, first_kind: int, dtype: np.dtype[np.generic]) -> None:
        self._count, self._mean, self._squares = (np.zeros(groups) for _ in range(3))
        self._kind = np.maximum(np.arange(groups) - first_kind + 1, 0)
        self._levels = _LEVELS[dtype.name]
        self._by_level = np.zeros((int(self._kind[-1]) + 1, self._levels), dtype=np.int64)

    def add(self, group: np.ndarray, values: np.ndarray) -> None:
        """Add gates in 0 … 1, float64 (n,), each with its group (n,)."""
        groups = len(self._count)
        count = np.bincount(group, minlength=groups)
        mean = np.bincount(group, weights=values, minlength=groups) / np.maximum(count, 1)
        squares = np.bincount(group, weights=(values - mean[group]) ** 2, minlength=groups)
        total, apart = self._count + count, mean - self._mean
        share = count / np.maximum(total, 1)
        self._squares += squares + apart**2 * self._count * share
        self._mean += apart * share
        self._count = total
        level = np.rint(values * 255).astype(np.intp) if self._levels == 256 else _level(values)
        seen = np.bincount(self._kind[group] * self._levels + level, minlength=self._by_level.size)
        self._by_level += seen.reshape(self._by_level.shape)

    def moments(self, groups: Sequence[int]) -> Moments:
        """Sum up the pixels of several groups together."""
        places = list(groups)
        count, mean, squares = self._count[places], self._mean[places], self._squares[places]
        total = float(count.sum())
        if not total:
            return Moments(0, float("nan"), float("nan"))
        middle = float((count * mean).sum() / total)
        variance = float((squares + count * (mean - middle) ** 2).sum() / total)
        return Moments(int(total), middle, variance**0.5)

    def auc(self, ones: Sequence[int], others: Sequence[int]) -> float:
        """Return how often a pixel of `ones` has a larger gate than one of `others`; equal gates count half.

        This is the area under the ROC curve. NaN if either has no pixels. Groups before `first_kind` count together.
        """
        first, second = (self._by_level[sorted({int(self._kind[g]) for g in set_})].sum(0) for set_ in (ones, others))
        if not (first.any() and second.any()):
            return float("nan")
        below = np.cumsum(second) - second
        return float((first * (below + second / 2)).sum() / (first.sum() * second.sum()))


def _level(gates: np.ndarray) -> np.ndarray:
    """Number gates in 0 … 1 in their order, 2048 levels to each halving of the distance to 0 or 1, whichever is nearer.

    A gate that saturates differs from pixel to pixel by less than any even step: at sD-4 in its last digits alone.
    """
    distance = np.minimum(gates, 1 - gates).astype(np.float32)
    bits = distance.view(np.int32).astype(np.intp) >> (23 - _BITS)  # exponent, 126 for 0.5, and the fraction's first
    level: np.ndarray = np.maximum(bits - (126 << _BITS) + _MIDDLE, 0)
    level[gates > 0.5] = 2 * _MIDDLE - level[gates > 0.5]
    return level


class Correlation:
    """Pearson's correlation of two maps."""

    def __init__(self) -> None:
        self._count = 0
        self._means = np.zeros(2)
        self._products = np.zeros((2, 2))

    def add(self, first: np.ndarray, second: np.ndarray) -> None:
        """Add the same pixels of both, float64 (n,)."""
        both = np.stack((first, second))
        count = both.shape[1]
        if not count:
            return
        means = both.mean(axis=1)
        a, b = both - means[:, None]
        mixed = (a * b).sum()
        products = np.array([[(a * a).sum(), mixed], [mixed, (b * b).sum()]])
        apart, total = means - self._means, self._count + count
        self._products += products + np.outer(apart, apart) * (self._count * count / total)
        self._means += apart * (count / total)
        self._count = total

    @property
    def r(self) -> float:
        """-1 … 1; NaN where a map is even or there is none."""
        (first, mixed), (_, second) = self._products.tolist()
        if not min(first, second) > self._count * _EVEN**2:
            return float("nan")
        return min(max(mixed / math.sqrt(first * second), -1.0), 1.0)
