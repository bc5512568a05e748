"""What a training depends on.

The defaults are the paper's protocol (section III): logistic loss weighted by median-frequency balancing, SGD with
learning rate 0.01, momentum 0.95 and weight decay 1e-4, the rate divided by ten every ten epochs, mini-batches of four,
until the validation loss converges.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from napari_scse.nn.architectures import NetworkConfig
from napari_scse.runs import Intensity
from napari_scse.slices import Plane
from napari_scse.structures import Structure
from napari_scse.synthesis import SynthesisConfig

CHOICES: dict[str, tuple[str, ...]] = {
    "optimizer": ("sgd", "adamw"),
    "schedule": ("step", "one-cycle"),
    "precision": ("auto", "float32", "bfloat16"),
}


@dataclass(frozen=True)
class TrainConfig:
    """Everything a training depends on.

    Attributes
    ----------
    out
        The run's folder.
    images, labels
        Folders of scans and their labels, paired by file name (without suffix).
    label_maps
        A folder of whole-head label maps instead: scans are synthesised from them.
    network
        Kind, SE variant and layout; `classes` and `in_channels` follow from the structures and `neighbours`.
    structures
        What to learn; default: the 27 brain structures, or each label value of pairs that hold other labels.
    synthesis
        How far synthetic scans may stray; of label maps only.
    init
        A run, by name or folder, whose last weights to start from; the networks must be alike, but for a classifier of
        other classes, which starts anew. Empty: from scratch.
    name
        What users pick the run by; empty: the folder's name.
    plane, spacing, canvas
        How scans are sliced; the voxel size in mm along slices, rows and columns; rows and columns of what the network
        is trained on.
    neighbours
        Slices seen on each side of the one to label.
    intensity
        How intensities enter the network.
    epochs, slices, batch
        Epochs, slices per epoch, slices per step.
    optimizer
        ``"sgd"`` (the paper's) or ``"adamw"``.
    schedule
        ``"step"``: × 0.1 every `step_epochs` epochs (the paper's); ``"one-cycle"``: cosine up to `learning_rate` over
        the first quarter and down to nothing.
    learning_rate, momentum, weight_decay
        Of the optimiser; the momentum is SGD's.
    step_epochs
        Epochs after which the ``"step"`` schedule divides the rate by ten.
    norm_momentum
        How fast the batch-norm statistics that inference uses follow the batches. Few scans are in many batches: slow
        statistics (0.01) are less at the mercy of the last ones.
    clip_gradient
        Largest gradient norm, or None.
    dice_weight
        Weight of the Dice loss beside the logistic loss.
    weight_power, weight_limit
        Exponent of the median-frequency weights of the classes, and the largest weight (None: no limit).
    precision
        ``"auto"`` (bfloat16 autocast where the device has it), ``"bfloat16"`` or ``"float32"``.
    validation
        Names of the subjects held back; default: the last fifth by name.
    patience
        Stop when the validation loss has not fallen for so many epochs; None: never.
    seed
        Everything drawn follows from it.
    device
        Where the network computes: auto, cpu, cuda or mps.
    command
        The command line, for the record.
    """

    out: Path
    network: NetworkConfig
    images: Path | None = None
    labels: Path | None = None
    label_maps: Path | None = None
    init: str = ""
    name: str = ""
    structures: tuple[Structure, ...] | None = None
    plane: Plane = Plane.CORONAL
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    canvas: tuple[int, int] = (256, 256)
    neighbours: int = 0
    intensity: Intensity = field(default_factory=Intensity)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    epochs: int = 30
    slices: int = 2000
    batch: int = 4
    optimizer: str = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.95
    weight_decay: float = 1e-4
    schedule: str = "step"
    step_epochs: int = 10
    norm_momentum: float = 0.1
    clip_gradient: float | None = None
    dice_weight: float = 0.0
    weight_power: float = 1.0
    weight_limit: float | None = None
    precision: str = "auto"
    validation: tuple[str, ...] = ()
    patience: int | None = 10
    seed: int = 0
    device: str = "auto"
    command: str = ""

    def recorded(self) -> dict[str, Any]:
        """What ``run.json`` keeps: everything but where the files lie and what stands elsewhere in it."""
        data = asdict(self)
        for key in ("out", "images", "labels", "label_maps", "network", "structures", "name", "command", "intensity"):
            data.pop(key)
        data["source"] = "label maps" if self.label_maps else "image/label pairs"
        return json.loads(json.dumps(data))  # type: ignore[no-any-return]
