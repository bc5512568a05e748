"""The 27 brain structures of the paper, and how other label conventions map onto them.

Numbers, names and colours are FreeSurfer's (``FreeSurferColorLUT.txt``). Names say what is left and right: see `sides`.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_scse.errors import InputError


@dataclass(frozen=True)
class Structure:
    """A label: its `value` (0 is background), its `name` and its `color` as ``#rrggbb``."""

    value: int
    name: str
    color: str


BACKGROUND = Structure(0, "Background", "#000000")

FREESURFER27: tuple[Structure, ...] = (
    Structure(2, "Left-Cerebral-White-Matter", "#f5f5f5"),
    Structure(3, "Left-Cerebral-Cortex", "#cd3e4e"),
    Structure(4, "Left-Lateral-Ventricle", "#781286"),
    Structure(7, "Left-Cerebellum-White-Matter", "#dcf8a4"),
    Structure(8, "Left-Cerebellum-Cortex", "#e69422"),
    Structure(10, "Left-Thalamus", "#00760e"),
    Structure(11, "Left-Caudate", "#7abadc"),
    Structure(12, "Left-Putamen", "#ec0db0"),
    Structure(13, "Left-Pallidum", "#0c30ff"),
    Structure(14, "3rd-Ventricle", "#ccb68e"),
    Structure(15, "4th-Ventricle", "#2acca4"),
    Structure(16, "Brain-Stem", "#779fb0"),
    Structure(17, "Left-Hippocampus", "#dcd814"),
    Structure(18, "Left-Amygdala", "#67ffff"),
    Structure(28, "Left-VentralDC", "#a52a2a"),
    Structure(41, "Right-Cerebral-White-Matter", "#f5f5f5"),
    Structure(42, "Right-Cerebral-Cortex", "#cd3e4e"),
    Structure(43, "Right-Lateral-Ventricle", "#781286"),
    Structure(46, "Right-Cerebellum-White-Matter", "#dcf8a4"),
    Structure(47, "Right-Cerebellum-Cortex", "#e69422"),
    Structure(49, "Right-Thalamus", "#00760e"),
    Structure(50, "Right-Caudate", "#7abadc"),
    Structure(51, "Right-Putamen", "#ec0db0"),
    Structure(52, "Right-Pallidum", "#0d30ff"),
    Structure(53, "Right-Hippocampus", "#dcd814"),
    Structure(54, "Right-Amygdala", "#67ffff"),
    Structure(60, "Right-VentralDC", "#a52a2a"),
)

WHITE_MATTER = (2, 41)

# Labels that FreeSurfer's aseg and SynthSeg's label maps tell apart and the paper does not.
_MERGED = {5: 4, 44: 43, 31: 4, 63: 43, 25: 2, 57: 41, 136: 4, 137: 4, 163: 43, 164: 43}

# Parcels of cortex and white matter in FreeSurfer's aparc+aseg and wmparc: first and last value of each, and what they
# are parcels of.
_PARCELS = (
    *((1000, 1181, 3), (2000, 2181, 42), (3000, 3181, 2), (4000, 4181, 41), (5001, 5001, 2), (5002, 5002, 41)),
    *((11100, 11175, 3), (12100, 12175, 42), (13100, 13175, 2), (14100, 14175, 41)),
)
FIRST_PARCEL = min(first for first, *_ in _PARCELS)
_MERGED |= {value: whole for first, last, whole in _PARCELS for value in range(first, last + 1)}

# Every value FreeSurfer writes into an aseg or aparc+aseg. Others (TotalSegmentator's 1-117, say) share some of them.
_ASEG_VALUES = frozenset(
    {0, 2, 3, 4, 5, 7, 8, *range(10, 19), *range(24, 32), *range(41, 45), 46, 47, *range(49, 55), 57, 58}
    | {*range(60, 64), 72, *range(77, 83), 85, *range(250, 256)}
    | {value for first, last, _ in _PARCELS for value in range(first, last + 1)}
)

# aseg labels inside the white matter that have no side of their own: corpus callosum and hypo-intensities.
_UNSIDED_WHITE_MATTER = (251, 252, 253, 254, 255, 77, 78, 79)


def to_structures(labels: np.ndarray) -> np.ndarray:
    """Map FreeSurfer or SynthSeg label values to the paper's 27 structures.

    Parameters
    ----------
    labels
        Whole-number labels of any shape, 3-D if they hold a corpus callosum (251-255) or white-matter hypo-intensities
        (77-79): those go to the white matter, left or right, that is nearest in voxels.

    Returns
    -------
    numpy.ndarray
        uint8, the same shape; everything that is none of the 27 is 0.
    """
    labels = np.asarray(labels)
    if labels.size and (labels.min() < 0 or labels.max() > 65535):
        raise InputError(f"Labels must lie between 0 and 65535; these reach from {labels.min()} to {labels.max()}.")
    labels = labels.astype(np.uint16, copy=False)
    table = np.zeros(65536, np.uint8)
    for value in (s.value for s in FREESURFER27):
        table[value] = value
    for source, target in _MERGED.items():
        table[source] = target
    mapped: np.ndarray = table[labels]
    unsided = np.isin(labels, _UNSIDED_WHITE_MATTER)
    white = np.isin(mapped, WHITE_MATTER)
    if unsided.any() and white.any():
        (box,) = ndimage.find_objects((unsided | white).astype(np.uint8))  # all of what counts, and much less to search
        nearest = ndimage.distance_transform_edt(~white[box], return_distances=False, return_indices=True)
        mapped[box][unsided[box]] = mapped[box][tuple(nearest)][unsided[box]]
    return mapped


def is_aseg(labels: np.ndarray) -> bool:
    """Tell whether `labels` can only be FreeSurfer's aseg or aparc+aseg, and not yet the 27 structures.

    True if there is cerebral white matter of both sides, values that only aseg-like label sets have (inferior
    ventricles, choroid plexus, CSF, corpus callosum, parcels of the cortex), and none that those do not have.
    """
    present = set(np.unique(np.asarray(labels)).tolist())
    further = {5, 24, 31, 44, 63, 251, 252, 253, 254, 255}
    telling = bool(present & further) or max(present, default=0) >= FIRST_PARCEL
    return {2, 41} <= present <= _ASEG_VALUES and telling


def are_brain(values: Iterable[int]) -> bool:
    """Tell whether label values are FreeSurfer's: all among the 27 or an aseg's, and some of each side.

    Examples
    --------
    >>> are_brain([0, 2, 3, 41, 42]), are_brain([0, 1, 2, 3]), are_brain(range(50))
    (True, False, False)
    """
    present = set(values)
    return bool(present & {2, 3, 8, 10, 17}) and bool(present & {41, 42, 47, 49, 53}) and present <= _ASEG_VALUES


def name_values(values: Sequence[int]) -> tuple[Structure, ...]:
    """Make structures of label values that nobody has named: "Label 5", in colours that are easy to tell apart."""
    structures = []
    for place, value in enumerate(values):
        red, green, blue = colorsys.hsv_to_rgb(place * 0.618034 % 1, 0.55 + 0.15 * (place % 4), 0.95)
        color = f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
        structures.append(Structure(int(value), f"Label {value}", color))
    return tuple(structures)


def class_indices(values: Sequence[int]) -> Mapping[int, int]:
    """Map label values to class indices: background 0 first, then `values` in their order."""
    return {0: 0} | {value: index for index, value in enumerate(values, start=1)}
