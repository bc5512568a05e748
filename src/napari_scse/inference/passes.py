"""One pass over the slices of a plane: its network, where it looks, and which slices are labelled."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np

from napari_scse.events import Event
from napari_scse.execution import Executor
from napari_scse.inference.labelling import LabelledSlice, Labeller, glance_everywhere, sees_both_sides
from napari_scse.inference.location import Location, everywhere, locate, locate_labelled
from napari_scse.inference.ready import Options
from napari_scse.inference.scan import Scan
from napari_scse.inference.votes import Votes
from napari_scse.runs import Run
from napari_scse.slices import Plane

Point = tuple[float, float, float]


class Pass:
    """A plane of a session.

    Attributes
    ----------
    scan, executor
        The volume as the plane's run sees it, and its network.
    location
        Where the labelled region lies; None until it is found.
    known
        Which slices of the stack are labelled: boolean (N,).
    start
        Where the user looked when it began.
    counted
        Whether all of it has voted.
    """

    def __init__(self, run: Run, scan: Scan, executor: Executor, options: Options) -> None:
        self.scan, self.executor = scan, executor
        self.location: Location | None = None
        self.known = np.zeros(scan.geometry.stack_shape[0], dtype=bool)
        self.start: Point | None = None
        self.counted = False
        self.labeller: Labeller | None = None
        self._options = options
        self._mirror = _mirrors(run, options.mirror)
        self._locating: Generator[Event, None, Location] | None = None
        self._guessed: Labeller | None = None
        self._everywhere: Location | None = None

    def begin(self, found: Location | None, guess: Location | None) -> None:
        """Take over where the region lies from earlier work, or where another network found it, as a guess."""
        self.location = found
        if found is None and guess is not None and guess.found:
            self._guessed = Labeller(self.scan, self.executor, guess)

    def look(self) -> Event | None:
        """Take a step of the coarse pass; None where that was the last one, and `location` is known."""
        work = self._locating or locate(self.scan, self.executor)
        self._locating = None  # after an error another attempt begins anew
        try:
            event = next(work)
        except StopIteration as stop:
            self.location, self._guessed = stop.value, None
            return None
        self._locating = work
        return event

    def follow(self, votes: Votes, gain: float) -> None:
        """Label where other planes have found something; before anything is labelled in this one."""
        self.labeller = None
        self.location = locate_labelled(self.scan, votes.likeliest(self.scan.geometry), gain)

    def prepare(self, votes: Votes | None) -> Labeller:
        """Return what labels the slices, once the region is located."""
        if self.labeller is None:
            if self.location is None:
                raise ValueError("nothing is located yet")
            self.labeller = Labeller(
                self.scan,
                self.executor,
                self.location,
                mirror=self._mirror,
                ballot=None if votes is None else votes.ballot(self.scan),
                uncertainty=self._options.uncertainty,
            )
        return self.labeller

    def glance(self, number: int) -> LabelledSlice | None:
        """Label a slice provisionally while nothing is located."""
        if self._guessed is not None:
            return self._guessed.glance(number)
        if self._everywhere is None:
            self._everywhere = everywhere(self.scan)
        return glance_everywhere(self.scan, self.executor, self._everywhere, number)

    def compute(self, batch: int) -> Iterator[LabelledSlice]:
        """Label a batch of slices; to be iterated to its end."""
        if self.labeller is None:
            raise ValueError("nothing is prepared yet")
        for found in self.labeller.compute(batch):
            self.known[found.number] = True
            yield found

    def nearest(self, wanted: np.ndarray, point: Point | None) -> int:
        """Return which of the `wanted` slices, boolean (N,), is nearest to a point in RAS mm; without one the first."""
        numbers = np.flatnonzero(wanted)
        if point is None:
            return int(numbers[0])
        return int(numbers[np.abs(numbers - self.at(point)).argmin()])

    def at(self, point: Point) -> float:
        """Return the slice number of a point in RAS mm, not rounded."""
        return float((np.linalg.inv(self.scan.geometry.stack_affine) @ (*point, 1.0))[0])


def _mirrors(run: Run, wanted: bool | None) -> bool:
    if run.config.plane is Plane.SAGITTAL:
        return False
    return sees_both_sides(run.config) if wanted is None else wanted
