"""Why this voxel? One slice at every epoch: all gates, and the probability of every class."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

import numpy as np

from napari_scse.events import Event, Progress
from napari_scse.exploration.film import Film
from napari_scse.exploration.frames import Frame


@dataclass(frozen=True, eq=False)
class VoxelCurves:
    """What one voxel went through.

    Attributes
    ----------
    epochs
        Numbers of the epochs.
    gates
        Spatial site → its gate there at each epoch, (epochs,).
    probabilities
        (epochs, classes).
    """

    epochs: tuple[int, ...]
    gates: Mapping[str, np.ndarray]
    probabilities: np.ndarray


@dataclass(frozen=True, eq=False)
class Probe:
    """One slice at every epoch.

    Attributes
    ----------
    number
        The slice, counted from the film's first.
    epochs
        Numbers of the epochs.
    spatial
        Site → its maps (epochs, h, w).
    channel
        Site → its gates (epochs, channels).
    strides
        Spatial site → pixels of the window per pixel of its map.
    probabilities
        float16 (epochs, classes, height, width).
    affine
        Index (slice, row, column) of the window to RAS+ mm; (4, 4).
    """

    number: int
    epochs: tuple[int, ...]
    spatial: Mapping[str, np.ndarray]
    channel: Mapping[str, np.ndarray]
    strides: Mapping[str, int]
    probabilities: np.ndarray
    affine: np.ndarray

    def at(self, point: np.ndarray) -> VoxelCurves | None:
        """Return the curves of the voxel at `point` (RAS+ mm, (3,)); None where the network does not see it."""
        _, row, column = np.rint((np.linalg.inv(self.affine) @ [*point, 1.0])[:3]).astype(int)
        height, width = self.probabilities.shape[2:]
        if not (0 <= row < height and 0 <= column < width):
            return None
        gates = {
            site: maps[:, row // self.strides[site], column // self.strides[site]]
            for site, maps in self.spatial.items()
        }
        return VoxelCurves(self.epochs, gates, self.probabilities[:, :, row, column].astype(np.float32))


def probe_slice(film: Film, number: int) -> Generator[Event, None, Probe]:
    """Look at all gates and probabilities of one slice, at every epoch.

    Parameters
    ----------
    number
        The slice, counted from the film's first.

    Yields
    ------
    Progress
        After every epoch.
    """
    sites = film.frames.layout.sites
    frames: list[Frame] = []
    for epoch in range(len(film.epochs)):
        with film.turns.question():
            frames.extend(film.frames.look(epoch, [number], list(sites), probabilities=True))
        yield Progress(epoch + 1, len(film.epochs), "epochs looked at")
    spatial = {name: np.stack([f.gates[name] for f in frames]) for name, s in sites.items() if s.kind == "spatial"}
    channel = {name: np.stack([f.gates[name] for f in frames]) for name, s in sites.items() if s.kind == "channel"}
    probabilities = np.stack([f.probabilities for f in frames if f.probabilities is not None])
    strides = {name: sites[name].stride or 1 for name in spatial}
    return Probe(number, film.epochs, spatial, channel, strides, probabilities, film.labels_affine)
