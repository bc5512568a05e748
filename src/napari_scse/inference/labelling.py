"""Label the slices of one plane: what the network is asked, and how its answers become labels.

The slices of the located region go through the network in windows of the canvas it was trained on: channel gates
average over it (eq. 1). Their scores are brought back to the volume's grid and become labels at once: there is never
more than a batch of scores in memory.

Batches are always the same, whatever is asked for first, so that the labels do not depend on the order. Where slices
are resampled or averaged with their neighbours, those near the border of two batches need the scores of both: the
outermost scores of a batch are kept until its neighbour is there.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from napari_scse.conform import Window, merge, windows
from napari_scse.execution import Executor
from napari_scse.inference.doubt import Doubt, find_doubt
from napari_scse.inference.location import Location, look_at_whole
from napari_scse.inference.scan import Scan
from napari_scse.inference.smoothing import smooth_through, smooth_within
from napari_scse.inference.votes import Ballot
from napari_scse.runs import RunConfig
from napari_scse.sides import can_mirror, mirrored
from napari_scse.slices import Plane

_KEPT = 16  # slices of scores between batches; a batch whose own were dropped is computed again
_FIRST, _LAST = 0, -1


@dataclass(frozen=True, eq=False)
class LabelledSlice:
    """A slice of the stack: its number, class indices (H, W), and how uncertain they are (H, W) if that was asked for.

    Uncertainty is the entropy of the class probabilities over its largest possible value: float32, 0 to 1. The doubt is
    told of every slice but a provisional one.
    """

    number: int
    classes: np.ndarray
    uncertainty: np.ndarray | None = None
    doubt: Doubt | None = None


class Labeller:
    """Labels the slices of one plane, batch by batch in any order.

    Parameters
    ----------
    scan, executor, location
        What is labelled, by which network, and where.
    mirror
        Ask for the mirrored slices as well and take the mean.
    ballot
        What other planes say, and where this plane's opinion is added: the classes are then the first plane's.
    uncertainty
        Whether to tell it.
    """

    def __init__(
        self,
        scan: Scan,
        executor: Executor,
        location: Location,
        *,
        mirror: bool = False,
        ballot: Ballot | None = None,
        uncertainty: bool = False,
    ) -> None:
        self._scan, self._executor, self._location = scan, executor, location
        self._partners = _partners(scan.config) if mirror else None
        self._ballot, self._uncertainty = ballot, uncertainty
        self._parts = windows(scan.plane_shape, scan.config.canvas, location.box)
        plan = scan.conformation
        smoothing = scan.config.smoothing
        alone = ballot is None and not uncertainty and not any(smoothing)
        self._plain = alone and len(self._parts) == 1 and plan.is_identity
        self._reach = 1 if smoothing[0] else 0
        # of each of two neighbouring batches, the slices that one between them may need: no batch is smaller
        self._border = 2 * self._reach + (plan.steps[0] != 1.0)
        self._sources = plan.sources(location.first, location.last)
        self._at_once = max(1, self._border, executor.batch_size(*scan.config.canvas) // len(self._parts))
        self._batches = math.ceil((location.last - location.first) / self._at_once)
        self._computed: set[int] = set()
        self._given = np.zeros(len(self._sources), dtype=bool)
        self._borders: OrderedDict[tuple[int, int], list[Tensor]] = OrderedDict()
        self._straight: tuple[int, Tensor] | None = None

    @property
    def is_direct(self) -> bool:
        """Whether one pass through the network gives the labels of a slice."""
        return self._partners is None and not self._border

    def missing(self, number: int) -> int | None:
        """Return a batch that has to be computed before slice `number` has labels; None if nothing is there."""
        first, last = self._location.first, self._location.last
        around = (0, -1, 1) if self._reach else (0,)
        needed = (min(max(source + offset, first), last - 1) for source in self._sources[number] for offset in around)
        batches = ((source - first) // self._at_once for source in needed)
        return next((batch for batch in batches if batch not in self._computed), None)

    def glance(self, number: int) -> LabelledSlice | None:
        """Label a slice provisionally, after one pass whose result is used again; None if nothing is there."""
        if not self._sources[number]:
            return None
        source = self._sources[number][0]
        batch, place = divmod(source - self._location.first, self._at_once)
        self._straight = batch, self._ask(batch)
        own = list(self._straight[1][place * len(self._parts) : (place + 1) * len(self._parts)])
        merged = merge(self._parts, own, self._scan.plane_shape)
        back = dict(self._scan.conformation.return_scores([(source, merged)]))
        return LabelledSlice(number, back[number].argmax(0).cpu().numpy())

    def compute(self, batch: int) -> Iterator[LabelledSlice]:
        """Label what becomes known with a batch: its slices, and those between it and neighbours that are there."""
        numbers = self._numbers(batch)
        scores = self._mirrored(batch)
        if self._plain:  # a short cut: nothing is averaged, so the background around the window needs no scores
            window = self._parts[0]
            for number, own in zip(numbers, scores, strict=True):
                classes = _put_back(window, own.argmax(0).cpu().numpy(), self._plane_shape)
                within = find_doubt(own if self._partners is not None else own.softmax(0))
                doubt = replace(within, row=within.row + window.top, column=within.column + window.left)
                yield LabelledSlice(number, classes, doubt=doubt)
        else:
            before, after = self._borders.pop((batch - 1, _LAST), []), self._borders.pop((batch + 1, _FIRST), [])
            fed = range(numbers.start - len(before), numbers.stop + len(after))
            planes = zip(fed, [*before, *self._planes(batch, scores), *after], strict=True)
            first, last = self._location.first, self._location.last
            whole = range(fed.start + self._reach * (fed.start > first), fed.stop - self._reach * (fed.stop < last))
            smooth = smooth_through(planes, self._scan.config.smoothing[0], first, last)
            for number, plane in self._scan.conformation.return_scores(smooth):
                if not self._given[number] and all(source in whole for source in self._sources[number]):
                    self._given[number] = True
                    entropy = _entropy(plane) if self._uncertainty else None
                    yield LabelledSlice(number, plane.argmax(0).cpu().numpy(), entropy, find_doubt(plane))
        self._computed.add(batch)
        while sum(map(len, self._borders.values())) > _KEPT:
            (dropped, _), _ = self._borders.popitem(last=False)
            self._computed.discard(dropped)

    @property
    def _plane_shape(self) -> tuple[int, int]:
        return self._scan.plane_shape

    def _numbers(self, batch: int) -> range:
        """The conformed slices of a batch."""
        first = self._location.first + batch * self._at_once
        return range(first, min(first + self._at_once, self._location.last))

    def _planes(self, batch: int, scores: Tensor) -> list[Tensor]:
        """Scores (K, h, w) of a batch's conformed slices, put together; the outermost are kept for its neighbours."""
        count, (_, rows, columns) = len(self._parts), self._scan.config.smoothing
        planes = []
        for place, number in enumerate(self._numbers(batch)):
            own = list(scores[place * count : (place + 1) * count])
            plane = merge(self._parts, own, self._plane_shape)
            if self._ballot is not None:
                plane = self._ballot.join(number, plane)
            plane = smooth_within(plane, rows, columns)
            # the same memory layout in any order: the same rounding
            planes.append(plane.contiguous() if self._border else plane)
        for end, neighbour in ((_FIRST, batch - 1), (_LAST, batch + 1)):
            if self._border and 0 <= neighbour < self._batches and neighbour not in self._computed:
                outermost = planes[: self._border] if end == _FIRST else planes[-self._border :]
                self._borders[batch, end] = [plane.clone() for plane in outermost]
        return planes

    def _ask(self, batch: int) -> Tensor:
        """Scores (B, K, H, W) of all windows: logits where they become labels as they are, otherwise probabilities.

        Where scores are averaged or interpolated they are probabilities: a very sure network must not outvote others.
        """
        logits = self._executor.run(self._slices(batch))
        return logits if self._plain and self._partners is None else logits.softmax(1)

    def _mirrored(self, batch: int) -> Tensor:
        """What `_ask` says, and the mean of it and what the mirrored slices say where that is wanted."""
        known, self._straight = self._straight, None
        scores = known[1] if known is not None and known[0] == batch else self._ask(batch)
        del known
        if self._partners is None:
            return scores
        turned = self._executor.run(self._slices(batch)[..., ::-1]).softmax(1)
        return scores.add_(turned.flip(-1).index_select(1, self._partners.to(turned.device))).mul_(0.5)

    def _slices(self, batch: int) -> np.ndarray:
        return self._scan.slices(self._numbers(batch), self._location.gain, self._parts)


def glance_everywhere(scan: Scan, executor: Executor, location: Location, number: int) -> LabelledSlice | None:
    """Label a whole slice at once: roughly, and before anything is located; None if nothing is there.

    Parameters
    ----------
    location
        Everywhere, with an estimated gain.
    """
    sources = scan.conformation.sources(location.first, location.last)[number]
    if not sources:
        return None
    scores = look_at_whole(scan, executor, sources[:1], location.gain)
    back = dict(scan.conformation.return_scores([(sources[0], scores[0])]))
    return LabelledSlice(number, back[number].argmax(0).cpu().numpy())


def sees_both_sides(config: RunConfig) -> bool:
    """Whether mirroring a slice makes one that the run was trained for as well."""
    return config.plane is not Plane.SAGITTAL and can_mirror(config.classes)


def _put_back(window: Window, classes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The inverse of `Window.extract`: background around the window."""
    plane = np.zeros(shape, classes.dtype)
    top, left = max(window.top, 0), max(window.left, 0)
    part = classes[top - window.top :, left - window.left :][: shape[0] - top, : shape[1] - left]
    plane[top : top + part.shape[0], left : left + part.shape[1]] = part
    return plane


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
