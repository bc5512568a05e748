"""Lay a stack of slices out at a run's spacing, and bring the network's scores back.

A network knows the spacing that it was trained on. `conform` plans, axis by axis, how a stack gets there: an axis
within 5 % of the run's spacing is left alone, the others are resampled about the common centre of both grids, so that a
mirrored stack gives the mirrored result. On the way back *scores* are interpolated and not labels: the boundary between
two structures then falls where their scores cross, and not on the steps of the coarser grid.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from napari_scse.conform.interpolation import nearest, neighbours, positions, weights
from napari_scse.errors import InputError, SpaceError

Triple = tuple[int, int, int]
Spacing = tuple[float, float, float]

UNTOUCHED = 0.05  # an axis whose spacing is within this share of the run's is not resampled
_MOST_VOXELS = 2**30  # of a conformed stack: 1024 x 1024 x 1024
_LARGEST_STEP = 100  # stack voxels per conformed voxel along an axis: 0.02 mm of a block of tissue, but no metres
_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True)
class Conformation:
    """How a stack is laid out at the run's spacing.

    Attributes
    ----------
    source_shape, source_spacing
        (N, H, W) of the stack, and mm between its neighbours along each.
    shape
        (n, h, w) of the conformed stack.
    steps
        Stack voxels per conformed voxel along each axis; exactly 1.0 where the axis is left alone.
    """

    source_shape: Triple
    source_spacing: Spacing
    shape: Triple
    steps: Spacing

    @property
    def is_identity(self) -> bool:
        """Whether no axis is resampled."""
        return self.steps == (1.0, 1.0, 1.0)

    def affine(self, stack_affine: np.ndarray) -> np.ndarray:
        """(4, 4) conformed index (n, h, w) to RAS+ mm, from the stack's own (4, 4)."""
        to_stack = np.diag((*self.steps, 1.0))
        for axis in range(3):
            to_stack[axis, 3] = positions(self.shape[axis], self.source_shape[axis], self.steps[axis])[0]
        return np.asarray(stack_affine, dtype=np.float64) @ to_stack

    def resample(self, stack: np.ndarray) -> np.ndarray:
        """Interpolate intensities linearly, smoothed against aliasing along the axes that get coarser.

        Parameters
        ----------
        stack
            (N, H, W), any real number type, without NaN.

        Returns
        -------
        np.ndarray
            (n, h, w) float32, contiguous, as torch takes it. With nothing to do it may be `stack` itself, so do not
            write to it.
        """
        self._check(stack)
        result = np.ascontiguousarray(stack, dtype=np.float32)
        if min(result.strides) < 0:  # an axis of length one may run backwards, which torch does not take
            result = result.copy()
        if self.is_identity:
            return result
        # torch, because numpy's matrix product of stacks is slow wherever cores are shared
        voxels = torch.from_numpy(result if result.flags.writeable else result.copy())
        for axis in sorted(range(3), key=lambda axis: -self.steps[axis]):  # the coarser it gets, the less is left to do
            if self.steps[axis] == 1.0:
                continue
            matrix = torch.from_numpy(weights(self.shape[axis], self.source_shape[axis], self.steps[axis]))
            if axis == 0:
                voxels = (matrix @ voxels.flatten(1)).unflatten(1, voxels.shape[1:])
            else:
                voxels = matrix @ voxels if axis == 1 else voxels @ matrix.T
        return voxels.contiguous().numpy()

    def resample_labels(self, stack: np.ndarray) -> np.ndarray:
        """Take the nearest label: (N, H, W) to (n, h, w) of the same type."""
        self._check(stack)
        if self.is_identity:
            return stack
        axes = zip(self.shape, self.source_shape, self.steps, strict=True)
        result: np.ndarray = stack[np.ix_(*(nearest(size, source, step) for size, source, step in axes))]
        return result

    def belonging(self, axis: int) -> tuple[range, ...]:
        """For each of the stack's voxels along an axis (0 n, 1 h, 2 w), the conformed voxels that belong to it.

        Those that take their label from it (`resample_labels`); where the axis gets coarser, the one nearest to it.
        """
        size, source, step = self.shape[axis], self.source_shape[axis], self.steps[axis]
        if step >= 1.0:
            own = range(source) if step == 1.0 else nearest(source, size, 1.0 / step).tolist()
            return tuple(range(place, place + 1) for place in own)
        starts = np.searchsorted(nearest(size, source, step), np.arange(source + 1)).tolist()
        return tuple(range(*ends) for ends in pairwise(starts))

    def return_scores(self, scores: Iterable[tuple[int, Tensor]]) -> Iterator[tuple[int, Tensor]]:
        """Bring the scores of conformed slices back to the stack's slices, linearly in all three axes.

        It streams: beside the slice that comes in and the one that goes out, one is kept. With nothing to do, the very
        tensors that come in go out; in any case do not write to them.

        Parameters
        ----------
        scores
            (n, scores (K, h, w)) with n increasing by 1 from any first to any last. Finite numbers of one floating type
            and one device.

        Yields
        ------
        tuple[int, Tensor]
            (N, scores (K, H, W)) with N increasing, for the stack's slices whose centres lie in the conformed slices
            given; all of them where all conformed slices were given.

        Raises
        ------
        ValueError
            A conformed slice was left out or came twice.
        """
        if self.is_identity:
            yield from scores
        elif self.shape[0] < self.source_shape[0]:  # each step where there are fewer slices to treat
            yield from self._between_slices((n, self._in_plane(plane)) for n, plane in scores)
        else:
            for number, plane in self._between_slices(scores):
                yield number, self._in_plane(plane)

    def sources(self, first: int, last: int) -> list[tuple[int, ...]]:
        """Say which conformed slices each of the stack's slices takes its scores from.

        Parameters
        ----------
        first, last
            Half-open range of the conformed slices that there are scores of.

        Returns
        -------
        list[tuple[int, ...]]
            For each of the stack's slices one conformed slice, or two next to each other, the nearer one first; none
            where `return_scores` yields nothing.
        """
        where = positions(self.source_shape[0], self.shape[0], 1.0 / self.steps[0])
        return [_neighbours(float(place), first, last) for place in where]

    def _between_slices(self, scores: Iterable[tuple[int, Tensor]]) -> Iterator[tuple[int, Tensor]]:
        """Interpolate along n."""
        if self.steps[0] == 1.0:
            yield from scores
            return
        where = positions(self.source_shape[0], self.shape[0], 1.0 / self.steps[0])
        number, last = 0, -1
        before: Tensor | None = None
        for n, plane in scores:
            if before is None:
                number = int(np.sum(where < n - 0.5))
            elif n != last + 1:
                raise ValueError(f"conformed slice {last + 1} is expected, but {n} came")
            while number < len(where) and where[number] <= n:
                share = where[number] - (n - 1)
                yield number, plane if before is None or share == 1.0 else before.lerp(plane, float(share))
                number += 1
            before, last = plane, n
        while before is not None and number < len(where) and where[number] <= last + 0.5:
            yield number, before
            number += 1

    def _in_plane(self, plane: Tensor) -> Tensor:
        """Interpolate (K, h, w) to (K, H, W)."""
        for axis in (1, 2):
            if self.steps[axis] == 1.0:
                continue
            where = positions(self.source_shape[axis], self.shape[axis], 1.0 / self.steps[axis])
            low, high, share = neighbours(where, self.shape[axis])
            weight = torch.as_tensor(share, dtype=plane.dtype, device=plane.device)
            below = plane.index_select(axis, torch.as_tensor(low, device=plane.device))
            above = plane.index_select(axis, torch.as_tensor(high, device=plane.device))
            plane = below.lerp(above, weight[:, None] if axis == 1 else weight)
        return plane

    def _check(self, stack: np.ndarray) -> None:
        if stack.shape != self.source_shape:
            raise InputError(f"A stack of shape {self.source_shape} is expected, but {stack.shape} came.")


