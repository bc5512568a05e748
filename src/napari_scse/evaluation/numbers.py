"""The numbers of every structure of a segmentation: size, symmetry, intensity, agreement with a reference."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np

from napari_scse.evaluation.measures import spread
from napari_scse.evaluation.tables import write_table
from napari_scse.evaluation.tally import Tally
from napari_scse.metrics import Overlap, count_voxels
from napari_scse.sides import mirrored, split_side
from napari_scse.structures import FREESURFER27, Structure, is_aseg, to_structures

_NAN = float("nan")


@dataclass(frozen=True)
class StructureNumbers:
    """The numbers of one structure; NaN where there is none.

    Attributes
    ----------
    value, name
        Which structure.
    voxels, ml
        Its size.
    share_percent
        Its part of all labelled voxels.
    asymmetry_percent
        ``100 · (L - R) / ((L + R) / 2)`` of the volumes of a left-right pair, the same for both: positive where the
        left one is larger, ±200 where one side is missing.
    mean, sd
        Of the image's numbers inside of it.
    dice
        Overlap with the reference, 0 … 1.
    """

    value: int
    name: str
    voxels: int
    ml: float
    share_percent: float
    asymmetry_percent: float = _NAN
    mean: float = _NAN
    sd: float = _NAN
    dice: float = _NAN


COLUMNS = tuple(field.name for field in fields(StructureNumbers))


def structure_numbers(tally: Tally, structures: Iterable[Structure], voxel_mm3: float) -> tuple[StructureNumbers, ...]:
    """Give the numbers of every structure that the labels or the reference have.

    Parameters
    ----------
    tally
        The counted labels.
    structures
        What values are called, those included that do not occur: a missing side is known by its name. Others are called
        by their number.
    voxel_mm3
        Volume of a voxel in mm³; NaN where it is not known.

    Returns
    -------
    tuple
        In increasing order of the value.
    """
    values = sorted(set(tally.values) | (tally.in_reference.keys() - {0}))
    structures = tuple(structures)
    known = {s.value: s for s in structures}
    named = [known.get(value) or Structure(value, f"Label {value}", "") for value in values]
    sums = {value: tally.sums(value) for value in values}
    total = sum(one.voxels for one in sums.values())
    partners = _partners(named, structures)
    found = []
    for structure in named:
        value, own = structure.value, sums[structure.value]
        overlap = Overlap(own.voxels, tally.in_reference.get(value, 0), own.shared)
        sides = (own.voxels, tally.sums(partners[value]).voxels)
        left, right = sides if split_side(structure.name)[0] == "left" else sides[::-1]
        paired = partners[value] != value and left + right > 0
        found.append(
            StructureNumbers(
                value,
                structure.name,
                own.voxels,
                own.voxels * voxel_mm3 / 1000,
                100 * own.voxels / total if total else _NAN,
                200 * (left - right) / (left + right) if paired else _NAN,
                own.mean,
                own.deviation,
                overlap.dice if tally.reference is not None else _NAN,
            )
        )
    return tuple(found)


def _partners(named: Sequence[Structure], structures: Sequence[Structure]) -> dict[int, int]:
    """Map each value to its left-right partner's, be it only a possible one; others map to themselves."""
    there = {s.value: s.name for s in named}
    usual = FREESURFER27 if any(there.get(s.value) == s.name for s in FREESURFER27) else ()
    absent = {s.value: s for s in (*usual, *structures) if s.value and s.value not in there}
    possible = mirrored([*named, *absent.values()])
    return {value: possible[value] if own == value else own for value, own in mirrored(named).items()}


def mean_dice(numbers: Iterable[StructureNumbers]) -> float:
    """Return the mean Dice of the structures that have one, each weighing the same; NaN if none has."""
    return spread(one.dice for one in numbers).mean


def intensity_decimals(numbers: Iterable[StructureNumbers]) -> int:
    """Return how many decimals means and SDs are shown with: one, or three digits of the largest where that is small.

    Examples
    --------
    An image from 0 to 1 has three decimals, one from 0 to 255 has one.
    """
    largest = max((abs(one.mean) for one in numbers if math.isfinite(one.mean)), default=0.0)
    return 1 if largest == 0 else min(9, max(1, 2 - math.floor(math.log10(largest))))


def write_numbers(path: str | os.PathLike[str], numbers: Sequence[StructureNumbers]) -> None:
    """Write numbers to a CSV file (whole or not at all)."""
    write_table(path, COLUMNS, [astuple(one) for one in numbers])


def comparable(reference: np.ndarray, values: Collection[int]) -> tuple[np.ndarray, bool]:
    """Map a reference that is FreeSurfer's aseg to the 27 structures where labels of `values` are among them.

    Returns
    -------
    tuple
        The reference to compare with, and whether it was mapped.
    """
    ours = {0} | {structure.value for structure in FREESURFER27}
    if set(values) <= ours and is_aseg(np.array(list(count_voxels(reference)))):
        return to_structures(reference), True
    return reference, False


def voxel_inside(labels: np.ndarray, value: int, centre: Sequence[float]) -> tuple[int, ...] | None:
    """Find the voxel of `value` that is nearest to `centre` (in voxels), looking nearby first; None if there is none.

    Parameters
    ----------
    labels
        Whole numbers of any shape.
    centre
        An index along each axis, whole or not.
    """
    middle = np.round(np.asarray(centre)).astype(int)
    reach = 4
    while True:
        low = np.maximum(middle - reach, 0)
        high = np.minimum(middle + reach + 1, labels.shape)
        box = tuple(slice(a, max(a, b)) for a, b in zip(low.tolist(), high.tolist(), strict=True))
        places = np.argwhere(np.asarray(labels[box]) == value)
        distances = np.sum((places + low - np.asarray(centre)) ** 2, axis=1)
        whole = bool(np.all(low == 0) and np.all(high == labels.shape))
        # beyond the box something may be nearer than what is in its corners, but not than what is in its ball
        if len(places) and (whole or distances.min() <= reach**2):
            return tuple(int(index) for index in places[np.argmin(distances)] + low)
        if whole:
            return None
        reach *= 4
