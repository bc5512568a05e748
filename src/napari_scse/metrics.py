"""How well two label arrays agree: voxel counts and the Dice coefficient (the paper's measure, section III).

Plain numpy on whole-number arrays of any shape; millimetres and names belong to `evaluation`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_scse.errors import InputError

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
    flat = _whole_numbers(labels).ravel(order="K")
    if not flat.size:
        return {}
    if flat.min() >= 0 and flat.max() < _TABLE_LIMIT:
        counts = np.bincount(flat.astype(np.intp, copy=False))
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
    if np.shape(prediction) != np.shape(reference):
        raise InputError(
            f"Both label arrays need the same shape; one is {np.shape(prediction)}, the other {np.shape(reference)}."
        )
    predicted, expected = _whole_numbers(prediction), _whole_numbers(reference)
    in_prediction, in_reference = count_voxels(predicted), count_voxels(expected)
    in_both = count_voxels(predicted[predicted == expected])
    return {
        value: Overlap(in_prediction.get(value, 0), in_reference.get(value, 0), in_both.get(value, 0))
        for value in sorted(in_prediction.keys() | in_reference.keys())
    }


def _whole_numbers(labels: np.ndarray) -> np.ndarray:
    array = np.asarray(labels)
    if array.dtype == np.bool_:
        return array.view(np.uint8)
    if array.dtype.kind not in "iu":
        raise InputError(f"Labels are whole numbers; this array holds {array.dtype}.")
    return array
