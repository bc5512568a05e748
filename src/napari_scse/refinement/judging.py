"""What strokes change, and how much of them was learnt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from napari_scse.nn.held import Change, allow, join
from napari_scse.refinement.learning import Learner
from napari_scse.refinement.lessons import UNPAINTED, Lesson
from napari_scse.structures import Structure

_WRONG = 0.5  # a structure is not learnt if more of its painted voxels are wrong, and no fewer than before
_JUDGED = 5  # painted voxels that a structure needs for that


@dataclass(frozen=True, eq=False)
class Judgement:
    """How a round went.

    Attributes
    ----------
    taught
        The changes of class that may be made from now on; see `napari_scse.nn.held`.
    painted, before, after
        (K,): of each class the painted voxels, and those of them that were right before the round and are after it.
    """

    taught: tuple[Change, ...]
    painted: np.ndarray
    before: np.ndarray
    after: np.ndarray

    def share(self, right: np.ndarray) -> float:
        """Of all painted voxels."""
        return float(right.sum() / self.painted.sum())


def judge(learner: Learner, lessons: Sequence[Lesson]) -> Judgement:
    """See what the strokes change in what was said before anything was taught, and what is said of them now."""
    classes = learner.classes
    untaught = [log_p.half() for log_p in learner.look_untaught(lessons)]
    changes = np.zeros((classes, classes), np.int64)
    for lesson, first in zip(lessons, untaught, strict=True):
        painted = lesson.targets != UNPAINTED
        np.add.at(changes, (first.argmax(0).cpu().numpy()[painted], lesson.targets[painted]), 1)
    np.fill_diagonal(changes, 0)
    earlier = learner.started.config.taught
    taught = {*earlier, *((int(a), int(b)) for a, b in np.argwhere(changes >= learner.config.enough))}
    tables = [allow(classes, known).to(learner.device) for known in (earlier, taught)]
    counts = np.zeros((3, classes), np.int64)
    for lesson, first, now in zip(lessons, untaught, learner.look(lessons, learner.network), strict=True):
        painted = lesson.targets != UNPAINTED
        targets = lesson.targets[painted]
        counts[0] += np.bincount(targets, minlength=classes)
        for row, (said, table) in enumerate(zip((learner.remember(lesson), now), tables, strict=True), 1):
            found = join(first[None].float(), said[None].float(), table)[0].argmax(0).cpu().numpy()[painted]
            counts[row] += np.bincount(targets[found == targets], minlength=classes)
    return Judgement(tuple(sorted(taught)), *counts)


def remarks(classes: Sequence[Structure], judgement: Judgement) -> Iterator[str]:
    """Sentences on strokes that taught nothing."""
    if not judgement.taught:
        yield (
            "Nothing was learnt: the network says what you painted already, but for a few voxels. Paint where the "
            "labels are wrong, a few dozen voxels on each of several slices."
        )
        return
    counts = zip(classes, judgement.painted, judgement.before, judgement.after, strict=True)
    missed = [
        structure.name
        for structure, painted, was, now in counts
        if painted >= _JUDGED and painted - now > _WRONG * painted and now <= was
    ]
    if missed:
        yield (
            f"The strokes of {', '.join(missed)} were not learnt: they may contradict other strokes, or what the "
            "network was to leave as it is. More strokes on other slices may help."
        )
