"""Average class probabilities with those of neighbouring voxels, before they become labels.

A network that sees slices decides each of them on its own, and labels step from slice to slice. How much neighbours
count is the run's (`RunConfig.smoothing`); beyond the ends of an axis its last voxel is repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor


def smooth_within(plane: Tensor, rows: float, columns: float) -> Tensor:
    """Average the scores (K, h, w) of a slice along its rows' and columns' axes; each neighbour weighs so much."""
    for axis, weight in ((1, rows), (2, columns)):
        size = plane.shape[axis]
        if not weight:
            continue
        own = plane
        plane = own * (1 - 2 * weight)
        plane.narrow(axis, 1, size - 1).add_(own.narrow(axis, 0, size - 1), alpha=weight)
        plane.narrow(axis, 0, size - 1).add_(own.narrow(axis, 1, size - 1), alpha=weight)
        for end in (0, size - 1):
            plane.narrow(axis, end, 1).add_(own.narrow(axis, end, 1), alpha=weight)
    return plane


def smooth_through(
    planes: Iterable[tuple[int, Tensor]], weight: float, first: int, last: int
) -> Iterator[tuple[int, Tensor]]:
    """Average the scores of consecutive slices; those come out both of whose neighbours went in.

    Parameters
    ----------
    planes
        (n, scores (K, h, w)) with n increasing by 1.
    weight
        Of each neighbour; 0: what goes in comes out.
    first, last
        Half-open range of all slices that there are scores of: its ends have no neighbour to wait for.
    """
    if not weight:
        yield from planes
        return
    window: list[Tensor] = []
    number = first
    for number, plane in planes:
        window += [plane, plane] if number == first else [plane]
        if len(window) == 3:
            yield number - 1, _mean(window, weight)
            window.pop(0)
    if number == last - 1 and len(window) == 2:
        yield number, _mean([*window, window[-1]], weight)


def _mean(window: Sequence[Tensor], weight: float) -> Tensor:
    before, own, after = window
    return (own * (1 - 2 * weight)).add_(before, alpha=weight).add_(after, alpha=weight)
