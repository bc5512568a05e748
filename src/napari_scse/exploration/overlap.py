"""Where the maps of two films lie on each other, pixel on pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_TOLERANCE = 1e-3  # pixels

Ranges = tuple[slice, slice, slice]


def overlap(
    one: Sequence[int], one_affine: np.ndarray, other: Sequence[int], other_affine: np.ndarray
) -> tuple[Ranges, Ranges] | None:
    """Return the part that two arrays of maps have in common, as index ranges into each.

    Parameters
    ----------
    one, other
        Shapes (slices, rows, columns).
    one_affine, other_affine
        Index (slice, row, column) to RAS+ mm; (4, 4).

    Returns
    -------
    tuple or None
        None where the pixels of one do not lie on those of the other (another plane, spacing or stride, or a shift by a
        part of a pixel), or the arrays do not meet.
    """
    step = np.linalg.inv(other_affine) @ one_affine
    shift = np.rint(step[:3, 3])
    if not np.allclose(step[:3, :3], np.eye(3), atol=_TOLERANCE / max(*one, *other)):
        return None
    if not np.allclose(step[:3, 3], shift, atol=_TOLERANCE):
        return None
    starts = np.maximum(0, -shift).astype(int)
    stops = np.minimum(one, np.asarray(other) - shift).astype(int)
    if (stops <= starts).any():
        return None
    mine = tuple(slice(int(a), int(b)) for a, b in zip(starts, stops, strict=True))
    theirs = tuple(slice(int(a + d), int(b + d)) for a, b, d in zip(starts, stops, shift, strict=True))
    return (mine[0], mine[1], mine[2]), (theirs[0], theirs[1], theirs[2])
