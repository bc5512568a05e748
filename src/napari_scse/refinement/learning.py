"""A copy of a network learns from strokes, and stays as it was elsewhere.

The loss is the logistic loss on the painted voxels, plus what it costs to change elsewhere: the Kullback-Leibler
divergence of the network's probabilities from those it had before ("Learning without forgetting", Li and Hoiem 2016,
arXiv 1606.09282), on the unpainted voxels of the painted slices and on slices without strokes. That cost is less where
the network was unsure, and none around strokes that it had wrong: what lies beside an error is likely to be one.

In the end the weights go back some of the way (Wortsman et al. 2022, arXiv 2109.01903), so that less is left of what a
few steps changed by chance.

Batch-norm keeps its statistics: a few slices of one scan have none of their own that are worth having.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_scse.errors import RunError
from napari_scse.nn.architectures import EncoderDecoder
from napari_scse.nn.held import Change
from napari_scse.refinement.config import Part, RefineConfig
from napari_scse.refinement.lessons import UNPAINTED, Lesson

_BETAS = (0.9, 0.99)  # of Adam: few steps have no long memory
_CLIP = 1.0  # largest norm of a gradient
_MOST_SKIPPED = 3  # steps in a row whose gradient is no number
_PRESENT = 20  # pixels that a class needs for a slice to have it


class Learner:
    """A copy of a network that learns; the network given stays as it is.

    Parameters
    ----------
    network
        In evaluation mode.

    Attributes
    ----------
    network, before
        The copy that learns, and one that does not; both without what is held.
    started
        The network given.
    """

    def __init__(self, network: EncoderDecoder, config: RefineConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.started = network
        self.before, self.network = _on(network, device), _on(network, device)
        self.before.let_go()
        self.network.let_go()
        self.classes = network.config.classes
        self._learns = _trainable(self.network, config.part)
        self._began = [parameter.detach().clone() for parameter in self._learns]
        self._optimizer = torch.optim.Adam(self._learns, lr=config.learning_rate, betas=_BETAS)
        self._bfloat16 = config.in_bfloat16(device)
        self._skipped = 0
        self._known: dict[Lesson, Tensor] = {}

    def take_step(self, lessons: Sequence[Lesson], step: int) -> float:
        """Learn from some lessons at once, at least one of them painted; return the loss on painted voxels.

        Raises
        ------
        RunError
            The loss has not been a number for several steps. Before that, such steps change nothing.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = _rate(self.config, step)
        self._optimizer.zero_grad(set_to_none=True)
        log_p = self._log_probabilities(self.network, lessons)
        targets = torch.from_numpy(np.stack([lesson.targets for lesson in lessons])).to(self.device)
        painted = functional.nll_loss(log_p, targets, ignore_index=UNPAINTED)
        loss = painted + self.config.hold * self._change(lessons, log_p, targets)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self._learns, _CLIP)
        if bool(torch.isfinite(norm)) and bool(torch.isfinite(loss)):
            self._optimizer.step()
            self._skipped = 0
        else:
            self._skipped += 1
            if self._skipped > _MOST_SKIPPED:
                raise RunError("The loss is no longer a number: this run cannot learn from these strokes.")
        return float(painted.detach())

    @torch.no_grad()
    def settle(self) -> None:
        """Go back some of the way, after the last step."""
        for parameter, began in zip(self._learns, self._began, strict=True):
            parameter.lerp_(began, 1 - self.config.mixing)

    @torch.no_grad()
    def look(self, lessons: Sequence[Lesson], network: nn.Module) -> Iterator[Tensor]:
        """Log-probabilities (K, H, W) of each lesson."""
        for lesson in lessons:
            yield self._log_probabilities(network, [lesson])[0]

    def remember(self, lesson: Lesson) -> Tensor:
        """Log-probabilities (K, H, W) before, worked out once for each lesson and kept in half precision."""
        if lesson not in self._known:
            (found,) = self.look([lesson], self.before)
            self._known[lesson] = found.half()
        return self._known[lesson]

    def present(self, lessons: Sequence[Lesson]) -> np.ndarray:
        """Which classes each lesson has in the eyes of the network before: boolean (lessons, K)."""
        found = (self.remember(lesson).argmax(0).flatten() for lesson in lessons)
        counts = [torch.bincount(classes, minlength=self.classes).cpu().numpy() for classes in found]
        return np.array(counts).reshape(-1, self.classes) >= _PRESENT

    def look_untaught(self, lessons: Sequence[Lesson]) -> Iterator[Tensor]:
        """Log-probabilities (K, H, W) of each lesson, by the network as it was before it was taught anything."""
        if self.started.held is None:
            return map(self.remember, lessons)
        return self.look(lessons, _on(self.started.untaught(), self.device))

    def result(self, taught: Iterable[Change]) -> EncoderDecoder:
        """A copy of the network as it is now: float32, evaluation mode, on the CPU.

        It makes no changes but those `taught` now or earlier.
        """
        network = copy.deepcopy(self.network).to("cpu").eval()
        network.keep_from(self.started, taught)
        for parameter in network.parameters():
            parameter.requires_grad_(True)
            parameter.grad = None
        return network

    def _change(self, lessons: Sequence[Lesson], log_p: Tensor, targets: Tensor) -> Tensor:
        """The mean divergence from before over all pixels that are not painted, each with its weight."""
        before = torch.stack([self.remember(lesson).float() for lesson in lessons])
        inside = torch.from_numpy(np.stack([lesson.inside for lesson in lessons])).to(self.device)
        free = inside & (targets == UNPAINTED)
        wrong = ((targets != UNPAINTED) & (before.argmax(1) != targets)).float()
        reach = self.config.release
        near = functional.max_pool2d(wrong[:, None], 2 * reach + 1, 1, reach)[:, 0] > 0
        weight = before.amax(1).exp() ** self.config.confidence * (free & ~near)
        divergence = (before.exp() * (before - log_p)).sum(1)
        return (divergence * weight).sum() / free.sum().clamp(min=1)

    def _log_probabilities(self, network: nn.Module, lessons: Sequence[Lesson]) -> Tensor:
        last = np.stack([np.moveaxis(lesson.image, 0, -1) for lesson in lessons])  # channels_last, see `Executor`
        images = torch.from_numpy(np.ascontiguousarray(last)).to(self.device).permute(0, 3, 1, 2)
        with torch.autocast(self.device.type, dtype=torch.bfloat16) if self._bfloat16 else nullcontext():
            logits: Tensor = network(images)
        return logits.float().log_softmax(1)


