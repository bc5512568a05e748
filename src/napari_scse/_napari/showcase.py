"""What the demo shows, and where it keeps it: the average brain's labels, computed once."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from pathlib import Path

import numpy as np

from napari_scse import images
from napari_scse.errors import InputError
from napari_scse.events import Event
from napari_scse.settings import user_cache
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


class KeptLabels:
    """The demo's labels by a run, in the user's cache folder.

    Parameters
    ----------
    run
        The folder of the run that labels.
    """

    def __init__(self, run: Path) -> None:
        marks = hashlib.sha256((run / "run.json").read_bytes())
        folder = user_cache() / "demo"
        self.folder = folder / marks.hexdigest()[:16]

    def load(self) -> LabelVolume | None:
        """Return the labels, or None if they are not there."""
        try:
            return images.read_labels(self.folder / "labels.nii.gz")
        except InputError:
            return None

    def save(self, labels: LabelVolume) -> Generator[Event, None, None]:
        """Keep `labels` for the next time. A job's generator."""
        self.folder.mkdir(parents=True, exist_ok=True)
        images.write_labels(self.folder / "labels.nii.gz", labels)
        yield from ()
