"""The arithmetic of resampling one axis about its centre, as plain arrays of positions and weights.

Both grids share their centre, so that mirroring commutes with resampling.
"""

from __future__ import annotations

import math

import numpy as np

_FWHM = 2.0 * math.sqrt(2.0 * math.log(2.0))  # full width at half maximum of a Gaussian of standard deviation 1


def positions(size: int, other_size: int, step: float) -> np.ndarray:
    """Where the voxels of one axis lie on another about the same centre.

    Parameters
    ----------
    size, other_size
        How many voxels each axis has.
    step
        Voxels of the other axis per voxel of this one.

    Returns
    -------
    np.ndarray
        (size,) float64, in voxels of the other axis; may lie outside of it.
    """
    return np.round((np.arange(size) - (size - 1) / 2) * step + (other_size - 1) / 2, 9)


def neighbours(where: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The voxels below and above each position on an axis of `size`, and the share of the upper; ends are repeated."""
    inside = np.clip(where, 0, size - 1)
    low = np.minimum(np.floor(inside).astype(np.int64), max(size - 2, 0))
    return low, np.minimum(low + 1, size - 1), inside - low


def nearest(size: int, source_size: int, step: float) -> np.ndarray:
    """The source voxel nearest to each of `size` others `step` apart; halfway, the one nearer to the centre."""
    where = positions(size, source_size, step)
    beyond_centre = where > (source_size - 1) / 2
    whole = np.where(beyond_centre, np.ceil(where - 0.5), np.floor(where + 0.5))
    return np.clip(whole, 0, source_size - 1).astype(np.int64)


def weights(size: int, source_size: int, step: float) -> np.ndarray:
    """What each of `size` voxels, `step` source voxels apart, takes of each source voxel.

    Linear interpolation; where it gets coarser (`step` > 1) after a Gaussian that widens a voxel's profile from 1 to
    `step` (full widths at half maximum, subtracted in squares). Beyond the source its outermost voxels are repeated.

    Returns
    -------
    np.ndarray
        (size, source_size) float32; rows sum to 1.
    """
    low, high, share = neighbours(positions(size, source_size, step), source_size)
    linear = np.zeros((size, source_size))
    np.add.at(linear, (np.arange(size), low), 1.0 - share)
    np.add.at(linear, (np.arange(size), high), share)
    if step > 1.0:
        sigma = math.sqrt(step**2 - 1.0) / _FWHM
        reach = np.arange(-math.ceil(4 * sigma), math.ceil(4 * sigma) + 1)
        profile = np.exp(-0.5 * (reach / sigma) ** 2)
        rows = np.arange(source_size)[:, None]
        smooth = np.zeros((source_size, source_size))
        np.add.at(smooth, (rows, np.clip(rows + reach, 0, source_size - 1)), profile / profile.sum())
        linear = linear @ smooth
    return linear.astype(np.float32)
