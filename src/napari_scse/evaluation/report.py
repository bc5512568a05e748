"""Compare one segmentation with its reference, structure by structure.

A structure that only the reference has counts Dice 0, and so does one that only the prediction has; neither has surface
distances then. A structure that neither has is left out, and the report's notes say so.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_scse.errors import InputError
from napari_scse.evaluation.measures import MEASURES, spread
from napari_scse.evaluation.tables import write_table
from napari_scse.evaluation.volumes import voxel_mm3
from napari_scse.metrics import Overlap, SurfaceDistances, count_voxels, overlaps, surface_distances
from napari_scse.sides import split_side
from napari_scse.structures import FIRST_PARCEL, FREESURFER27, Structure, is_aseg, to_structures
from napari_scse.volume import LabelVolume, require_same_grid

FREESURFER27_MAPPING = "freesurfer27"
MAPPINGS = (FREESURFER27_MAPPING,)
ONE_SIDE = (
    "The prediction has nothing on the right side. If sagittal slices alone labelled it, both sides have the left "
    "one's values, and the Dice of paired structures says nothing: ask the other planes as well."
)
COLUMNS = ("value", "name", *MEASURES, "prediction_mm3", "reference_mm3")


@dataclass(frozen=True)
class StructureScore:
    """The agreement on one structure.

    Attributes
    ----------
    value, name
        Which structure.
    dice
        0 … 1; 0 where one side lacks the structure.
    prediction_mm3, reference_mm3
        Its volume on either side.
    volume_similarity
        ``1 - |P - R| / (P + R)`` of the two volumes, 0 … 1, wherever they lie.
    assd_mm, hd95_mm
        Average symmetric surface distance and 95 % Hausdorff distance (`metrics.SurfaceDistances`); NaN where one side
        lacks the structure or they were not asked for.
    """

    value: int
    name: str
    dice: float
    prediction_mm3: float
    reference_mm3: float
    volume_similarity: float
    assd_mm: float = float("nan")
    hd95_mm: float = float("nan")

    @property
    def row(self) -> tuple[object, ...]:
        """The cells of `COLUMNS`."""
        return tuple(getattr(self, column) for column in COLUMNS)


@dataclass(frozen=True)
class Report:
    """What `evaluate` found.

    Attributes
    ----------
    scores
        One row per structure that the prediction or the reference has, in increasing order of the value.
    missing
        Structures to be scored that neither has.
    ignored
        Values other than 0 that occur and are not among the structures.
    with_surfaces
        Whether surface distances were asked for.
    """

    scores: tuple[StructureScore, ...]
    missing: tuple[Structure, ...] = ()
    ignored: tuple[int, ...] = ()
    with_surfaces: bool = False

    @property
    def mean_dice(self) -> float:
        """Mean Dice over `scores`; every structure weighs the same."""
        return self.mean("dice")

    def mean(self, measure: str) -> float:
        """Mean of one of `MEASURES` over the structures that have it, each weighing the same; NaN if none has."""
        return spread(getattr(score, measure) for score in self.scores).mean

    @property
    def one_sided(self) -> tuple[StructureScore, ...]:
        """The structures that only the prediction or only the reference has."""
        return tuple(s for s in self.scores if not s.prediction_mm3 or not s.reference_mm3)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what was left out."""
        notes = []
        if self.missing:
            notes.append(f"Left out of the mean, in neither volume: {_list(self.missing)}.")
        if self.ignored:
            notes.append(f"Not scored, not among the structures: {', '.join(map(str, self.ignored))}.")
        if self.with_surfaces and self.one_sided:
            notes.append(f"Dice 0 and no surface distance, in one volume only: {_list(self.one_sided)}.")
        if self.lacks_a_side:
            notes.append(ONE_SIDE)
        return tuple(notes)

    @property
    def lacks_a_side(self) -> bool:
        """Whether the prediction has structures of the left side and none of the right, which the reference has."""
        left, right = ([s for s in self.scores if split_side(s.name)[0] == side] for side in ("left", "right"))
        there = any(score.prediction_mm3 for score in left) and any(score.reference_mm3 for score in right)
        return there and not any(score.prediction_mm3 for score in right)

    def write_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the scores, and their means as the last row, to a CSV file (whole or not at all)."""
        means = (None, "mean", *(self.mean(measure) for measure in MEASURES), None, None)
        write_table(path, COLUMNS, [*(score.row for score in self.scores), means])


def evaluate(
    prediction: LabelVolume,
    reference: LabelVolume,
    *,
    mapping: str | None = None,
    structures: Sequence[Structure] | None = None,
    surfaces: bool = True,
    may_be_empty: bool = False,
) -> Report:
    """Compare `prediction` with `reference`, which lie on the same grid.

    Parameters
    ----------
    mapping
        ``"freesurfer27"`` maps both to the paper's 27 structures first (`structures.to_structures`). None compares the
        values as they are.
    structures
        What to score. None: the 27 structures with that mapping; otherwise every value but 0 that either volume has.
    surfaces
        Whether to compute surface distances: a few seconds for a whole brain.
    may_be_empty
        Whether volumes that both have none of the structures make a report without scores, instead of an error.

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
        referred = [value for value, overlap in found.items() if value and overlap.reference]
        structures = FREESURFER27 if mapping else name_structures(sorted(found.keys() - {0}), referred)
    present = [s for s in structures if s.value in found]
    if not present and not may_be_empty:
        raise InputError("There is nothing to compare: neither volume has any of the structures.")
    size, steps = voxel_mm3(reference), reference.affine[:3, :3]
    distances = surface_distances(first, second, steps, [s.value for s in present]) if surfaces else {}
    return Report(
        scores=tuple(_score(s, found[s.value], size, distances) for s in present),
        missing=tuple(s for s in structures if s.value not in found),
        ignored=tuple(sorted(found.keys() - {0} - {s.value for s in structures})),
        with_surfaces=surfaces,
    )


