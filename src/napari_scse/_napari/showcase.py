"""What the demo shows, and where it keeps it: the average brain's labels and maps, computed once."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Generator
from pathlib import Path

import numpy as np
import platformdirs

from napari_scse import images
from napari_scse.errors import InputError
from napari_scse.events import Event
from napari_scse.exploration import ExcitationMaps, open_maps
from napari_scse.exploration.store import describe, make_arrays, partial_store
from napari_scse.slices import Plane
from napari_scse.volume import LabelVolume, Volume, nearest_axes

SITES = ("sE-1", "sD-4")
SLAB = 32
CENTRE = (0.0, -18.0, 8.0)  # RAS mm in the average brain: ventricles, thalamus and hippocampi at once


def shown_slice(volume: Volume, plane: Plane, point: tuple[float, float, float]) -> int:
    """Return the slice of `plane` through `point` (RAS mm), as an index along the volume's axis through it."""
    index = np.linalg.inv(volume.affine) @ (*point, 1)
    right, anterior, superior = nearest_axes(volume.affine)[0]
    axis = {Plane.CORONAL: anterior, Plane.AXIAL: superior, Plane.SAGITTAL: right}[plane]
    return int(np.clip(round(float(index[axis])), 0, volume.shape[axis] - 1))


class Shelf:
    """The demo's results for a pair of runs, in the user's cache folder.

    Parameters
    ----------
    runs
        The folders of the runs that label and that are explored.
    """

    def __init__(self, *runs: Path) -> None:
        marks = hashlib.sha256(b"".join((run / "run.json").read_bytes() for run in runs))
        folder = platformdirs.user_cache_path("napari-scse", appauthor=False) / "demo"
        self.folder = folder / marks.hexdigest()[:16]

    def load(self) -> tuple[LabelVolume, ExcitationMaps] | None:
        """Return labels and maps, or None if they are not both there."""
        try:
            return images.read_labels(self.folder / "labels.nii.gz"), open_maps(self.folder / "maps.zarr")
        except InputError:
            return None

    def save(self, labels: LabelVolume, maps: ExcitationMaps) -> Generator[Event, None, None]:
        """Keep `labels` and `maps` for the next time. A job's generator."""
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.folder / "maps.zarr", ignore_errors=True)
        images.write_labels(self.folder / "labels.nii.gz", labels)
        yield from ()
        with partial_store(self.folder / "maps.zarr") as part:
            for site, array in make_arrays(maps.records, str(maps[maps.sites[0]].dtype), part).items():
                array[...] = maps[site]
            describe(part, maps)
