"""What a user painted to teach a network: label values on the volume's grid, and which voxels have one.

Strokes are few and thin. They are brought to the run's spacing voxel by voxel, so that none is lost where slices are
thicker or voxels finer than the run's: a painted voxel belongs to every conformed voxel that takes its label from it,
or to the one nearest to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from napari_scse.conform import Conformation
from napari_scse.errors import InputError
from napari_scse.runs import RunConfig
from napari_scse.sides import classes_by_value
from napari_scse.slices import SliceGeometry
from napari_scse.structures import FREESURFER27
from napari_scse.volume import LabelVolume

_SHOWN = 5  # values named in a sentence


@dataclass(frozen=True, eq=False)
class Strokes:
    """Painted voxels of a volume.

    Attributes
    ----------
    labels
        Whole numbers (I, J, K), the run's label values; read only where `painted`.
    painted
        Boolean, the same shape. Background (0) is painted as any other label is.

    Raises
    ------
    InputError
        The arrays have other types or shapes.
    """

    labels: np.ndarray
    painted: np.ndarray

    def __post_init__(self) -> None:
        labels, painted = np.asarray(self.labels), np.asarray(self.painted)
        if labels.dtype.kind not in "iu":
            raise InputError(f"Strokes are whole numbers, one label value a voxel; these are of type {labels.dtype}.")
        if painted.dtype != np.bool_:
            raise InputError(f"Which voxels are painted is told by true or false, not by {painted.dtype}.")
        if labels.ndim != 3 or labels.shape != painted.shape:
            raise InputError(
                f"Strokes are two volumes of one shape, the labels and what is painted; these are {labels.shape} and "
                f"{painted.shape}."
            )
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "painted", painted)

    @classmethod
    def of(cls, labels: LabelVolume | np.ndarray, unpainted: int) -> Self:
        """Make strokes of labels in which every voxel of the value `unpainted` was not painted."""
        data = labels.data if isinstance(labels, LabelVolume) else labels
        return cls(data, np.asarray(data != unpainted))

    def counts(self) -> dict[int, int]:
        """How many voxels are painted with each label value, by increasing value."""
        values, counts = np.unique(self.labels[self.painted], return_counts=True)
        return {int(value): int(count) for value, count in zip(values, counts, strict=True)}

    def class_indices(self, config: RunConfig) -> np.ndarray:
        """The class index (m,) of every painted voxel, in the order of ``np.nonzero(painted)``.

        A run of sagittal slices knows both sides of a structure by the left one's value: the right one's means the same
        there.

        Raises
        ------
        InputError
            Nothing is painted, or with a value that the run does not know.
        """
        if not self.painted.any():
            raise InputError("There are no strokes: paint where the labels are wrong, background included.")
        known = classes_by_value(config.classes)
        counts = self.counts()
        strange = [value for value in counts if value not in known]
        if strange:
            raise InputError(_unknown(strange, config))
        found = self.labels[self.painted]
        indices = np.empty(found.shape, np.int64)
        for value in counts:
            indices[found == value] = known[value]
        return indices


@dataclass(frozen=True, eq=False)
class Placed:
    """Strokes in the conformed slices.

    Attributes
    ----------
    where
        (m, 3): n, h and w of each conformed voxel that is painted, in increasing order, each once.
    classes
        (m,) int64: its class index.
    contested
        How many conformed voxels were left out, because as many painted voxels speak for one class as for another.
    """

    where: np.ndarray
    classes: np.ndarray
    contested: int


def place(strokes: Strokes, config: RunConfig, geometry: SliceGeometry, layout: Conformation) -> Placed:
    """Bring strokes to the conformed slices of their volume.

    Where several painted voxels fall into one conformed voxel the class that most of them have is taken.

    Raises
    ------
    InputError
        The strokes have another shape than the volume, none is painted, or one is unknown to the run.
    """
    if strokes.painted.shape != geometry.shape:
        raise InputError(f"The volume has shape {geometry.shape}, but the strokes have {strokes.painted.shape}.")
    classes = strokes.class_indices(config)
    own = np.nonzero(strokes.painted)
    where = np.empty((3, len(classes)), np.int64)
    for axis, (source, flip) in enumerate(zip(geometry.axes, geometry.flips, strict=True)):
        where[axis] = geometry.shape[source] - 1 - own[source] if flip else own[source]
    for axis in range(3):
        where, classes = _along(where, classes, axis, layout)
    return _vote(where.T, classes)


def _along(where: np.ndarray, classes: np.ndarray, axis: int, layout: Conformation) -> tuple[np.ndarray, np.ndarray]:
    """Replace the indices along one axis of the stack by those of the conformed voxels that they belong to."""
    belongs = layout.belonging(axis)
    counts = np.array([len(b) for b in belongs])[where[axis]]
    where, classes = np.repeat(where, counts, 1), np.repeat(classes, counts)
    if classes.size:
        starts = np.cumsum(counts) - counts
        offsets = np.arange(len(classes)) - np.repeat(starts, counts)
        firsts = np.array([b.start for b in belongs])
        where[axis] = firsts[where[axis]] + offsets
    return where, classes


def _vote(where: np.ndarray, classes: np.ndarray) -> Placed:
    """One class for each conformed voxel: that of most painted voxels in it; none where two have as many."""
    pairs, votes = np.unique(np.column_stack([where, classes]), axis=0, return_counts=True)
    voxels, voxel = np.unique(pairs[:, :3], axis=0, return_inverse=True)
    voxel = voxel.reshape(-1)
    most = np.zeros(len(voxels), np.int64)
    np.maximum.at(most, voxel, votes)
    leading = votes == most[voxel]
    leaders = np.bincount(voxel[leading], minlength=len(voxels))
    chosen = leading & (leaders[voxel] == 1)
    return Placed(pairs[chosen, :3], pairs[chosen, 3], int(np.count_nonzero(leaders > 1)))


def _unknown(values: Sequence[int], config: RunConfig) -> str:
    named = {s.value: f"{s.value} ({s.name})" for s in FREESURFER27}
    shown = ", ".join(named.get(value, str(value)) for value in values[:_SHOWN])
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    own = ", ".join(str(c.value) for c in config.classes)
    return (
        f"The strokes have the label {shown}{more}, which the run {config.name} does not know; a network learns no new "
        f"structure from strokes. It knows {own}: paint with these, or train a run that has the structure."
    )