def is_plainly_aseg(labels: LabelVolume) -> bool:
    """Tell whether `labels` can only be FreeSurfer's aseg, so that it is mapped to the 27 structures without asking.

    Those with parcels of the cortex are not: who compares two parcellations wants to see the parcels.
    """
    values = np.array(list(count_voxels(labels.data)))
    return is_aseg(values) and bool(values.max() < FIRST_PARCEL)


def name_structures(values: Sequence[int], references: Collection[int] | None = None) -> tuple[Structure, ...]:
    """Name bare values: as FreeSurfer does where the references' are plainly the 27 structures, else by their number.

    What networks made of the references has no say, so that all of them have one name for a value. None: `values`.
    """
    references = values if references is None else references
    known = {s.value: s for s in FREESURFER27}
    if len(references) <= len(known) / 2 or not known.keys() >= set(references):
        known = {}
    return tuple(known.get(value) or Structure(value, f"label {value}", "#808080") for value in values)


def _mapped(data: np.ndarray, mapping: str | None) -> np.ndarray:
    if mapping is None:
        return data
    if mapping != FREESURFER27_MAPPING:
        raise InputError(f"Unknown label mapping '{mapping}'; there is {', '.join(MAPPINGS)}.")
    return to_structures(data)


def _score(
    structure: Structure, overlap: Overlap, voxel: float, distances: Mapping[int, SurfaceDistances]
) -> StructureScore:
    apart = distances.get(structure.value, SurfaceDistances(float("nan"), float("nan")))
    return StructureScore(
        structure.value,
        structure.name,
        overlap.dice,
        overlap.predicted * voxel,
        overlap.reference * voxel,
        overlap.volume_similarity,
        apart.average,
        apart.hausdorff95,
    )


def _list(structures: Sequence[Structure | StructureScore]) -> str:
    return ", ".join(f"{s.name} ({s.value})" for s in structures)
