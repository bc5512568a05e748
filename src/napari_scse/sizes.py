"""How large structures are: in one label volume, and typically over many.

Where a structure reaches the faces of the volume it may go on outside of the field of view: what is seen of it is only
the least that it can measure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from napari_scse.volume import LabelVolume


@dataclass(frozen=True)
class Size:
    """The size of one structure in one volume.

    Attributes
    ----------
    mm3
        Its volume, as far as it is in view.
    open_mm2
        Its area on the six faces of the volume, where it may go on. 0 if all of it is in view.
    """

    mm3: float
    open_mm2: float = 0.0


@dataclass(frozen=True)
class TypicalSize:
    """The size of one structure over many volumes.

    Attributes
    ----------
    mm3
        Geometric mean of its volume.
    spread
        Standard deviation of the volume's natural logarithm: 0.1 is about ten percent. 0 for a single volume.
    """

    mm3: float
    spread: float


def measure(labels: LabelVolume, classes: Mapping[int, int] | None = None) -> dict[int, Size]:
    """Measure every structure of `labels`.

    Parameters
    ----------
    labels
        Label values >= 0; 0 is background.
    classes
        Label value → the value to count it as; 0, or not named, is background. None: the values as they are.

    Returns
    -------
    dict
        Value → `Size` of those that occur, in increasing order of the value.
    """
    counts = np.bincount(labels.data.ravel(order="K"))
    steps = labels.affine[:3, :3]
    mm3 = counts * abs(float(np.linalg.det(steps)))
    open_mm2 = np.zeros(len(counts))
    for axis in range(3):
        one, other = np.delete(steps, axis, axis=1).T
        area = float(np.linalg.norm(np.cross(one, other)))
        for place in (0, -1):
            open_mm2 += area * np.bincount(labels.data.take(place, axis).ravel(), minlength=len(counts))
    found: dict[int, Size] = {}
    for label in np.flatnonzero(counts).tolist():
        value = label if classes is None else classes.get(label, 0)
        if value:
            before = found.get(value, Size(0.0))
            found[value] = Size(before.mm3 + float(mm3[label]), before.open_mm2 + float(open_mm2[label]))
    return dict(sorted(found.items()))


def typical(measured: Iterable[Mapping[int, Size]]) -> dict[int, TypicalSize]:
    """What is typical of many volumes.

    Parameters
    ----------
    measured
        What `measure` gave for each of them. A structure counts where all of it is in view.

    Returns
    -------
    dict
        Value → `TypicalSize`, in increasing order of the value, of all that are somewhere in view as a whole.
    """
    logarithms: dict[int, list[float]] = {}
    for sizes in measured:
        for value, size in sizes.items():
            if not size.open_mm2:
                logarithms.setdefault(value, []).append(math.log(size.mm3))
    return {
        value: TypicalSize(math.exp(np.mean(seen)), float(np.std(seen, ddof=1)) if len(seen) > 1 else 0.0)
        for value, seen in sorted(logarithms.items())
    }
