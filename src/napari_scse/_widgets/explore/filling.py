"""The bar that computes all of the films, and says how much of them is there."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_scse._widgets.runner import HasJob, Hooks, Runner
from napari_scse.events import Event, MapDone

if TYPE_CHECKING:
    from napari_scse._widgets.screening import Screening
    from napari_scse.exploration import View


@dataclass(frozen=True, eq=False)
class _Filled(MapDone):
    """A frame of one of the films; `done` and `total` count the frames of all, those of `own` its film's alone."""

    screening: Screening
    own: MapDone


class FillBar(QWidget):
    """A button that computes the whole volume, at every epoch; progress and Cancel are the widget's own panel."""

    def __init__(self, state: HasJob, owner: Any) -> None:
        super().__init__()
        self._runner: Runner = owner.runner
        self._screenings: tuple[Screening, ...] = ()
        self._lent: tuple[Screening, ...] = ()  # whose films are being filled
        self.button = QPushButton("Compute whole volume")
        self.button.setToolTip("Compute every slice at every epoch, from the shown one outwards; other planes fill in.")
        self.there = QLabel()
        self.there.setToolTip("A frame is one slice at one epoch.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.button)
        layout.addWidget(self.there)
        self.button.clicked.connect(self.fill)
        self.show_screenings()
        self._state = state

    def show_screenings(self, *screenings: Screening) -> None:
        """Work on the films of `screenings`; those of before are not computed any more."""
        if self._lent:
            self._runner.cancel()
        self._screenings = screenings
        self.setVisible(bool(screenings))
        for screening in screenings:
            screening.developed.connect(self._count)
        self._count()

    def fill(self) -> None:
        """Compute all that is missing, what is shown first."""
        if not self._alive or self._state.job.is_busy:
            return
        self._lent = self._alive
        for screening in self._lent:
            screening.lend()
        hooks = Hooks(self._on_event, _nothing, self._on_result, self._on_cancelled, self._resume)
        title = f"maps of all of {self._lent[0].source.name}"
        self._runner.start(title, partial(_fill, self._lent), hooks)

    @property
    def _alive(self) -> tuple[Screening, ...]:
        """Those that have layers still."""
        return tuple(screening for screening in self._screenings if screening.layers)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, _Filled) and event.screening in self._screenings:
            event.screening.refresh(event.own)
            event.screening.developed.emit(event.own)

    def _count(self, *_: object) -> None:
        done, total = _counted(self._alive)
        self.button.setEnabled(done < total)
        self.there.setText(f"{done} of {total} frames computed")

    def _on_result(self, _: object) -> str:
        self._resume()
        for screening in self._screenings:
            screening.caught_up.emit()
        return "The whole volume is computed, at every epoch."

    def _on_cancelled(self) -> str:
        self._resume()
        return "Cancelled: what is computed stays."

    def _resume(self) -> None:
        lent, self._lent = self._lent, ()
        for screening in lent:
            screening.give_back()
            if screening in self._screenings:
                screening.go_on()


def _fill(screenings: tuple[Screening, ...]) -> Generator[Event, None, None]:
    """Compute all of one film after the other; one whose layers are gone is left. A job's generator."""
    from napari_scse.exploration import develop

    try:
        for screening in screenings:
            for event in develop(screening.film, partial(_everything, screening)) if screening.layers else ():
                if not screening.layers:
                    break
                if isinstance(event, MapDone):
                    done, total = _counted(screenings)
                    yield _Filled(event.epoch_index, event.slice_index, done, total, screening, event)
                else:
                    yield event
    finally:
        for screening in screenings:
            screening.give_back()


def _counted(screenings: tuple[Screening, ...]) -> tuple[int, int]:
    """Return how many frames of the films are computed, and how many there are."""
    films = [screening.film for screening in screenings]
    return sum(int(film.done.sum()) for film in films), sum(film.done.size for film in films)


def _everything(screening: Screening) -> View:
    return replace(screening.view, reach=None)


def _nothing() -> None:
    """Frames show themselves."""
