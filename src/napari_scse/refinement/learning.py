"""A copy of a run's network learns from strokes, in seconds.

The loss is the logistic loss on the painted voxels, plus what it costs to leave the original network elsewhere: the
Kullback-Leibler divergence of its probabilities from the original's, on the unpainted voxels of the painted slices and
on slices without strokes ("Learning without forgetting", Li and Hoiem 2016, arXiv 1606.09282). Batch-norm keeps the
statistics of the training: a few slices of one scan have none of their own that are worth having.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_scse.errors import RunError
from napari_scse.refinement.config import Part, RefineConfig
from napari_scse.refinement.lessons import UNPAINTED, Lesson

_CLIP = 1.0  # largest norm of a gradient
_MOST_SKIPPED = 3  # steps in a row whose gradient is no number


@dataclass(frozen=True)
class Step:
    """What one step said: the loss on painted voxels, and the divergence elsewhere."""

    painted: float
    held: float


class Learner:
    """A copy of a network that learns; the network given stays as it is.

    Parameters
    ----------
    network
        The original, in evaluation mode.
    start
        The weights to begin with; None: the original's.
    """

    def __init__(self, network: nn.Module, start: nn.Module | None, config: RefineConfig, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.original = _on(network, device)
        self.network = _on(start or network, device)
        self.classes: int = network.config.classes  # type: ignore[union-attr, assignment]
        self.learnt = trainable(self.network, config.part)
        self._anchor = [p.detach().clone() for p in self.learnt]
        self._optimizer = torch.optim.Adam(self.learnt, lr=config.learning_rate, betas=(0.9, 0.99))
        self._bfloat16 = config.in_bfloat16(device)
        self._skipped = 0
        self._known: dict[Lesson, Tensor] = {}

    def take_step(self, lessons: Sequence[Lesson], step: int) -> Step:
        """Learn from some lessons at once, at least one of them painted."""
        config = self.config
        for group in self._optimizer.param_groups:
            group["lr"] = rate(config, step)
        self._optimizer.zero_grad(set_to_none=True)
        if config.norm == "follow":
            self.network.train()
        images = self._images(lessons)
        log_p = self._logits(self.network, images).log_softmax(1)
        before = self._before(lessons)
        targets = torch.from_numpy(np.stack([lesson.targets for lesson in lessons])).to(self.device)
        inside = torch.from_numpy(np.stack([lesson.inside for lesson in lessons])).to(self.device)
        weight = None
        if config.balance:
            counts = torch.bincount(targets[targets >= 0], minlength=log_p.shape[1]).float()
            weight = torch.where(counts > 0, counts.clamp(min=1) ** -config.balance, 0.0)
        painted = functional.nll_loss(log_p, targets, weight, ignore_index=UNPAINTED)
        divergence = (before.exp() * (before - log_p)).sum(1)
        free = inside & (targets == UNPAINTED)
        where = free.float()
        if config.release:
            wrong = (targets != UNPAINTED) & (before.argmax(1) != targets)
            near = functional.max_pool2d(wrong.float()[:, None], 2 * config.release + 1, 1, config.release)[:, 0] > 0
            where = where * (~near)
        if config.confidence:
            where = where * before.amax(1).exp() ** config.confidence
        if config.hold_balance:
            classes = before.argmax(1)
            counts = torch.bincount(classes[free], minlength=log_p.shape[1]).float()
            per_class = torch.where(counts > 0, counts.clamp(min=1) ** -config.hold_balance, 0.0)
            spread = per_class[classes]
            where = where * spread / spread[free].mean()
        held = (divergence * where).sum() / free.sum().clamp(min=1)
        loss = painted + config.hold * held
        if config.l2sp:
            loss = loss + config.l2sp * sum(
                ((p - a) ** 2).sum() for p, a in zip(self.learnt, self._anchor, strict=True)
            )
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.learnt, _CLIP)
        if bool(torch.isfinite(norm)) and bool(torch.isfinite(loss)):
            self._optimizer.step()
            self._skipped = 0
        else:
            self._skipped += 1
            if self._skipped > _MOST_SKIPPED:
                raise RunError("The loss is no longer a number: this run cannot learn from these strokes.")
        self.network.eval()
        return Step(float(painted.detach()), float(held.detach()))

    @torch.no_grad()
    def look(self, lessons: Sequence[Lesson], network: nn.Module | None = None) -> Iterator[Tensor]:
        """Log-probabilities (K, H, W) of each lesson; of the network that learns unless another is given."""
        for lesson in lessons:
            yield self._logits(network or self.network, self._images([lesson])).log_softmax(1)[0]

    def result(self) -> nn.Module:
        """A copy of the network as it is now: float32, evaluation mode, on the CPU."""
        network = copy.deepcopy(self.network).to("cpu").eval()
        for parameter in network.parameters():
            parameter.requires_grad_(True)
            parameter.grad = None
        return network

    def _before(self, lessons: Sequence[Lesson]) -> Tensor:
        """The original's log-probabilities, worked out once for each lesson."""
        found = []
        for lesson in lessons:
            known = self._known.get(lesson)
            if known is None:
                (known,) = self.look([lesson], self.original)
                self._known[lesson] = known.half()
            found.append(known.float())
        return torch.stack(found)

    def _images(self, lessons: Sequence[Lesson]) -> Tensor:
        last = np.stack([np.moveaxis(lesson.image, 0, -1) for lesson in lessons])
        return torch.from_numpy(np.ascontiguousarray(last)).to(self.device).permute(0, 3, 1, 2)

    def _logits(self, network: nn.Module, images: Tensor) -> Tensor:
        with torch.autocast(self.device.type, dtype=torch.bfloat16) if self._bfloat16 else nullcontext():
            logits: Tensor = network(images)
        return logits.float()


def trainable(network: nn.Module, part: Part) -> list[nn.Parameter]:
    """Let the parameters of a part of the network learn and no others, and return them."""
    depth = len(getattr(network, "decoders", ()))
    prefixes = {
        Part.CLASSIFIER: ("classifier.",),
        Part.LAST: ("classifier.", f"decoders.{depth - 1}."),
        Part.DECODERS: ("classifier.", "decoders."),
        Part.ALL: ("",),
    }[part]
    chosen = []
    for name, parameter in network.named_parameters():
        learns = name.startswith(prefixes)
        parameter.requires_grad_(learns)
        if learns:
            chosen.append(parameter)
    return chosen


def rate(config: RefineConfig, step: int) -> float:
    """The learning rate of a step, from 0 on: up over the first tenth, then down to nothing along a cosine."""
    rise = max(1, config.steps // 10)
    if step < rise:
        return config.learning_rate * (step + 1) / rise
    return config.learning_rate * (1 + math.cos(math.pi * (step + 1 - rise) / (config.steps + 1 - rise))) / 2


def order(config: RefineConfig, painted: Sequence[Lesson], others: Sequence[Lesson]) -> Iterator[list[Lesson]]:
    """The lessons of each step: each is taken once before any is taken again."""
    random = np.random.default_rng(config.seed)
    first, second = _endless(painted, random), _endless(others, random)
    for _ in range(config.steps):
        own = [next(first) for _ in range(config.painted)]
        yield own + ([next(second) for _ in range(config.held)] if others else [])


def _endless(lessons: Sequence[Lesson], random: np.random.Generator) -> Iterator[Lesson]:
    while lessons:
        yield from (lessons[place] for place in random.permutation(len(lessons)))


def _on(network: nn.Module, device: torch.device) -> nn.Module:
    moved: nn.Module = copy.deepcopy(network).eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved
