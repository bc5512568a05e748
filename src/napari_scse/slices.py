"""Cut a volume into slices of an anatomical plane, and put slices back.

Only axes are permuted and flipped: every result is a view, nothing is interpolated, and the way back is exact for all
48 orientations. Oblique scans are cut along their own axes, named after the nearest anatomical directions.

A stack's axes are (n, h, w), through the plane, down the picture and across it:

========  ==========  ==========  ==========
plane     n towards   h towards   w towards
========  ==========  ==========  ==========
coronal   anterior    inferior    left
axial     superior    posterior   left
sagittal  left        inferior    posterior
========  ==========  ==========  ==========
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from napari_scse.errors import InputError
from napari_scse.volume import Volume, nearest_axes, spacing_of

Triple = tuple[int, int, int]


class Plane(StrEnum):
    """The anatomical planes."""

    CORONAL = "coronal"
    AXIAL = "axial"
    SAGITTAL = "sagittal"


# For n, h, w: the world axis (0 right, 1 anterior, 2 superior), and whether the stack runs against it.
_DIRECTIONS = {
    Plane.CORONAL: ((1, False), (2, True), (0, True)),
    Plane.AXIAL: ((2, False), (1, True), (0, True)),
    Plane.SAGITTAL: ((0, True), (2, True), (1, True)),
}


@dataclass(frozen=True, eq=False)
class SliceGeometry:
    """Where the slices of a stack lie in the volume they were cut from.

    Attributes
    ----------
    plane
        The anatomical plane of the slices.
    shape
        (I, J, K) of the volume.
    affine
        (4, 4) of the volume, voxel index to RAS+ mm.
    axes
        The volume's axis that became n, h and w.
    flips
        Whether n, h and w run against that axis.
    """

    plane: Plane
    shape: Triple
    affine: np.ndarray
    axes: Triple
    flips: tuple[bool, bool, bool]

    @property
    def stack_shape(self) -> Triple:
        """(N, H, W)."""
        n, h, w = (self.shape[axis] for axis in self.axes)
        return n, h, w

    @property
    def stack_spacing(self) -> tuple[float, float, float]:
        """Distance in mm between neighbours along n, h and w."""
        return spacing_of(self.stack_affine)

    @property
    def stack_affine(self) -> np.ndarray:
        """(4, 4) stack index (n, h, w) to RAS+ mm."""
        to_volume = np.zeros((4, 4))
        to_volume[3, 3] = 1.0
        for stack_axis, (axis, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            to_volume[axis, stack_axis] = -1.0 if flip else 1.0
            to_volume[axis, 3] = self.shape[axis] - 1 if flip else 0.0
        return self.affine @ to_volume

    @property
    def left_right_axis(self) -> int:
        """The stack axis (0 n, 1 h, 2 w) that runs from the subject's right to left."""
        return 0 if self.plane is Plane.SAGITTAL else 2

    def number(self, index: int) -> int:
        """Which slice lies at `index` along the volume's axis through the plane (the inverse of `index`).

        Raises
        ------
        InputError
            The volume has no such index.
        """
        size = self.stack_shape[0]
        if not 0 <= index < size:
            raise InputError(f"The volume has the {self.plane} slices 0 to {size - 1}, but {index} was asked for.")
        return size - 1 - index if self.flips[0] else index

    def index(self, n: int) -> tuple[int | slice, ...]:
        """Where slice `n` lies: ``volume.data[geometry.index(n)]`` is its 2-D view, axes in the volume's order.

        Raises
        ------
        InputError
            The stack has no slice `n`.
        """
        where: list[int | slice] = [slice(None)] * 3
        where[self.axes[0]] = self.number(n)  # turning the numbering round is its own inverse
        return tuple(where)

    def voxel(self, n: int, h: int, w: int) -> Triple:
        """Where the pixel (h, w) of slice `n` lies in the volume; outside of the slice the nearest one inside."""
        where = [0, 0, 0]
        for place, axis, flip, size in zip((n, h, w), self.axes, self.flips, self.stack_shape, strict=True):
            inside = min(max(0, place), size - 1)
            where[axis] = size - 1 - inside if flip else inside
        i, j, k = where
        return i, j, k

    def restore(self, stack: np.ndarray) -> np.ndarray:
        """Turn a stack (N, H, W) back into the volume's axes: a view of shape (I, J, K).

        Raises
        ------
        InputError
            The stack's shape is not this geometry's.
        """
        if stack.shape != self.stack_shape:
            raise InputError(f"A stack of shape {self.stack_shape} is expected, but {stack.shape} came.")
        return _flip(stack, self.flips).transpose(np.argsort(self.axes))

    def restore_slice(self, plane: np.ndarray) -> np.ndarray:
        """Turn one slice (H, W) into the volume's axes order.

        It fits where the slice lies: ``out[geometry.index(n)] = geometry.restore_slice(plane)``.

        Raises
        ------
        InputError
            The slice's shape is not this geometry's.
        """
        if plane.shape != self.stack_shape[1:]:
            raise InputError(f"A slice of shape {self.stack_shape[1:]} is expected, but {plane.shape} came.")
        turned = _flip(plane, self.flips[1:])
        return turned if self.axes[1] < self.axes[2] else turned.T


@dataclass(frozen=True, eq=False)
class SliceStack:
    """The slices of a volume, and where they lie.

    Attributes
    ----------
    data
        (N, H, W), a view of the volume's data.
    geometry
        The way back.
    """

    data: np.ndarray
    geometry: SliceGeometry


def cut(volume: Volume, plane: Plane | str) -> SliceStack:
    """Cut `volume` into its slices of `plane`, without copying.

    The same head gives the same stack whatever the orientation of its file.

    Raises
    ------
    InputError
        There is no such plane.
    """
    try:
        plane = Plane(plane)
    except ValueError as error:
        raise InputError(f"A plane is one of {', '.join(Plane)}, but {plane!r} was asked for.") from error
    nearest, backwards = nearest_axes(volume.affine)
    n, h, w = (nearest[world] for world, _ in _DIRECTIONS[plane])
    flip_n, flip_h, flip_w = (backwards[world] != against for world, against in _DIRECTIONS[plane])
    flips = (flip_n, flip_h, flip_w)
    geometry = SliceGeometry(plane, volume.shape, volume.affine, (n, h, w), flips)
    return SliceStack(_flip(volume.data.transpose(n, h, w), flips), geometry)


def _flip(array: np.ndarray, flips: tuple[bool, ...]) -> np.ndarray:
    """A view of `array` with the flagged axes reversed."""
    return array[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]
