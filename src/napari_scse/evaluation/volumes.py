"""Measure the structures of one label volume."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_scse.evaluation.tables import write_table
from napari_scse.metrics import count_voxels
from napari_scse.structures import Structure
from napari_scse.volume import LabelVolume, Volume


@dataclass(frozen=True)
class StructureVolume:
    """The size of one structure."""

    value: int
    name: str
    voxels: int
    volume_mm3: float


def structure_volumes(labels: LabelVolume, structures: Sequence[Structure]) -> tuple[StructureVolume, ...]:
    """Measure every one of `structures` in `labels`; one that does not occur has volume 0."""
    counts, size = count_voxels(labels.data), voxel_mm3(labels)
    return tuple(
        StructureVolume(s.value, s.name, counts.get(s.value, 0), counts.get(s.value, 0) * size) for s in structures
    )


def write_volumes(path: str | os.PathLike[str], volumes: Sequence[StructureVolume]) -> None:
    """Write structure volumes to a CSV file (whole or not at all)."""
    header = ("value", "name", "voxels", "volume_mm3")
    write_table(path, header, [(v.value, v.name, v.voxels, v.volume_mm3) for v in volumes])


def voxel_mm3(volume: Volume) -> float:
    """Volume of one voxel, of any shape, in mm³."""
    return float(abs(np.linalg.det(volume.affine[:3, :3])))