def conform(stack_shape: Triple, stack_spacing: Spacing, target_spacing: Spacing) -> Conformation:
    """Plan how a stack of `stack_shape` (N, H, W) and `stack_spacing` (mm) is laid out at `target_spacing` (mm).

    Raises
    ------
    SpaceError
        A spacing is not a positive number, or the stack is absurdly large or fine beside the target.
    """
    for spacing in (stack_spacing, target_spacing):
        if not all(math.isfinite(size) and size > 0 for size in spacing):
            raise SpaceError(f"A spacing is three positive numbers in mm, but {tuple(spacing)} came.")
    ratios = [target / source for source, target in zip(stack_spacing, target_spacing, strict=True)]
    steps = [1.0 if abs(ratio - 1.0) <= UNTOUCHED else ratio for ratio in ratios]
    # Enough voxels to cover the stack's whole extent; a thousandth of a voxel is rounding.
    shape = [max(1, math.ceil(size / step - 1e-3)) for size, step in zip(stack_shape, steps, strict=True)]
    too_large = shape != list(stack_shape) and math.prod(shape) > _MOST_VOXELS
    if too_large or max(steps) > _LARGEST_STEP:
        extent = " x ".join(f"{size * space:.4g}" for size, space in zip(stack_shape, stack_spacing, strict=True))
        wanted = " x ".join(f"{size:.3g}" for size in target_spacing)
        what = "large" if too_large else "finely sampled"
        raise SpaceError(f"A scan of {extent} mm is too {what} to be laid out at {wanted} mm: is its affine in mm?")
    return Conformation(
        source_shape=_triple(stack_shape),
        source_spacing=_triple(stack_spacing),
        shape=_triple(shape),
        steps=_triple(steps),
    )


def _neighbours(place: float, first: int, last: int) -> tuple[int, ...]:
    if not first - 0.5 <= place <= last - 0.5:
        return ()
    above = min(max(math.ceil(place), first), last - 1)
    if above in (place, first) or place > above:
        return (above,)
    return (above, above - 1) if above - place < 0.5 else (above - 1, above)


def _triple(numbers: Iterable[_Number]) -> tuple[_Number, _Number, _Number]:
    first, second, third = numbers
    return first, second, third
