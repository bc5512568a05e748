"""A volume as a run's network wants it: slices of the run's plane, at the run's spacing, in the run's intensities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from napari_scse.conform import Conformation, Window, conform
from napari_scse.intensity import normalise, prepare
from napari_scse.runs import RunConfig
from napari_scse.slices import SliceGeometry, cut
from napari_scse.volume import Volume


@dataclass(frozen=True, eq=False)
class Scan:
    """A volume laid out for a run.

    Everything from here on happens on this one stack: the same head gives the same numbers whatever the orientation of
    its file, down to the last bit.

    Attributes
    ----------
    config
        The run's configuration.
    geometry
        From the volume to its slices, and back.
    conformation
        From the slices to those at the run's spacing, and scores back.
    data
        The conformed slices (n, h, w), float32 with the background at 0; their gain is not applied yet.
    """

    config: RunConfig
    geometry: SliceGeometry
    conformation: Conformation
    data: np.ndarray

    @classmethod
    def of(cls, volume: Volume, config: RunConfig) -> Self:
        """Lay `volume` out for a run.

        Raises
        ------
        InputError
            If the volume has no finite voxel or is constant.
        """
        stack = cut(volume, config.plane)
        geometry = stack.geometry
        conformation = conform(geometry.stack_shape, geometry.stack_spacing, config.spacing)
        return cls(config, geometry, conformation, conformation.resample(prepare(stack.data)))

    @property
    def plane_shape(self) -> tuple[int, int]:
        """(h, w) of a conformed slice."""
        return self.conformation.shape[1], self.conformation.shape[2]

    def slices(self, numbers: Sequence[int] | np.ndarray, gain: float, windows: Sequence[Window]) -> np.ndarray:
        """Return what the network sees of some conformed slices.

        Parameters
        ----------
        numbers
            Conformed slice numbers.
        gain
            See `intensity.normalise`.
        windows
            Parts of the slices, all of one size; what sticks out of a slice is 0.

        Returns
        -------
        numpy.ndarray
            float32 (slices x windows, channels, height, width): all windows of the first slice, then of the next. The
            channels are the slice and its neighbours on both sides, the first and last slice repeated.
        """
        reach = self.config.neighbours
        around = np.arange(-reach, reach + 1)
        chosen = np.clip(np.asarray(numbers, dtype=np.intp)[:, None] + around, 0, len(self.data) - 1)
        seen = normalise(self.data[chosen], gain, self.config.intensity.clip)
        parts = np.stack([window.extract(seen) for window in windows], axis=1)
        return parts.reshape(-1, *parts.shape[2:])
