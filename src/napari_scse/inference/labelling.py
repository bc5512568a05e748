"""Label the slices of one plane: what the network is asked, and how its answers become labels.

The slices of the located region go through the network in windows of the canvas it was trained on: channel gates
average over it (eq. 1). Their scores are brought back to the volume's grid and become labels at once: there is never
more than a batch of scores in memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_scse.conform import Window, merge, windows
from napari_scse.execution import Executor
from napari_scse.inference.location import Location
from napari_scse.inference.scan import Scan
from napari_scse.inference.votes import Votes
from napari_scse.runs import RunConfig
from napari_scse.slices import Plane
from napari_scse.structures import mirrored


@dataclass(frozen=True, eq=False)
class LabelledSlice:
    """A slice of the stack: its number, class indices (H, W), and how uncertain they are (H, W) if that was asked for.

    Uncertainty is the entropy of the class probabilities over its largest possible value: float32, 0 to 1.
    """

    number: int
    classes: np.ndarray
    uncertainty: np.ndarray | None = None


def label_slices(
    scan: Scan,
    executor: Executor,
    location: Location,
    *,
    mirror: bool = False,
    votes: Votes | None = None,
    uncertainty: bool = False,
) -> Iterator[LabelledSlice]:
    """Label the slices of the located region, one after the other.

    Parameters
    ----------
    mirror
        Ask for the mirrored slices as well and take the mean.
    votes
        What other planes say, and where this plane's opinion is added: the classes are then the first plane's.
    uncertainty
        Whether to tell it.
    """
    partners = _partners(scan.config) if mirror else None
    parts = windows(scan.plane_shape, scan.config.canvas, location.box)
    plain = len(parts) == 1 and scan.conformation.is_identity and votes is None and not uncertainty
    scores = _scores(scan, executor, location, parts, partners, soften=not plain)
    if plain:  # a short cut: nothing is averaged, so the background around the window needs no scores
        for number, (own,) in scores:
            yield LabelledSlice(number, _put_back(parts[0], own.argmax(0).cpu().numpy(), scan.plane_shape))
        return
    merged = ((number, merge(parts, list(own), scan.plane_shape)) for number, own in scores)
    joined = merged if votes is None else votes.join(scan, merged)
    for number, plane in scan.conformation.return_scores(joined):
        entropy = _entropy(plane) if uncertainty else None
        yield LabelledSlice(number, plane.argmax(0).cpu().numpy(), entropy)


def sees_both_sides(config: RunConfig) -> bool:
    """Whether mirroring a slice makes one that the run was trained for as well."""
    return config.plane is not Plane.SAGITTAL and any(a != b for a, b in mirrored(config.classes).items())


def _scores(
    scan: Scan,
    executor: Executor,
    location: Location,
    parts: Sequence[Window],
    partners: Tensor | None,
    soften: bool,
) -> Iterator[tuple[int, Tensor]]:
    """Scores (windows, K, H, W) of the located conformed slices, one after the other."""
    at_once = max(1, executor.batch_size(*scan.config.canvas) // len(parts))
    for start in range(location.first, location.last, at_once):
        numbers = range(start, min(start + at_once, location.last))
        scores = _ask(executor, scan.slices(numbers, location.gain, parts), partners, soften)
        for place, number in enumerate(numbers):
            yield number, scores[place * len(parts) : (place + 1) * len(parts)]
        del scores


def _put_back(window: Window, classes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The inverse of `Window.extract`: background around the window."""
    plane = np.zeros(shape, classes.dtype)
    top, left = max(window.top, 0), max(window.left, 0)
    part = classes[top - window.top :, left - window.left :][: shape[0] - top, : shape[1] - left]
    plane[top : top + part.shape[0], left : left + part.shape[1]] = part
    return plane


def _ask(executor: Executor, slices: np.ndarray, partners: Tensor | None, soften: bool) -> Tensor:
    """Scores (B, K, H, W): logits, or probabilities where `soften` or a mirrored look asks for them.

    Where scores are averaged or interpolated they are probabilities: a very sure network must not outvote others.
    """
    logits = executor.run(slices)
    scores = logits.softmax(1) if soften or partners is not None else logits
    if partners is None:
        return scores
    turned = executor.run(slices[..., ::-1]).softmax(1)
    return scores.add_(turned.flip(-1).index_select(1, partners.to(turned.device))).mul_(0.5)


def _partners(config: RunConfig) -> Tensor:
    """For each class index that of its left-right partner, int64 (K,)."""
    values = config.values.tolist()
    partner = mirrored(config.classes)
    return torch.tensor([values.index(partner[value]) for value in values])


def _entropy(probabilities: Tensor) -> np.ndarray:
    """Entropy over the first axis of (K, H, W), as a share of its largest possible value."""
    entropy: np.ndarray = (
        torch.special.entr(probabilities.clamp(0, 1)).sum(0).div_(math.log(len(probabilities))).cpu().numpy()
    )
    return entropy
