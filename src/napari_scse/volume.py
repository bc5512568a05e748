"""Arrays that know where they are: `Volume`, `LabelVolume`, and what it means for two grids to be the same.

These are the only types of the package that carry space. An affine takes voxel indices (i, j, k) to millimetres in RAS+
(x to the subject's right, y to anterior, z to superior), as nibabel and NIfTI have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from napari_scse.errors import InputError, SpaceError

_NEGATIVE, _POSITIVE = "LPI", "RAS"
_OBLIQUE_SINE = 1e-3  # about 0.06 degrees: more than float32 affines lose, less than any scanner tilts
_TIE = 1e-5
_FARTHEST = 1e9  # mm


@dataclass(frozen=True, eq=False, repr=False)
class Volume:
    """A 3-D array of real numbers in space.

    Attributes
    ----------
    data
        (I, J, K), any real number type, byte order and memory layout; never copied and never written to.
    affine
        (4, 4) float64, voxel index to RAS+ mm; a read-only copy of what was given.
    forms
        What the NIfTI file that it came from says of its place, by the names of header fields. What is made on the same
        grid carries it on, and is written with it while the affine is what it says.

    Raises
    ------
    InputError
        The data are not 3-D, have an empty axis, or are not real numbers.
    SpaceError
        The affine is not a finite, invertible 4 x 4 matrix with last row 0 0 0 1.
    """

    data: np.ndarray
    affine: np.ndarray
    forms: Mapping[str, Sequence[float]] | None = None

    def __post_init__(self) -> None:
        data = np.asarray(self.data)
        if data.ndim != 3:
            raise InputError(f"A volume has 3 axes, but the data have {data.ndim} (shape {data.shape}).")
        if 0 in data.shape:
            raise InputError(f"A volume needs at least one voxel along every axis, but its shape is {data.shape}.")
        if data.dtype.kind not in "biuf":
            raise InputError(f"A volume holds real numbers, but the data are of type {data.dtype}.")
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "affine", _checked_affine(self.affine))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along each axis."""
        i, j, k = self.data.shape
        return i, j, k

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along each axis, in mm."""
        return spacing_of(self.affine)

    @property
    def orientation(self) -> str:
        """Where each axis points, by its nearest anatomical direction: "LIA" is left, inferior, anterior."""
        return orientation_of(self.affine)

    @property
    def is_oblique(self) -> bool:
        """Whether any axis is tilted against the anatomical direction it is nearest to."""
        directions = self.affine[:3, :3] / np.array(self.spacing)
        axes, _ = nearest_axes(self.affine)
        along = np.abs(directions[[0, 1, 2], list(axes)])
        return bool(np.any(1.0 - np.minimum(along, 1.0) ** 2 > _OBLIQUE_SINE**2))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_describe(self)}, {self.data.dtype})"


@dataclass(frozen=True, eq=False, repr=False)
class LabelVolume(Volume):
    """A volume of whole numbers, each naming a structure (0 is background).

    Raises
    ------
    InputError
        The data are not of an integer type.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data.dtype.kind not in "iu":
            raise InputError(f"Labels are integers, but the data are of type {self.data.dtype}.")


def spacing_of(affine: np.ndarray) -> tuple[float, float, float]:
    """Length in mm of one step along each voxel axis of `affine` (4, 4)."""
    i, j, k = np.sqrt(np.sum(np.asarray(affine, dtype=np.float64)[:3, :3] ** 2, axis=0)).tolist()
    return i, j, k


