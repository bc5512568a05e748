"""One optimiser step, one validation: what happens to the network within an epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from napari_scse.dataset import Subject
from napari_scse.execution import supports_bfloat16
from napari_scse.losses import segmentation_loss
from napari_scse.training.config import TrainConfig

VALIDATION_STEP = 4  # every 4th slice of a validation subject is looked at


def make_optimizer(config: TrainConfig, network: nn.Module) -> torch.optim.Optimizer:
    if config.optimizer == "adamw":
        return torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    return torch.optim.SGD(
        network.parameters(), lr=config.learning_rate, momentum=config.momentum, weight_decay=config.weight_decay
    )


def set_rate(optimizer: torch.optim.Optimizer, config: TrainConfig, step: int, steps: int) -> None:
    """The learning rate is a function of the step alone, so that there is no schedule to resume."""
    if config.schedule == "step":
        rate = config.learning_rate * 0.1 ** (step // steps // config.step_epochs)
    else:
        position, rise = (step + 0.5) / (steps * config.epochs), 0.25
        low, progress = (0.04, position / rise) if position < rise else (1e-4, (1 - position) / (1 - rise))
        rate = config.learning_rate * (low + (1 - low) * (1 - math.cos(math.pi * progress)) / 2)
    for group in optimizer.param_groups:
        group["lr"] = rate


def autocasts(precision: str, device: torch.device) -> bool:
    return precision == "bfloat16" or (precision == "auto" and supports_bfloat16(device))


def take_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    weights: Tensor,
    config: TrainConfig,
    autocast: bool,
) -> Tensor:
    network.train()
    optimizer.zero_grad(set_to_none=True)
    loss = segmentation_loss(_logits(network, images, autocast), labels, weights, config.dice_weight)
    loss.backward()
    if config.clip_gradient is not None:
        nn.utils.clip_grad_norm_(network.parameters(), config.clip_gradient)
    optimizer.step()
    return loss.detach()


def _logits(network: nn.Module, images: Tensor, autocast: bool) -> Tensor:
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast(images.device.type, dtype=torch.bfloat16) if autocast else nullcontext():
        logits: Tensor = network(images)
    return logits


def validation_set(config: TrainConfig, subjects: Sequence[Subject]) -> list[tuple[Tensor, Tensor]]:
    """Slices and labels of each held-back subject, drawn once."""
    return [s.whole(config.seed * 1000 + i, VALIDATION_STEP) for i, s in enumerate(subjects)]


@dataclass(frozen=True)
class Scores:
    """How a network does on the held-back subjects.

    Attributes
    ----------
    loss
        Mean over their slices.
    dice
        Mean over the structures that a subject has, and then over the subjects.
    by_class
        Class index → mean over the subjects that have it.
    """

    loss: float
    dice: float
    by_class: dict[int, float]


@torch.inference_mode()
def validate(
    network: nn.Module,
    validation: Sequence[tuple[Tensor, Tensor]],
    weights: Tensor,
    config: TrainConfig,
    autocast: bool,
    device: torch.device,
) -> Scores:
    """Measure the network on the slices of each held-back subject."""
    network.eval()
    losses: list[float] = []
    scores: list[float] = []
    by_class: dict[int, list[float]] = {}
    for images, labels in validation:
        counts = torch.zeros(3, len(weights), dtype=torch.int64)
        for some, truth in zip(torch.split(images, config.batch), torch.split(labels, config.batch), strict=True):
            logits = _logits(network, some.to(device), autocast)
            truth = truth.to(device)
            losses.append(float(segmentation_loss(logits, truth, weights, config.dice_weight)))
            found = logits.argmax(1)
            for row, values in enumerate((found[found == truth], found, truth)):
                counts[row] += torch.bincount(values.flatten(), minlength=len(weights)).cpu()
        both, predicted, true = counts[:, 1:].double()
        dice = 2 * both / (predicted + true).clamp(min=1)
        if true.any():
            scores.append(float(dice[true > 0].mean()))
        for place in torch.nonzero(true).flatten().tolist():
            by_class.setdefault(place + 1, []).append(float(dice[place]))
    means = {index: float(np.mean(values)) for index, values in sorted(by_class.items())}
    return Scores(float(np.mean(losses)), float(np.mean(scores)), means)
