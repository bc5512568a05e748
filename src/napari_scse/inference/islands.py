"""Connected parts of what a network labelled: which belong together, and which are islands astray."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_TOUCHING = np.ones((3, 3, 3), dtype=bool)  # faces, edges and corners


def largest_part(mask: np.ndarray, opening: int = 0) -> np.ndarray:
    """Return the largest connected part of `mask`.

    Parameters
    ----------
    mask
        Boolean (n, h, w).
    opening
        Half-width, in pixels within the slices, of an opening beforehand: thinner bridges do not connect. Where
        nothing survives it the mask itself is taken.

    Returns
    -------
    numpy.ndarray
        Boolean, the same shape; all False if `mask` is.
    """
    if opening:
        opened = ndimage.binary_opening(mask, np.ones((1, 2 * opening + 1, 2 * opening + 1), dtype=bool))
        mask = opened if opened.any() else mask
    parts, count = ndimage.label(mask, _TOUCHING)
    if not count:
        return np.zeros(mask.shape, dtype=bool)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(parts == sizes.argmax())


def find_islands(labels: np.ndarray, share: float = 0.01) -> np.ndarray:
    """Find small parts that lie apart from everything else and are not a structure of their own.

    A connected part of the labelled voxels is an island if it has less than `share` of the largest part's voxels, and
    of every label in it less than half of that label's voxels. Thus a small organ far from all others stays.

    Parameters
    ----------
    labels
        Whole numbers (I, J, K) >= 0; 0 is background.

    Returns
    -------
    numpy.ndarray
        Boolean, the same shape: the voxels of islands.
    """
    islands = np.zeros(labels.shape, dtype=bool)
    where = _bounds(labels > 0)
    labels = labels[where].astype(np.intp)
    parts, count = ndimage.label(labels > 0, _TOUCHING)
    if count < 2:
        return islands
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    small = sizes < share * sizes[1:].max()
    small[0] = False
    inside = small[parts]
    of_label = np.bincount(labels.ravel())
    pairs, in_part = np.unique(parts[inside] * of_label.size + labels[inside], return_counts=True)
    part, label = np.divmod(pairs, of_label.size)
    small[part[2 * in_part >= of_label[label]]] = False
    islands[where] = small[parts]
    return islands


def _bounds(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box that holds all of `mask`; connected parts are found in it with much less memory."""
    along = [np.flatnonzero(mask.any(tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    return tuple(slice(int(n[0]), int(n[-1]) + 1) if n.size else slice(0) for n in along)