def nearest_axes(affine: np.ndarray) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Find the voxel axis nearest to each anatomical direction.

    Of the six assignments the one of the smallest rotation is taken (the largest sum of direction cosines), so that
    every voxel axis is used once however oblique the scan. nibabel's `io_orientation` gives the same for all but very
    oblique scans, but goes axis by axis, so that the same head could come out differently for another order of its
    axes. Here ties are decided by the directions in space alone, which no re-ordering or flip changes.

    Parameters
    ----------
    affine
        (4, 4) voxel index to RAS+ mm, invertible.

    Returns
    -------
    axes, reversed
        For right, anterior and superior: the voxel axis, and whether that axis points the other way.
    """
    steps = np.asarray(affine, dtype=np.float64)[:3, :3]
    left, _, right = np.linalg.svd(steps / np.sqrt(np.sum(steps**2, axis=0)))
    cosines = left @ right  # the rotation (or rotation and flip) nearest to the axes: sheared affines have one too
    worlds = [0, 1, 2]
    choices = {axes: float(np.sum(np.abs(cosines[worlds, list(axes)]))) for axes in permutations(range(3))}
    best = max(choices.values())
    tied = [axes for axes, score in choices.items() if score > best - _TIE]
    axes = tied[0] if len(tied) == 1 else max(tied, key=lambda choice: _place_in_space(cosines, choice))
    right_to, anterior_to, superior_to = axes
    backwards = cosines[worlds, list(axes)] < 0
    return (right_to, anterior_to, superior_to), (bool(backwards[0]), bool(backwards[1]), bool(backwards[2]))


def orientation_of(affine: np.ndarray) -> str:
    """Three letters that say where the voxel axes of `affine` (4, 4) point, such as "RAS"."""
    axes, backwards = nearest_axes(affine)
    letters = [""] * 3
    for world, (axis, back) in enumerate(zip(axes, backwards, strict=True)):
        letters[axis] = _NEGATIVE[world] if back else _POSITIVE[world]
    return "".join(letters)


def same_grid(a: Volume, b: Volume, tolerance_mm: float = 1e-2) -> bool:
    """Whether every voxel of `a` lies within `tolerance_mm` of the same voxel of `b`."""
    return a.shape == b.shape and _largest_shift(a, b) <= tolerance_mm


def require_same_grid(a: Volume, b: Volume) -> None:
    """Raise SpaceError with what differs, unless `same_grid(a, b)`."""
    if same_grid(a, b):
        return
    if a.shape != b.shape or a.orientation != b.orientation or not np.allclose(a.spacing, b.spacing, atol=1e-4):
        raise SpaceError(f"The two grids differ: {_describe(a)} against {_describe(b)}.")
    shift = _largest_shift(a, b)
    raise SpaceError(f"The two grids differ: both are {_describe(a)}, but voxels lie up to {shift:.3g} mm apart.")


def _checked_affine(affine: Any) -> np.ndarray:
    try:
        matrix = np.array(affine, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SpaceError(f"An affine is a 4 x 4 matrix of numbers, but it came as {type(affine).__name__}.") from error
    if matrix.shape != (4, 4):
        raise SpaceError(f"An affine is a 4 x 4 matrix, but its shape is {matrix.shape}.")
    if not np.all(np.isfinite(matrix)):
        raise SpaceError("The affine holds NaN or infinite numbers: the scan's position in space is not known.")
    if np.max(np.abs(matrix)) > _FARTHEST:
        raise SpaceError(f"The affine holds {np.max(np.abs(matrix)):.3g}: no scan is that large or that far away.")
    if not np.allclose(matrix[3], (0.0, 0.0, 0.0, 1.0), rtol=0.0, atol=1e-9):
        raise SpaceError(f"The last row of an affine is 0 0 0 1, but it is {matrix[3].tolist()}.")
    steps = np.sqrt(np.sum(matrix[:3, :3] ** 2, axis=0))
    if np.min(steps) < 1e-9 or abs(np.linalg.det(matrix[:3, :3] / steps)) < 1e-6:
        raise SpaceError(
            "The affine is singular: its voxel axes do not span space, so directions and sizes are unknown."
        )
    matrix.setflags(write=False)
    return matrix


def _place_in_space(cosines: np.ndarray, axes: tuple[int, ...]) -> tuple[float, ...]:
    """The chosen directions, each turned to its positive side, rounded so that rounding errors cannot decide."""
    chosen = [cosines[:, axis] * (1.0 if cosines[world, axis] >= 0 else -1.0) for world, axis in enumerate(axes)]
    return tuple((np.round(np.concatenate(chosen), 4) + 0.0).tolist())


def _largest_shift(a: Volume, b: Volume) -> float:
    """Largest distance in mm between the same voxels of two volumes of one shape: it is at one of the eight corners."""
    corners = np.array(
        [(i, j, k, 1) for i in (0, a.shape[0] - 1) for j in (0, a.shape[1] - 1) for k in (0, a.shape[2] - 1)]
    )
    return float(np.max(np.sqrt(np.sum(((a.affine - b.affine) @ corners.T)[:3] ** 2, axis=0))))


def _describe(volume: Volume) -> str:
    shape = " x ".join(str(size) for size in volume.shape)
    spacing = " x ".join(f"{size:.3g}" for size in volume.spacing)
    return f"{shape} voxels of {spacing} mm, {volume.orientation}"
