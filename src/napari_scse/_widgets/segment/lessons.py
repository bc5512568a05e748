"""What happens in the threads of teaching, and what is said of it; nothing here touches a layer or a widget."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_scse._napari.inputs import LayerInput
from napari_scse._napari.looking import Front
from napari_scse._napari.pairs import LabelledInput
from napari_scse._napari.rounds import Before
from napari_scse._widgets.segment.opened import Opened
from napari_scse._widgets.segment.segmenting import Task
from napari_scse._widgets.state import grouped
from napari_scse.events import Event, Message, Progress, SliceDone
from napari_scse.slices import Plane

if TYPE_CHECKING:
    from napari_scse.refinement import Difference, Refined, Strokes

_NAMED = 3  # structures in a sentence
_PACE = 0.005  # s: copies come faster than the window can write them
_TOLD = 16  # slices


@dataclass(frozen=True, eq=False)
class Lesson:
    """What is to be learnt.

    Attributes
    ----------
    task
        The scan, and whose network learns.
    before
        The labels layer with the strokes.
    starts
        The last round of each plane.
    reference
        The right labels, where there are some.
    """

    task: Task
    before: Before
    starts: Mapping[Plane, Refined]
    reference: LabelledInput | None = None


@dataclass(frozen=True, eq=False)
class Learnt(Event):
    """The network has learnt; the labels follow, and `difference` counts them."""

    refined: Refined
    plane: Plane
    difference: Difference


@dataclass(frozen=True, eq=False)
class Restored(Event):
    """What lay at an index of a labels layer, and which of these voxels were painted then."""

    index: tuple[int | slice, ...]
    labels: np.ndarray
    painted: np.ndarray


def learn(opened: Opened, lesson: Lesson, front: Front) -> Generator[Event, None, None]:
    """Teach the network of the plane that is shown (of the first, if the model has no such plane), and label anew."""
    from napari_scse.inference import grow
    from napari_scse.refinement import Difference, refine

    task = lesson.task
    with opened.turn():
        session = yield from opened.open(task.source, task.card, task.options, task.networks)
        session.begin_with(front.plane, anew=True)
        plane = session.order[0]
        place = session.model.planes.index(plane)
        if len(session.model.planes) > 1:
            yield Message(f"The network of {plane} slices learns; the other planes' stay as they are.")
        strokes = strokes_of(task.source, lesson.before)
        reference = None if lesson.reference is None else lesson.reference.labels().data
        one = session.turn(plane)
        refined = yield from refine(
            session.volume,
            session.model.runs[place],
            strokes,
            epoch=session.epochs[place],
            start=lesson.starts.get(plane),
            scan=one.scan,
            location=one.location,
            device=session.options.device,
        )
        if one.location is None:
            one.location = refined.location
            session.located(one)
        session.replace_network(refined.network, plane)
        difference = Difference(strokes.labels, strokes.painted, reference)
        yield Learnt(refined, plane, difference)
        where: Callable[[], Any] | None = (lambda: front.point) if front.point is not None else None
        for event in grow(session, where, region=task.region):
            if isinstance(event, SliceDone) and not event.provisional:
                difference.take(event.index, event.labels)
            yield event


def go_back(before: Before, axis: int, middle: float) -> Generator[Event, None, None]:
    """Tell what a layer was, where it is not so now: slab by slab along an axis, from a place on it outwards."""
    labels, painted, layer = before.labels, before.painted, before.layer
    places = sorted(range(labels.shape[axis]), key=lambda place: abs(place - middle))
    for done, place in enumerate(places, 1):
        index = tuple(place if n == axis else slice(None) for n in range(labels.ndim))
        if layer is not None and not np.array_equal(layer.data[index], labels[index]):
            yield Restored(index, labels[index], painted[index])
            time.sleep(_PACE)
        if done % _TOLD == 0:
            yield Progress(done, len(places), "slices taken back")


def keep_all(names: Mapping[str, Refined]) -> Generator[Event, None, tuple[Path, ...]]:
    """Make runs of what was learnt, by their names; returns their folders, or raises `RunError`."""
    from napari_scse.refinement import check_name, keep

    yield Message("Writing …")
    for name in names:
        check_name(name)
    return tuple(keep(refined, name).path for name, refined in names.items())


def save(source: LayerInput, before: Before, path: Path) -> Generator[Event, None, Path]:
    """Write strokes for ``napari-scse refine``."""
    from napari_scse.refinement import write_strokes

    yield from ()
    write_strokes(path, strokes_of(source, before), source.grid.affine, source.grid.forms)
    return path


def strokes_of(source: LayerInput, before: Before) -> Strokes:
    """Turn what is painted on a layer into strokes on the scan's voxels."""
    from napari_scse.refinement import Strokes

    labels, painted = (array[None] if source.is_slice else array for array in (before.labels, before.painted))
    return Strokes(source.grid.restore(labels), source.grid.restore(painted))


def account(learnt: Learnt, reference: str = "") -> str:
    """Say what a round has changed so far; `reference` is the name of the layer that Dice is against."""
    refined, difference = learnt.refined, learnt.difference
    said = [
        f"{refined.right_before:.0%} of what you painted was labelled so by the run, {refined.right_after:.0%} is now.",
        f"{grouped(difference.changed)} voxels changed{_gained(learnt)}.",
    ]
    dice = difference.dice
    if dice is not None:
        said.append(f"Mean Dice against “{reference}” in these slices: {dice[0]:.3f} → {dice[1]:.3f}.")
    return " ".join([*said, *refined.messages])


def _gained(learnt: Learnt) -> str:
    names = {structure.value: structure.name for structure in learnt.refined.run.config.classes}
    gained = [(names.get(value, str(value)), more) for value, more in learnt.difference.gained.items()]
    shown = [f"{name} {'+' if more > 0 else ''}{grouped(more)}" for name, more in gained[:_NAMED]]
    more = [f"{len(gained) - _NAMED} more"] if len(gained) > _NAMED else []
    return f" ({', '.join([*shown, *more])})" if shown else ""
