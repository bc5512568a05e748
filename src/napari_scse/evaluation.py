"""Compare a segmentation with a reference, structure by structure; measure the structures of one.

`evaluate` gives a `Report`: the Dice coefficient and both volumes of every structure, and their mean. A structure that
only the reference has counts 0, and so does one that only the prediction has; a structure that neither has is left out
of the mean, and the report's notes say so.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_scse.errors import InputError
from napari_scse.metrics import Overlap, count_voxels, overlaps
from napari_scse.structures import FREESURFER27, Structure, is_aseg, to_structures
from napari_scse.volume import LabelVolume, Volume, require_same_grid

FREESURFER27_MAPPING = "freesurfer27"
MAPPINGS = (FREESURFER27_MAPPING,)

# Every value FreeSurfer writes into an aseg. Other label sets (TotalSegmentator's 1-117, say) share some of them.
_ASEG_VALUES = frozenset(
    {0, 2, 3, 4, 5, 7, 8, *range(10, 19), *range(24, 32), *range(41, 45), 46, 47, *range(49, 55), 57, 58}
    | {*range(60, 64), 72, *range(77, 83), 85, *range(250, 256)}
)


@dataclass(frozen=True)
class StructureVolume:
    """The size of one structure."""

    value: int
    name: str
    voxels: int
    volume_mm3: float


@dataclass(frozen=True)
class StructureScore:
    """The agreement on one structure: Dice (0 … 1) and its volume on either side in mm³."""

    value: int
    name: str
    dice: float
    prediction_mm3: float
    reference_mm3: float


@dataclass(frozen=True)
class Report:
    """What `evaluate` found.

    Attributes
    ----------
    scores
        One row per structure that the prediction or the reference has, in increasing order of the value.
    notes
        Sentences on what was left out.
    """

    scores: tuple[StructureScore, ...]
    notes: tuple[str, ...] = ()

    @property
    def mean_dice(self) -> float:
        """Mean Dice over `scores`; every structure weighs the same."""
        return float(np.mean([score.dice for score in self.scores]))

    def write_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the scores, and their mean as the last row, to a CSV file (whole or not at all)."""
        header = ("value", "name", "dice", "prediction_mm3", "reference_mm3")
        rows: list[Sequence[object]] = [
            (s.value, s.name, s.dice, s.prediction_mm3, s.reference_mm3) for s in self.scores
        ]
        _write_csv(path, header, [*rows, (None, "mean", self.mean_dice, None, None)])


def evaluate(
    prediction: LabelVolume,
    reference: LabelVolume,
    *,
    mapping: str | None = None,
    structures: Sequence[Structure] | None = None,
) -> Report:
    """Compare `prediction` with `reference`, which lie on the same grid.

    Parameters
    ----------
    mapping
        ``"freesurfer27"`` maps both to the paper's 27 structures first (`structures.to_structures`). None compares the
        values as they are.
    structures
        What to score. None: the 27 structures with that mapping; otherwise every value but 0 that either volume has.

    Raises
    ------
    SpaceError
        The grids differ.
    InputError
        An unknown mapping, or neither volume has any of the structures.
    """
    require_same_grid(prediction, reference)
    first, second = _mapped(prediction.data, mapping), _mapped(reference.data, mapping)
    found = overlaps(first, second)
    if structures is None:
        structures = FREESURFER27 if mapping else _name(sorted(found.keys() - {0}))
    present = [s for s in structures if s.value in found]
    if not present:
        raise InputError("There is nothing to compare: neither volume has any of the structures.")
    size = _voxel_mm3(reference)
    scores = tuple(_score(structure, found[structure.value], size) for structure in present)
    return Report(scores, _notes(structures, found))


def is_plainly_aseg(labels: LabelVolume) -> bool:
    """Tell whether `labels` can only be FreeSurfer's aseg, so that it is mapped to the 27 structures without asking."""
    values = count_voxels(labels.data).keys()
    return values <= _ASEG_VALUES and is_aseg(np.array(list(values)))


def structure_volumes(labels: LabelVolume, structures: Sequence[Structure]) -> tuple[StructureVolume, ...]:
    """Measure every one of `structures` in `labels`; one that does not occur has volume 0."""
    counts, size = count_voxels(labels.data), _voxel_mm3(labels)
    return tuple(
        StructureVolume(s.value, s.name, counts.get(s.value, 0), counts.get(s.value, 0) * size) for s in structures
    )


def write_volumes(path: str | os.PathLike[str], volumes: Sequence[StructureVolume]) -> None:
    """Write structure volumes to a CSV file (whole or not at all)."""
    header = ("value", "name", "voxels", "volume_mm3")
    _write_csv(path, header, [(v.value, v.name, v.voxels, v.volume_mm3) for v in volumes])


def _mapped(data: np.ndarray, mapping: str | None) -> np.ndarray:
    if mapping is None:
        return data
    if mapping != FREESURFER27_MAPPING:
        raise InputError(f"Unknown label mapping '{mapping}'; there is {', '.join(MAPPINGS)}.")
    return to_structures(data)


def _name(values: Sequence[int]) -> tuple[Structure, ...]:
    """Name bare values: as FreeSurfer does where they are plainly the 27 structures, otherwise by their number."""
    known = {s.value: s for s in FREESURFER27}
    if len(values) > len(known) / 2 and all(value in known for value in values):
        return tuple(known[value] for value in values)
    return tuple(Structure(value, f"label {value}", "#808080") for value in values)


def _score(structure: Structure, overlap: Overlap, voxel_mm3: float) -> StructureScore:
    volumes = overlap.predicted * voxel_mm3, overlap.reference * voxel_mm3
    return StructureScore(structure.value, structure.name, overlap.dice, *volumes)


def _notes(structures: Sequence[Structure], found: Mapping[int, Overlap]) -> tuple[str, ...]:
    missing = [f"{s.name} ({s.value})" for s in structures if s.value not in found]
    ignored = sorted(found.keys() - {0} - {s.value for s in structures})
    notes = []
    if missing:
        notes.append(f"Left out of the mean, in neither volume: {', '.join(missing)}.")
    if ignored:
        notes.append(f"Not scored, not among the structures: {', '.join(map(str, ignored))}.")
    return tuple(notes)


def _voxel_mm3(volume: Volume) -> float:
    return float(abs(np.linalg.det(volume.affine[:3, :3])))


def _write_csv(path: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write `header` and `rows` to `path`, replacing what was there only once everything is written.

    A cell that is None becomes empty; floats are written so that they read back exactly.

    Raises
    ------
    OSError
        The folder cannot be written to. No temporary file stays behind.
    """
    target = Path(path).resolve()  # what a link points to is replaced, not the link
    temporary = target.with_name(f".{target.name}-{os.getpid()}.part")
    try:
        with temporary.open("x", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
