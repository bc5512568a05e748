"""Where a network is least sure of a slice: what a user looks at first.

The doubt of a slice is the largest mean entropy of a patch of about 9 x 9 voxels. Networks are unsure along every
border, so a mean over the slice, or over its structures, mostly tells how much border it has, and of the tiny slices at
a structure's end that they are tiny. A border is two or three voxels wide and fills a third of a patch at most: a full
one is a place where the network does not know what it sees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional
from torch.special import entr

_EVERY = 2  # voxels: neighbours are about equally unsure, and entropy is a logarithm of every class
_PATCH = 5  # of those


@dataclass(frozen=True)
class Doubt:
    """The most doubtful patch of a slice.

    Attributes
    ----------
    amount
        Its mean entropy, as a share of the largest possible: 0 to 1.
    row, column
        Its middle.
    """

    amount: float
    row: int
    column: int


def find_doubt(probabilities: Tensor) -> Doubt:
    """Find the most doubtful patch of a slice.

    Parameters
    ----------
    probabilities
        (K, H, W), at least two classes.
    """
    seen = probabilities[:, ::_EVERY, ::_EVERY].clamp(0, 1)
    entropy = entr(seen).sum(0).div_(math.log(len(seen)))
    height, width = (min(_PATCH, size) for size in entropy.shape)
    rows = functional.avg_pool2d(entropy[None, None], (height, 1), 1)
    means = functional.avg_pool2d(rows, (1, width), 1)[0, 0]
    amount, place = means.flatten().max(0)
    row, column = divmod(int(place), means.shape[1])
    return Doubt(float(amount), (row + height // 2) * _EVERY, (column + width // 2) * _EVERY)
