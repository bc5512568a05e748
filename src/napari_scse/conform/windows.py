"""Cover a conformed slice with windows of a run's canvas, and put the scores of overlapping windows together.

Channel gates average over everything they are shown, so a network is shown just the canvas that it was trained on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_scse.errors import InputError

_LEAST_OVERLAP = 0.25  # of the canvas, where several windows cover a box


@dataclass(frozen=True)
class Window:
    """A rectangle of a conformed slice; it may stick out of the slice.

    Attributes
    ----------
    top, left
        Its first row and column, which may be negative.
    height, width
        Its size.
    """

    top: int
    left: int
    height: int
    width: int

    def extract(self, slices: np.ndarray) -> np.ndarray:
        """(..., h, w) to (..., height, width): a view where the window lies inside, else a copy with zeros around."""
        rows, columns = self.inside((slices.shape[-2], slices.shape[-1]))
        seen: np.ndarray = slices[..., rows, columns]
        if seen.shape[-2:] == (self.height, self.width):
            return seen
        result = np.zeros((*slices.shape[:-2], self.height, self.width), dtype=slices.dtype)
        result[(..., *self.own(rows, columns))] = seen
        return result

    def inside(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        """The part of a slice of `shape` that the window shows, in the slice's rows and columns."""
        (top, bottom), (left, right) = (
            (min(max(start, 0), size), min(max(start + extent, 0), size))
            for start, extent, size in zip((self.top, self.left), (self.height, self.width), shape, strict=True)
        )
        return slice(top, bottom), slice(left, right)

    def own(self, rows: slice, columns: slice) -> tuple[slice, slice]:
        """The same part in the window's own rows and columns."""
        return (
            slice(rows.start - self.top, rows.stop - self.top),
            slice(columns.start - self.left, columns.stop - self.left),
        )


def windows(shape: tuple[int, int], canvas: tuple[int, int], box: tuple[int, int, int, int]) -> tuple[Window, ...]:
    """Cover a box of a slice with windows of the canvas' size.

    Where the box fits the canvas one window is centred on it; where it does not, windows are spread evenly from one end
    of the box to the other, overlapping by at least a quarter of the canvas.

    Parameters
    ----------
    shape
        (h, w) of the slice.
    canvas
        (H, W) of a window.
    box
        (top, bottom, left, right) in the slice, half-open.

    Raises
    ------
    InputError
        The box is empty or not inside the slice, or the canvas is empty.
    """
    top, bottom, left, right = box
    if not (0 <= top < bottom <= shape[0] and 0 <= left < right <= shape[1] and min(canvas) > 0):
        raise InputError(f"The box {box} does not lie in a slice of shape {shape}, or the canvas {canvas} is empty.")
    return tuple(
        Window(row, column, *canvas)
        for row in _spread(top, bottom, canvas[0])
        for column in _spread(left, right, canvas[1])
    )


def merge(windows: Sequence[Window], scores: Sequence[Tensor], shape: tuple[int, int]) -> Tensor:
    """Put the scores of windows together to those of their slice.

    Where windows overlap the mean is taken, each weighted by a tent that falls from its centre to its border. Where
    none reaches, class 0 (background) gets the largest score that occurs and the others 0, so that background wins.

    Parameters
    ----------
    windows, scores
        For each window its scores (..., K, H, W): finite numbers of one floating type and one device.
    shape
        (h, w) of the slice.

    Returns
    -------
    Tensor
        (..., K, h, w); with a single window that covers the slice a view of its scores.
    """
    if len(windows) != len(scores) or not windows:
        raise InputError(f"{len(windows)} windows and the scores of {len(scores)} came: as many of both are expected.")
    if len(windows) == 1:
        rows, columns = windows[0].inside(shape)
        seen = scores[0][(..., *windows[0].own(rows, columns))]
        if seen.shape[-2:] == shape:
            return seen
    total = scores[0].new_zeros((*scores[0].shape[:-2], *shape))
    weight = scores[0].new_zeros(shape)
    for window, found in zip(windows, scores, strict=True):
        rows, columns = window.inside(shape)
        own_rows, own_columns = window.own(rows, columns)
        tent = (_tent(window.height)[:, None] * _tent(window.width))[own_rows, own_columns].to(found)
        total[..., rows, columns] += found[..., own_rows, own_columns] * tent
        weight[rows, columns] += tent
    missed = weight == 0
    total /= weight.masked_fill(missed, 1.0)
    total[..., 0, :, :] = total[..., 0, :, :].where(~missed, total.abs().amax().clamp_min(1.0))
    return total


def _spread(start: int, stop: int, canvas: int) -> list[int]:
    """First rows (or columns) of windows of `canvas` that cover start to stop, mirrored about its centre."""
    excess = stop - start - canvas
    if excess <= 0:
        return [start + excess // 2]
    gaps = math.ceil(excess / max(1.0, canvas * (1.0 - _LEAST_OVERLAP)))
    firsts = [start + round(excess * number / gaps) for number in range(gaps // 2 + 1)]
    return firsts + [2 * start + excess - first for first in reversed(firsts[: gaps + 1 - len(firsts)])]


def _tent(size: int) -> Tensor:
    """(size,) weights that fall linearly from 1 at the centre towards the borders, never to 0."""
    ramp = torch.arange(1, size + 1, dtype=torch.float32)
    return torch.minimum(ramp, ramp.flip(0)) / ((size + 1) // 2)
