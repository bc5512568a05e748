"""What a refinement depends on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import torch

from napari_scse.errors import InputError
from napari_scse.execution import supports_bfloat16

PRECISIONS = ("auto", "bfloat16", "float32")


class Part(StrEnum):
    """Which part of a network learns; the rest stays as it is."""

    CLASSIFIER = "classifier"
    LAST = "last-decoder"  # and the classifier
    DECODERS = "decoders"  # and the classifier


@dataclass(frozen=True)
class RefineConfig:
    """Everything a refinement depends on beside the strokes. The defaults were measured (docs/experiments.md).

    Attributes
    ----------
    part
        Which part of the network learns.
    steps
        Optimiser steps.
    learning_rate
        Of Adam: the largest; it rises over the first tenth of the steps and falls to nothing.
    painted, held
        Windows in each step that have strokes, and that have none.
    others
        Slices without strokes to choose those from.
    hold
        Weight of what it costs to leave the network as it was where nothing is painted.
    confidence
        That cost is less where the network was unsure: times its largest probability to this power.
    release
        No such cost within so many pixels of a stroke that the network had wrong.
    enough
        So many painted voxels teach a change from one class to another. The network makes no others; see
        `napari_scse.nn.held`.
    mixing
        In the end each weight goes this share of the way, 0 to 1, from where it was to where learning led it.
    precision
        ``"auto"`` (bfloat16 autocast where the device has it), ``"bfloat16"`` or ``"float32"``.
    seed
        Of the order of slices.
    """

    part: Part = Part.DECODERS
    steps: int = 21
    learning_rate: float = 4e-4
    painted: int = 1
    held: int = 2
    others: int = 24
    hold: float = 200.0
    confidence: float = 1.0
    release: int = 8
    enough: int = 5
    mixing: float = 0.5
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "part", Part(self.part))
        if min(self.steps, self.painted, self.enough) < 1 or min(self.held, self.others, self.release, self.seed) < 0:
            raise InputError("A refinement needs at least one step with one painted slice; no number may be negative.")
        if not (self.learning_rate > 0 and self.hold >= 0 and self.confidence >= 0):
            raise InputError("The learning rate must be positive, the weights of what is held not negative.")
        if not 0 < self.mixing <= 1:
            raise InputError(f"The weights go some of the way, more than 0 and at most 1; got {self.mixing}.")
        if self.precision not in PRECISIONS:
            raise InputError(f"The precision must be one of {', '.join(PRECISIONS)}; got {self.precision!r}.")

    def in_bfloat16(self, device: torch.device) -> bool:
        """Whether convolutions are computed in bfloat16 on `device`."""
        return self.precision == "bfloat16" or (self.precision == "auto" and supports_bfloat16(device))

    def recorded(self) -> dict[str, Any]:
        """What ``run.json`` keeps."""
        return asdict(self) | {"part": str(self.part)}
