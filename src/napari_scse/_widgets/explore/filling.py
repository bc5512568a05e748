"""The bar that computes all of a film, and says how much of it is there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_scse._widgets.runner import HasJob, Hooks, Runner
from napari_scse.events import Event, MapDone

if TYPE_CHECKING:
    from napari_scse._widgets.screening import Screening
    from napari_scse.exploration import View


class FillBar(QWidget):
    """A button that computes the whole volume, at every epoch; progress and Cancel are the widget's own panel."""

    def __init__(self, state: HasJob, owner: Any) -> None:
        super().__init__()
        self._runner: Runner = owner.runner
        self._screening: Screening | None = None
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
        self.show_screening(None)
        self._state = state

    def show_screening(self, screening: Screening | None) -> None:
        """Work on the film of `screening`; None: there is none."""
        self._screening = screening
        self.setVisible(screening is not None)
        if screening is not None:
            screening.developed.connect(self._on_developed)
            self._count(int(screening.film.done.sum()), screening.film.done.size)

    def fill(self) -> None:
        """Compute all that is missing, what is shown first."""
        from napari_scse.exploration import develop

        screening = self._screening
        if screening is None or self._state.job.is_busy:
            return
        screening.paused = True
        work = partial(develop, screening.film, partial(_everything, screening))
        hooks = Hooks(self._on_event, _nothing, self._on_result, self._on_cancelled, self._resume)
        self._runner.start(f"maps of all of {screening.source.name}", work, hooks)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, MapDone) and self._screening is not None:
            self._screening.refresh(event)
            self._on_developed(event)

    def _on_developed(self, event: MapDone) -> None:
        self._count(event.done, event.total)

    def _count(self, done: int, total: int) -> None:
        self.button.setEnabled(done < total)
        self.there.setText(f"{done} of {total} frames computed")

    def _on_result(self, _: object) -> str:
        self._resume()
        return "The whole volume is computed, at every epoch."

    def _on_cancelled(self) -> str:
        self._resume()
        return "Cancelled: what is computed stays."

    def _resume(self) -> None:
        if self._screening is not None:
            self._screening.paused = False
            self._screening.look()


def _everything(screening: Screening) -> View:
    from dataclasses import replace

    return replace(screening.view, reach=None)


def _nothing() -> None:
    """Frames show themselves."""