def order(
    config: RefineConfig, painted: Sequence[Lesson], others: Sequence[Lesson], present: np.ndarray
) -> Iterator[list[Lesson]]:
    """The lessons of each step.

    Painted ones come in random order, each once before any comes again. The others come such that every class is seen
    about as often as any: small structures are in few slices, and would be forgotten.

    Parameters
    ----------
    present
        Boolean (others, K): which classes each of the others has.
    """
    random = np.random.default_rng(config.seed)
    first, second = _shuffled(painted, random), _covering(others, present)
    for _ in range(config.steps):
        held = [next(second) for _ in range(config.held)] if others else []
        yield [next(first) for _ in range(config.painted)] + held


def _shuffled(lessons: Sequence[Lesson], random: np.random.Generator) -> Iterator[Lesson]:
    while True:
        yield from (lessons[place] for place in random.permutation(len(lessons)))


def _covering(lessons: Sequence[Lesson], present: np.ndarray) -> Iterator[Lesson]:
    covered, taken = np.zeros(present.shape[1]), np.zeros(len(lessons))
    while True:
        place = int(np.argmax((present @ (1 / (1 + covered))) / (1 + taken)))
        covered += present[place]
        taken[place] += 1
        yield lessons[place]


def _trainable(network: EncoderDecoder, part: Part) -> list[nn.Parameter]:
    """Let the parameters of a part of the network learn and no others, and return them."""
    last = len(network.decoders) - 1
    beginnings = {
        Part.CLASSIFIER: ("classifier.",),
        Part.LAST: ("classifier.", f"decoders.{last}."),
        Part.DECODERS: ("classifier.", "decoders."),
    }[part]
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith(beginnings))
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def _rate(config: RefineConfig, step: int) -> float:
    """The learning rate of a step, from 0 on: up over the first tenth, then down to nothing along a cosine."""
    rise = max(1, config.steps // 10)
    if step < rise:
        return config.learning_rate * (step + 1) / rise
    return config.learning_rate * (1 + math.cos(math.pi * (step + 1 - rise) / (config.steps + 1 - rise))) / 2


def _on(network: EncoderDecoder, device: torch.device) -> EncoderDecoder:
    moved: EncoderDecoder = copy.deepcopy(network).eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved
