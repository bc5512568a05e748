"""How well two label arrays agree: overlap (Dice is the paper's measure, section III), volume and surface distances.

Plain arrays of whole numbers; names and files belong to `evaluation`. The definitions are those of Taha & Hanbury,
"Metrics for evaluating 3D medical image segmentation", BMC Medical Imaging 15:29 (2015), and, for the mean of both
directions, of Heimann et al., "Comparison and evaluation of methods for liver segmentation from CT datasets", IEEE
Transactions on Medical Imaging 28:1251 (2009).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from napari_scse.errors import InputError

_PART = 1 << 20  # labels counted at a time
_TABLE_LIMIT = 1 << 24  # labels from 0 to here are counted in one pass with a table; others are sorted


@dataclass(frozen=True)
class Overlap:
    """How many voxels one label has in the prediction, in the reference, and in both at the same place."""

    predicted: int
    reference: int
    shared: int

    @property
    def dice(self) -> float:
        """``2·|P ∩ R| / (|P| + |R|)``, in 0 … 1; NaN where the label is in neither."""
        together = self.predicted + self.reference
        return 2.0 * self.shared / together if together else float("nan")

    @property
    def volume_similarity(self) -> float:
        """``1 - ||P| - |R|| / (|P| + |R|)``, in 0 … 1, wherever the voxels lie; NaN where the label is in neither."""
        together = self.predicted + self.reference
        return 1.0 - abs(self.predicted - self.reference) / together if together else float("nan")


@dataclass(frozen=True)
class SurfaceDistances:
    """How far the surfaces of one label lie apart in two arrays, in the unit of the steps that were given (mm).

    Attributes
    ----------
    average
        Average symmetric surface distance: the mean, over the surface voxels of both arrays together, of the distance
        to the nearest surface voxel of the other array.
    hausdorff95
        95 % Hausdorff distance: the larger of the two directed 95th percentiles of those distances.
    """

    average: float
    hausdorff95: float


def count_voxels(labels: np.ndarray) -> dict[int, int]:
    """Count the voxels of every label value that occurs, background included.

    Parameters
    ----------
    labels
        Whole numbers (or booleans) of any shape.

    Returns
    -------
    dict
        Value → number of voxels, in increasing order of the value.

    Raises
    ------
    InputError
        The array holds numbers that need not be whole.
    """
    flat = whole_numbers(labels).ravel(order="K")
    if not flat.size:
        return {}
    if flat.min() >= 0 and flat.max() < _TABLE_LIMIT:
        counts = np.zeros(int(flat.max()) + 1, np.intp)
        size = max(_PART, len(counts))
        for start in range(0, flat.size, size):  # part by part: other threads get their turn
            counts += np.bincount(flat[start : start + size], minlength=len(counts))
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    values, sizes = np.unique(flat, return_counts=True)
    return {int(value): int(size) for value, size in zip(values, sizes, strict=True)}


def overlaps(prediction: np.ndarray, reference: np.ndarray) -> dict[int, Overlap]:
    """Overlap of every label value that occurs in either array, in increasing order of the value.

    Parameters
    ----------
    prediction, reference
        Whole numbers (or booleans), the same shape; voxels correspond by their index.

    Raises
    ------
    InputError
        The shapes differ, or an array holds numbers that need not be whole.
    """
    _require_same_shape(prediction, reference)
    predicted, expected = whole_numbers(prediction), whole_numbers(reference)
    in_prediction, in_reference = count_voxels(predicted), count_voxels(expected)
    in_both = count_voxels(predicted[predicted == expected])
    return {
        value: Overlap(in_prediction.get(value, 0), in_reference.get(value, 0), in_both.get(value, 0))
        for value in sorted(in_prediction.keys() | in_reference.keys())
    }


def surface_voxels(labels: np.ndarray) -> dict[int, np.ndarray]:
    """Find the surface of every label but 0: its voxels with a neighbour, along an axis, of another value.

    Beyond the array there is background. An axis of a single voxel has no neighbours, so that the labels of one slice
    have outlines.

    Parameters
    ----------
    labels
        Whole numbers of any shape with n axes.

    Returns
    -------
    dict
        Value → indices (m, n) of its surface voxels, in increasing order of the value; there is at least one.

    Raises
    ------
    InputError
        The array holds numbers that need not be whole.
    """
    array = np.ascontiguousarray(whole_numbers(labels))
    axes = [axis for axis in range(array.ndim) if array.shape[axis] > 1]
    differs = np.full(array.shape, not axes)
    for axis in axes:
        values, marks = np.moveaxis(array, axis, 0), np.moveaxis(differs, axis, 0)  # views
        step = values[1:] != values[:-1]
        marks[1:] |= step
        marks[:-1] |= step
        marks[[0, -1]] = True
    flat = np.flatnonzero(differs & (array != 0))
    values = array.ravel()[flat]
    order = np.argsort(values, kind="stable")
    found, starts = np.unique(values[order], return_index=True)
    places = np.split(flat[order], starts)[1:]
    return {
        int(value): np.stack(np.unravel_index(place, array.shape), axis=-1)
        for value, place in zip(found, places, strict=True)
    }


def surface_distances(
    prediction: np.ndarray, reference: np.ndarray, steps: np.ndarray, values: Collection[int] | None = None
) -> dict[int, SurfaceDistances]:
    """Distances between the surfaces (`surface_voxels`) of every label but 0 that both arrays have.

    Distances are those between voxel centres in space, found exactly with a k-d tree, so that voxels may be of any
    shape, sheared ones included. Every surface voxel weighs the same, whatever the area of its faces.

    Parameters
    ----------
    prediction, reference
        Whole numbers, the same shape (n axes); voxels correspond by their index.
    steps
        (n, n): column a is the way from a voxel to the next one along axis a, such as ``affine[:3, :3]`` in mm.
    values
        Which labels; None: all of them.

    Raises
    ------
    InputError
        The shapes differ, or an array holds numbers that need not be whole.
    """
    _require_same_shape(prediction, reference)
    ours, theirs = surface_voxels(prediction), surface_voxels(reference)
    wanted = sorted((ours.keys() & theirs.keys()) if values is None else (ours.keys() & theirs.keys() & set(values)))
    to_space = np.asarray(steps, np.float64).T
    return {value: _between(ours[value] @ to_space, theirs[value] @ to_space) for value in wanted}


def _between(ours: np.ndarray, theirs: np.ndarray) -> SurfaceDistances:
    """Compare two sets of points (m, n) and (m', n)."""
    there, back = KDTree(theirs).query(ours)[0], KDTree(ours).query(theirs)[0]
    return SurfaceDistances(
        float(np.concatenate([there, back]).mean()), float(max(np.percentile(there, 95), np.percentile(back, 95)))
    )


def _require_same_shape(prediction: np.ndarray, reference: np.ndarray) -> None:
    if np.shape(prediction) != np.shape(reference):
        raise InputError(
            f"Both label arrays need the same shape; one is {np.shape(prediction)}, the other {np.shape(reference)}."
        )


def whole_numbers(labels: np.ndarray) -> np.ndarray:
    """Return labels as an array of integers; raises `InputError` where they need not be whole."""
    array = np.asarray(labels)
    if array.dtype == np.bool_:
        return array.view(np.uint8)
    if array.dtype.kind not in "iu":
        raise InputError(f"Labels are whole numbers; this array holds {array.dtype}.")
    return array
