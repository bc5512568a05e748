"""Connected parts of what a network labelled: which are structures of their own, and which are islands astray."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_TOUCHING = np.ones((3, 3, 3), dtype=bool)  # faces, edges and corners
ISLAND = 0.01  # of the largest part: smaller ones are islands


def main_parts(labels: np.ndarray, share: float, least: float = 0.0, opening: int = 0) -> np.ndarray:
    """Find the connected parts of what is labelled that are no islands.

    These are parts of at least `share` of the largest one's voxels, and those with at least half of some label's: thus
    a small organ far from all others counts.

    Parameters
    ----------
    labels
        Whole numbers (n, h, w) >= 0; 0 is background.
    share
        0 … 1.
    least
        Share of the largest part's voxels that half of a label has to have as well.
    opening
        Half-width, in pixels within the slices, of an opening beforehand: thinner bridges do not connect. Where
        nothing survives it, it is not made.

    Returns
    -------
    numpy.ndarray
        Boolean, the same shape; all False if nothing is labelled.
    """
    main = np.zeros(labels.shape, dtype=bool)
    where = _bounds(labels > 0)
    labels = labels[where].astype(np.intp)
    mask = labels > 0
    if opening:
        opened = ndimage.binary_opening(mask, np.ones((1, 2 * opening + 1, 2 * opening + 1), dtype=bool))
        mask = opened if opened.any() else mask
    parts, count = ndimage.label(mask, _TOUCHING)
    if count < 2:
        main[where] = mask
        return main
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    large = sizes >= share * sizes.max()
    inside = mask & ~large[parts]
    of_label = np.bincount(labels[mask])
    pairs, in_part = np.unique(parts[inside] * of_label.size + labels[inside], return_counts=True)
    part, label = np.divmod(pairs, of_label.size)
    part = part[2 * in_part >= of_label[label]]
    large[part[sizes[part] >= least * sizes.max()]] = True
    large[0] = False
    main[where] = large[parts]
    return main


def find_islands(labels: np.ndarray, share: float = ISLAND) -> np.ndarray:
    """Find small parts that lie apart from everything else and are not a structure of their own.

    A connected part of the labelled voxels is an island if it has less than `share` of the largest part's voxels, and
    of every label in it less than half of that label's voxels.

    Parameters
    ----------
    labels
        Whole numbers (I, J, K) >= 0; 0 is background.

    Returns
    -------
    numpy.ndarray
        Boolean, the same shape: the voxels of islands.
    """
    return np.asarray((labels > 0) & ~main_parts(labels, share))


def _bounds(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box that holds all of `mask`; connected parts are found in it with much less memory."""
    along = [np.flatnonzero(mask.any(tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    return tuple(slice(int(n[0]), int(n[-1]) + 1) if n.size else slice(0) for n in along)
