"""What ``run.json`` says of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from napari_scse.errors import RunError
from napari_scse.nn.architectures import NetworkConfig
from napari_scse.sizes import TypicalSize
from napari_scse.slices import Plane
from napari_scse.structures import BACKGROUND, Structure

FORMAT = 1


@dataclass(frozen=True)
class Intensity:
    """How intensities enter the network.

    Attributes
    ----------
    labelled_median
        The median over the voxels that carry a label is scaled to this.
    clip
        Larger values become this.
    """

    labelled_median: float = 1.0
    clip: float = 2.5

    @property
    def is_possible(self) -> bool:
        """Whether both are numbers above 0."""
        return all(0 < value < math.inf for value in (self.labelled_median, self.clip))


@dataclass(frozen=True)
class RunConfig:
    """What ``run.json`` says.

    Attributes
    ----------
    name
        What users pick the run by.
    network
        Rebuilds the network.
    classes
        One structure per class index; the first is background with value 0.
    plane
        The plane the slices are cut in.
    spacing
        Voxel size in mm along the stack's axes (slices, rows, columns).
    canvas
        Rows and columns the network was trained on: channel gates average over them (eq. 1).
    neighbours
        The network sees slices n - neighbours … n + neighbours as its input channels.
    intensity
        See `Intensity`.
    smoothing
        Before class probabilities become labels, each voxel's are averaged with those of its two neighbours along the
        stack's axes (slices, rows, columns); this is what each of them weighs, from 0 (not at all) to 1/3.
    vote
        What its probabilities weigh in a model of several planes, relative to the other runs' there, > 0. None: what
        the plane weighs in QuickNAT.
    sizes
        Label value → the structure's size in the training labels; empty if that was not recorded.
    training
        The full training configuration.
    command, versions, data
        The command line, the versions of the libraries, and the SHA-256 of each training file.
    lineage
        Of a run that learnt from strokes: the run it was, the strokes, how it learnt. Empty for others.
    """

    name: str
    network: NetworkConfig
    classes: tuple[Structure, ...]
    plane: Plane
    spacing: tuple[float, float, float]
    canvas: tuple[int, int]
    neighbours: int = 0
    intensity: Intensity = field(default_factory=Intensity)
    smoothing: tuple[float, float, float] = (0.0, 0.0, 0.0)
    vote: float | None = None
    sizes: Mapping[int, TypicalSize] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    lineage: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.classes) != self.network.classes or self.classes[0].value != 0:
            raise RunError(
                f"A run names one class per output of its network, background (0) first; this one names "
                f"{len(self.classes)} for {self.network.classes} outputs."
            )
        if 2 * self.neighbours + 1 != self.network.in_channels:
            raise RunError(
                f"A network that sees {self.neighbours} neighbouring slices on each side has "
                f"{2 * self.neighbours + 1} input channels; this one has {self.network.in_channels}."
            )
        if not all(0 < s < math.inf for s in self.spacing):
            raise RunError(f"A run's spacing is three positive lengths in mm, not {self.spacing}.")
        if min(self.canvas) < 1:
            raise RunError(f"A run's canvas is two whole numbers from 1 on, rows and columns, not {self.canvas}.")
        if not self.intensity.is_possible:
            raise RunError(
                f"A run's intensities are scaled to, and cut off at, a number above 0; got {self.intensity}."
            )
        if not all(0 <= weight <= 1 / 3 for weight in self.smoothing):
            raise RunError(f"A run's smoothing is three weights from 0 to 1/3, not {self.smoothing}.")
        if self.vote is not None and not 0 < self.vote < math.inf:
            raise RunError(f"A run's vote is a number above 0, not {self.vote}.")
        if not isinstance(self.lineage, Mapping):
            raise RunError(f"A run's lineage is a table of names and values, not {self.lineage!r}.")

    @property
    def values(self) -> np.ndarray:
        """Label value of each class index, uint8 where they fit, otherwise uint16; shape (K,)."""
        values = np.asarray([c.value for c in self.classes])
        return values.astype(np.uint8 if values.max() < 256 else np.uint16)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able dictionary; what only some runs have, the others do not name."""
        unset: dict[str, object] = {"lineage": {}, "smoothing": (0, 0, 0), "vote": None}
        named = (k for k in self.__dataclass_fields__ if k not in unset or getattr(self, k) != unset[k])
        data = {k: getattr(self, k) for k in named}
        return data | {
            "format": FORMAT,
            "network": self.network.to_dict(),
            "classes": [asdict(c) for c in self.classes],
            "plane": str(self.plane),
            "intensity": asdict(self.intensity),
            "sizes": {str(value): asdict(size) for value, size in self.sizes.items()},
            "training": dict(self.training),
            "versions": dict(self.versions),
            "data": dict(self.data),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunConfig:
        """Inverse of `to_dict`; raises `RunError` for anything missing, unknown or of a newer format."""
        data = dict(data)
        version = data.pop("format", None)
        if version != FORMAT:
            raise RunError(f"This run has format {version!r}; this version of napari-scse reads format {FORMAT}.")
        try:
            if not isinstance(data["name"], str):
                raise ValueError(f"its name is {data['name']!r}")
            thickness, height, width = (float(s) for s in data["spacing"])
            rows, columns = (int(s) for s in data["canvas"])
            through, along_rows, along_columns = (float(w) for w in data.get("smoothing", (0, 0, 0)))
            return cls(
                **data
                | {
                    "network": NetworkConfig.from_dict(data["network"]),
                    "classes": tuple(_structure(**c) for c in data["classes"]),
                    "plane": Plane(data["plane"]),
                    "spacing": (thickness, height, width),
                    "canvas": (rows, columns),
                    "smoothing": (through, along_rows, along_columns),
                    "vote": None if data.get("vote") is None else float(data["vote"]),
                    "sizes": {int(value): _typical(**size) for value, size in data.get("sizes", {}).items()},
                    "intensity": Intensity(**{k: float(v) for k, v in data["intensity"].items()}),
                }
            )
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise RunError(f"This run's run.json is not complete or not valid: {error}.") from error


def _structure(value: Any, name: Any, color: Any) -> Structure:
    """A class as a file describes it; ValueError where that cannot be."""
    if type(value) is not int or not 0 <= value < 65536 or not all(isinstance(text, str) for text in (name, color)):
        raise ValueError("a class has a value from 0 to 65535, a name and a colour")
    return Structure(value, name, color)


def _typical(mm3: Any, spread: Any) -> TypicalSize:
    """A size as a file describes it; ValueError or TypeError where that cannot be."""
    if not (0 < mm3 < math.inf and 0 <= spread < math.inf):
        raise ValueError("a structure's size is a volume above 0 and its spread")
    return TypicalSize(float(mm3), float(spread))


def make_classes(structures: tuple[Structure, ...]) -> tuple[Structure, ...]:
    """Background and then `structures`: one class per network output."""
    return (BACKGROUND, *structures)
