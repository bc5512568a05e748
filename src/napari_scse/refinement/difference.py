"""What new labels change: voxels, by structure, and how much nearer they are to a reference; counted slab by slab."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Index = tuple[int | slice, ...]
_LARGEST = 65535  # label that is counted


class Difference:
    """Counts while labels come; one thread may `take` while another reads.

    Parameters
    ----------
    before
        Labels (I, J, K).
    painted
        Boolean, the same shape: voxels that keep their label whatever comes.
    reference
        The right labels, where they are known.

    Attributes
    ----------
    after
        The labels so far.
    seen
        Which voxels have come.
    """

    def __init__(self, before: np.ndarray, painted: np.ndarray, reference: np.ndarray | None = None) -> None:
        self._before, self._painted, self._reference = before, painted, reference
        self.after = before.copy(order="K")
        self.seen = np.zeros_like(painted)
        self._counts = np.zeros((5, 1), np.int64)
        self._changed = 0

    @property
    def changed(self) -> int:
        """How many voxels have another label than before."""
        return self._changed

    @property
    def gained(self) -> Mapping[int, int]:
        """Label value → how many voxels more it has than before, largest change first; without the background."""
        more = self._counts[1] - self._counts[0]
        values = [value for value in np.flatnonzero(more).tolist() if value]
        return {value: int(more[value]) for value in sorted(values, key=lambda value: -abs(int(more[value])))}

    @property
    def dice(self) -> tuple[float, float] | None:
        """Mean Dice before and after over the reference's structures, where labels have come; None without any."""
        before, after, reference, both_before, both_after = self._counts
        there = np.flatnonzero(reference[1:]) + 1
        if not there.size:
            return None
        scores = [
            float(np.mean(2 * both[there] / (own[there] + reference[there])))
            for own, both in ((before, both_before), (after, both_after))
        ]
        return scores[0], scores[1]

    def take(self, index: Index, labels: np.ndarray) -> None:
        """Note that `labels` are now at ``array[index]`` of an array (I, J, K)."""
        new = np.where(self._painted[index], self._before[index], labels)
        self._count(index, -1)
        self.after[index], self.seen[index] = new, True
        self._count(index, 1)

    def _count(self, index: Index, sign: int) -> None:
        """Add (or take off) what is known of the voxels at an index."""
        seen = self.seen[index]
        before, after = self._before[index][seen], self.after[index][seen]
        self._changed += sign * int(np.count_nonzero(before != after))
        self._add(0, before, sign)
        self._add(1, after, sign)
        if self._reference is not None:
            reference = self._reference[index][seen]
            self._add(2, reference, sign)
            self._add(3, reference[before == reference], sign)
            self._add(4, reference[after == reference], sign)

    def _add(self, row: int, values: np.ndarray, sign: int) -> None:
        found = np.bincount(values[(values >= 0) & (values <= _LARGEST)].astype(np.intp))
        known = self._counts.shape[1]
        if len(found) > known:
            self._counts = np.pad(self._counts, ((0, 0), (0, len(found) - known)))
        self._counts[row, : len(found)] += sign * found
