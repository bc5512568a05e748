"""What a widget knows: evented dataclasses, and a pure function from one state of a job to the next. No Qt."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from psygnal import SignalGroupDescriptor

from napari_scse._widgets.cards import Catalogue, RunCard
from napari_scse.events import Event, MapDone, Message, Progress, SliceDone, StepDone
from napari_scse.slices import Plane

_WINDOW = 20.0  # seconds of the past that the remaining time is estimated from


class Phase(StrEnum):
    """What a job is doing."""

    IDLE = "idle"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(frozen=True)
class JobState:
    """Where a job stands.

    Attributes
    ----------
    phase
        See `Phase`.
    what
        What is being counted.
    done, total
        How far; a total of 0 is not known yet.
    times
        (seconds, done) of the recent past, oldest first.
    message
        A sentence for the user.
    failed
        Whether `message` is an error.
    """

    phase: Phase = Phase.IDLE
    what: str = ""
    done: int = 0
    total: int = 0
    times: tuple[tuple[float, int], ...] = ()
    message: str = ""
    failed: bool = False

    @property
    def is_busy(self) -> bool:
        """Whether a job runs or is being stopped."""
        return self.phase is not Phase.IDLE

    def apply(self, event: Event, now: float) -> JobState:
        """Return the state after `event` arrived at `now` (seconds of any steady clock)."""
        match event:
            case Message(text):
                return replace(self, message=text)
            case Progress(done, total, what):
                return self._count(done, total, what, now)
            case SliceDone(provisional=True):
                return self
            case SliceDone(done=done, total=total):
                return self._count(done, total, "slices labelled", now)
            case MapDone(done=done, total=total):
                return self._count(done, total, "maps recorded", now)
            case StepDone(step=step, steps=steps):
                return self._count(step, steps, "steps learnt", now)
        return self

    def start(self, what: str) -> JobState:
        """Return the state of a job that just began."""
        return JobState(Phase.RUNNING, what)

    def stop(self) -> JobState:
        """Return the state after Cancel."""
        return (
            replace(self, phase=Phase.STOPPING, message="Stopping after the current batch …") if self.is_busy else self
        )

    def end(self, message: str, failed: bool = False) -> JobState:
        """Return the state of a job that ended, with a last sentence."""
        return replace(self, phase=Phase.IDLE, times=(), message=message, failed=failed)

    @property
    def seconds_left(self) -> float | None:
        """The remaining time at the recent pace; None while that is not known."""
        if len(self.times) < 2:
            return None
        (t0, done0), (t1, done1) = self.times[0], self.times[-1]
        if done1 <= done0 or t1 - t0 < 1:
            return None
        return (self.total - self.done) * (t1 - t0) / (done1 - done0)

    def _count(self, done: int, total: int, what: str, now: float) -> JobState:
        past = self.times if what == self.what and done >= self.done else ()
        recent = deque(past)
        while len(recent) > 1 and now - recent[0][0] > _WINDOW:
            recent.popleft()
        return replace(self, what=what, done=done, total=total, times=(*recent, (now, done)))


@dataclass
class SegmentState:
    """What the Segment widget shows; changing a field tells the widget, and the widget changes the fields."""

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    catalogue: Catalogue = field(default_factory=Catalogue)
    network: str | None = None
    excitation: str | None = None
    run: Path | None = None
    planes: tuple[Plane, ...] = ()
    epoch: int | str = "best"
    device: str = "auto"
    precision: str = "float32"
    mirror: bool = True
    uncertainty: bool = False
    region: str = "whole"
    slab_mm: float = 10.0
    live: bool = False
    job: JobState = field(default_factory=JobState)

    @property
    def card(self) -> RunCard | None:
        """The chosen run."""
        return self.catalogue.card(self.run)

    def choose(self, card: RunCard | None) -> None:
        """Choose a run, and with it network, SE variant, planes and its best epoch."""
        self.network = card.network if card else None
        self.excitation = card.excitation if card else None
        self.run = card.path if card else None
        self.planes = self.catalogue.planes_at_first(card) if card else ()
        self.epoch = "best"

    @property
    def asked(self) -> RunCard | None:
        """The chosen run; of a model that is asked in one plane that plane's run."""
        card = self.card
        if card is None or len(self.planes) != 1:
            return card
        return self.catalogue.card(card.alone(self.planes[0]).path) or card

    def choose_planes(self, planes: tuple[Plane, ...]) -> None:
        """Choose some of a model's planes, at their best epochs."""
        self.epoch = "best"
        self.planes = planes

    def choose_network(self, network: str) -> None:
        """Choose a network: the run becomes its first, with the present SE variant if there is one."""
        self._choose_first(c for c in self.catalogue.cards if c.network == network)

    def choose_excitation(self, excitation: str) -> None:
        """Choose an SE variant of the present network."""
        self._choose_first(c for c in self.catalogue.cards if (c.network, c.excitation) == (self.network, excitation))

    def _choose_first(self, cards: Iterable[RunCard]) -> None:
        usable = sorted((c for c in cards if c.trained), key=lambda c: c.excitation != self.excitation)
        if usable:
            self.choose(usable[0])


@dataclass
class ExploreState:
    """What the Explore widget shows.

    Attributes
    ----------
    other
        A second run, shown beside the first; None: there is none.
    epochs
        Chosen epochs; empty: none.
    labels
        Whether the slices are labelled at every epoch as well.
    winners
        Whether scSE blocks show which of their gates is the larger one.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    catalogue: Catalogue = field(default_factory=Catalogue)
    run: Path | None = None
    other: Path | None = None
    sites: tuple[str, ...] = ()
    epochs: tuple[int, ...] = ()
    labels: bool = True
    winners: bool = False
    device: str = "auto"
    precision: str = "float32"
    full_range: bool = False
    job: JobState = field(default_factory=JobState)

    @property
    def card(self) -> RunCard | None:
        """The chosen run."""
        return self.catalogue.card(self.run)

    def choose(self, card: RunCard | None) -> None:
        """Choose a run, all its epochs, and its first encoder's and last decoder's gate."""
        if card is None or self.other not in [other.path for other in self.catalogue.comparable(card)]:
            self.other = None
        self.run = card.path if card else None
        self.sites = tuple(dict.fromkeys((card.sites[0], last_decoder(card.sites)))) if card and card.sites else ()
        self.epochs = card.epochs if card else ()


def last_decoder(sites: tuple[str, ...]) -> str:
    """Return the name of the last decoder's gate, or of the last site where no decoder has one."""
    decoders = [site for site in sites if site.startswith("sD-")]
    return decoders[-1] if decoders else sites[-1]


def grouped(count: int) -> str:
    """Return a number with its thousands apart; a line does not end within it.

    Examples
    --------
    >>> grouped(11611).split()
    ['11', '611']
    """
    return f"{count:,}".replace(",", "\N{NO-BREAK SPACE}")


def duration(seconds: float) -> str:
    """Return a rough duration in words.

    Examples
    --------
    >>> duration(8.2), duration(75), duration(4000)
    ('8 s', '1 min 15 s', '1 h 7 min')
    """
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 3600:
        return f"{round(whole / 60)} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
