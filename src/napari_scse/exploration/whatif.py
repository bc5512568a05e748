"""What if? The labels of one slice, with some gates given another value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from napari_scse.errors import InputError
from napari_scse.exploration.film import Film
from napari_scse.nn.overrides import Levels, Override

PAINTED = 101  # label values 1 … 101 of a painted layer mean gates of 0, 0.01 … 1; 0 leaves the gate


@dataclass(frozen=True, eq=False)
class WhatIf:
    """One slice with other gates.

    Attributes
    ----------
    labels, trained
        Class of each pixel with the gates replaced and as trained, uint8 (height, width).
    """

    labels: np.ndarray
    trained: np.ndarray

    @property
    def changed(self) -> int:
        """How many pixels have another class."""
        return int(np.count_nonzero(self.labels != self.trained))


def what_if(film: Film, epoch: int, number: int, overrides: Mapping[str, Override | str | Levels]) -> WhatIf:
    """Label one slice with some gates replaced; the run's network stays what it is.

    Parameters
    ----------
    epoch
        Index of the epoch.
    number
        The slice, counted from the film's first.
    overrides
        As for `override_gates`.
    """
    with film.turns.question():
        (trained,) = film.frames.look(epoch, [number], [], labels=True)
        (other,) = film.frames.look(epoch, [number], [], labels=True, overrides=overrides)
    if trained.labels is None or other.labels is None:
        raise InputError("The network gave no labels.")
    return WhatIf(other.labels, trained.labels)


def painted_levels(painted: np.ndarray) -> np.ndarray:
    """Turn a painted layer (label values, any shape) into levels 0 … 1, NaN where nothing is painted."""
    levels = (painted.astype(np.float32) - 1) / np.float32(PAINTED - 1)
    return np.where((painted > 0) & (painted <= PAINTED), levels, np.float32(np.nan))
