"""What a long piece of work says while it runs.

Long work is a plain generator that yields frozen events and returns its result. Whoever iterates decides what to do
with them: the command line draws a bar, a widget fills a layer, a test makes a list. To cancel, stop iterating (and
`close` the generator): what the events have delivered so far is complete and stays.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

Result = TypeVar("Result")


@dataclass(frozen=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True)
class Message(Event):
    """A sentence for the user, said once (for example that the batch was made smaller)."""

    text: str


@dataclass(frozen=True)
class Progress(Event):
    """`done` of `total` steps of `what` are finished."""

    done: int
    total: int
    what: str


@dataclass(frozen=True, eq=False)
class SliceDone(Event):
    """One slice is labelled; where several planes are asked, anew with each.

    Attributes
    ----------
    index
        Index expression into an array of the input volume's shape: ``out[event.index] = event.labels``.
    labels
        The slice's label values, in the axes order of the input volume.
    done, total
        How many slices are finished, this one included, and how many there are: the volume's, in each plane asked.
    uncertainty
        0 to 1, laid out as `labels`; None where it was not asked for, or nothing is there.
    provisional
        True for a first guess, so that there is something to see at once: it does not count as finished, and the slice
        comes again.
    """

    index: tuple[int | slice, ...]
    labels: np.ndarray
    done: int
    total: int
    uncertainty: np.ndarray | None = None
    provisional: bool = False


@dataclass(frozen=True)
class StepDone(Event):
    """One optimiser step of a training is finished (`loss` is that step's)."""

    epoch: int
    step: int
    steps: int
    loss: float


@dataclass(frozen=True)
class EpochDone(Event):
    """One epoch is trained, validated and on disk.

    Attributes
    ----------
    loss, validation_loss, validation_dice
        Means over the epoch's steps, over the held-back slices, and over the structures of the held-back subjects.
    structures
        Validation Dice of each structure, by its name; those that no held-back subject has are not in it.
    """

    epoch: int
    epochs: int
    loss: float
    validation_dice: float
    seconds: float
    validation_loss: float = float("nan")
    structures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Began(Event):
    """A process began to work: its PID, and when it was created (seconds since 1970)."""

    pid: int
    since: float


@dataclass(frozen=True)
class Paused(Event):
    """The work waits, between two steps."""


@dataclass(frozen=True)
class Continued(Event):
    """The work goes on after a pause."""


@dataclass(frozen=True)
class Ended(Event):
    """The work is over: ``"finished"``, ``"stopped"`` (it was asked to) or ``"failed"``; `text` says why."""

    how: str
    text: str = ""


@dataclass(frozen=True)
class MapDone(Event):
    """The maps of one slice of one epoch are in the store, at ``[epoch_index, slice_index]`` of every site."""

    epoch_index: int
    slice_index: int
    done: int
    total: int


def drain(work: Generator[Event, None, Result], on_event: Callable[[Event], None] | None = None) -> Result:
    """Run `work` to its end, pass every event to `on_event`, and return its result."""
    while True:
        try:
            event = next(work)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        if on_event is not None:
            on_event(event)
