"""What is kept of an exploration: the figure, a film, the numbers."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_scse._napari.maps import show_epoch
from napari_scse._napari.movie import write_movie
from napari_scse._napari.overrides import labels_over, references
from napari_scse._widgets.jobs import Job, Work, explain, start_job
from napari_scse.errors import InputError
from napari_scse.events import Event, Message, Progress

if TYPE_CHECKING:
    from napari_scse._widgets.screening import Screening

_TICK = 120  # ms between two looks whether the next frame can be photographed
_FIGURES = "Figure (*.pdf *.svg *.png)"
_FILMS = "Film (*.gif *.mp4);;Folder of pictures (*)"


class KeepPanel(QWidget):
    """Buttons that write what is shown: figure 7 of the slice, the epochs as a film, measures as a table."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._screening: Screening | None = None
        self._job: Job | None = None
        self._frames: list[np.ndarray] = []
        self._target: Path | None = None
        self._looked: tuple[float, ...] = ()
        self.figure = QPushButton("Figure 7 …")
        self.figure.setToolTip("The shown slice, with one row a site and one column an epoch: PDF, SVG or PNG.")
        self.film = QPushButton("Film …")
        self.film.setToolTip("The canvas as it is, once at every epoch: GIF, MP4, or a folder of PNG files.")
        self.numbers = QPushButton("Numbers …")
        self.numbers.setToolTip(
            "Mean gates by structure, asymmetry, change and contrast at every epoch, over the computed slices around "
            "the shown one, by the topmost visible labels or the run's own: a CSV table, with its curves as a PDF "
            "beside it."
        )
        self.text = QLabel()
        self.text.setWordWrap(True)
        self._buttons = (self.figure, self.film, self.numbers)
        grid = QGridLayout()
        for place, button in enumerate(self._buttons):
            grid.addWidget(button, 0, place)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(grid)
        layout.addWidget(self.text)
        self._timer = QTimer(self)
        self._timer.setInterval(_TICK)
        self._timer.timeout.connect(self._photograph)
        self.figure.clicked.connect(lambda: self._choose("Write figure", _FIGURES, self.write_figure))
        self.film.clicked.connect(lambda: self._choose("Write film", _FILMS, self.write_film))
        self.numbers.clicked.connect(lambda: self._choose("Write numbers", "Table (*.csv)", self.write_numbers))
        self.show_screening(None)

    def show_screening(self, screening: Screening | None) -> None:
        """Keep what `screening` shows; None: there is nothing."""
        self._stop()
        self._screening = screening
        self.setEnabled(screening is not None)
        self.text.setText("")

    @property
    def is_busy(self) -> bool:
        """Whether pictures of a film are taken, or something is written."""
        return self._job is not None or self._timer.isActive()

    def write_figure(self, path: Path) -> None:
        """Write the paper's figure 7 of the shown slice."""
        screening = self._screening
        if screening is not None and not self.is_busy:
            self._start("figure", partial(_figure, screening, screening.view.number, path), path)

    def write_film(self, path: Path) -> None:
        """Photograph the canvas at every epoch of the shown slice and write the film."""
        if self._screening is not None and not self.is_busy:
            self._target, self._looked = path, self._looks()
            self._timer.start()
            self._offer()

    def write_numbers(self, path: Path) -> None:
        """Measure the computed slices around the shown one, by the topmost visible labels or the film's own."""
        screening = self._screening
        if screening is None or self.is_busy:
            return
        around = screening.film.computed_around(screening.view.number)
        if around is None:
            self.text.setText("The shown slice is not computed at every epoch yet.")
            return
        shown = [layer for layer in references(self._viewer) if layer.visible]
        reference = shown[-1] if shown else None
        by = ", by the run's own labels" if reference is None else f", by “{reference.name}”"
        self._start("numbers", partial(_numbers, screening, around, reference, path), path, by)

    # -- films ---------------------------------------------------------------------------------------------------------

    def _photograph(self) -> None:
        """Take the next epoch's picture once it is computed and drawn; after the last, write the film."""
        screening = self._screening
        if screening is None or not screening.layers or self._target is None:
            self._stop()
            return
        wanted = len(self._frames)
        if self._looks() != self._looked:
            self._stop()
            self.text.setText("No film: another slice or view came on screen before every epoch was photographed.")
        elif wanted == len(screening.film.epochs):
            frames = self._stop()
            self._start("film", partial(write_movie, frames, self._target), self._target)
        elif screening.view.epoch != wanted:
            show_epoch(self._viewer, screening.layers[-1], wanted)
        elif screening.film.done[wanted, screening.view.number]:
            self._frames.append(np.asarray(self._viewer.screenshot(canvas_only=True, flash=False)))
            self.text.setText(f"{wanted + 1} of {len(screening.film.epochs)} epochs photographed.")

    def _stop(self) -> list[np.ndarray]:
        """Take no more pictures; return those that were taken."""
        self._timer.stop()
        frames, self._frames = self._frames, []
        self._offer()
        return frames

    def _offer(self) -> None:
        """Offer the buttons while nothing is being kept: one thing at a time."""
        for button in self._buttons:
            button.setEnabled(not self.is_busy)

    def _looks(self) -> tuple[float, ...]:
        """What is on screen, whatever the epoch."""
        dims = self._viewer.dims
        return (*dims.displayed, *dims.point[-3:])

    # -- the worker ----------------------------------------------------------------------------------------------------

    def _start(self, what: str, work: Work[None], path: Path, how: str = "") -> None:
        if self._job is None:
            self.text.setText(f"Writing {path.name} …")
            self._job = start_job(
                f"writing of the {what}",
                work,
                on_event=self._on_event,
                on_result=lambda _: self.text.setText(f"Wrote {path}{how}."),
                on_error=lambda error: self.text.setText(explain(error, f"writing of the {what}")),
                on_finish=self._on_finish,
            )
            self._offer()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.text.setText(f"{event.done} of {event.total} {event.what}")
        elif isinstance(event, Message):
            self.text.setText(event.text)

    def _on_finish(self) -> None:
        self._job = None
        self._offer()

    def _choose(self, title: str, kinds: str, write: Any) -> None:
        name, _ = QFileDialog.getSaveFileName(self, title, "", kinds)
        if name:
            write(Path(name))


def _figure(screening: Screening, number: int, path: Path) -> Generator[Event, None, None]:
    from napari_scse.exploration import View, develop, plot_figure7

    yield from develop(screening.film, lambda: View(number, 0))
    maps = screening.film.part(number, number + 1)
    plot_figure7(maps, screening.source.volume(), path, limits="site")


def _numbers(screening: Screening, around: tuple[int, int], reference: Any, path: Path) -> Generator[Event, None, None]:
    from napari_scse.exploration import measure_dynamics, names_for, plot_dynamics

    if path.suffix.lower() != ".csv":
        raise InputError(f"The table of the numbers ends in .csv; '{path.name}' does not.")
    film = screening.film
    labels = film.label_volume(*around) if reference is None else labels_over(reference, screening.source)
    found = yield from measure_dynamics(
        film.part(*around),
        labels,
        image=screening.source.volume(),
        structures=names_for(labels, screening.structures[1:]),
    )
    found.write_csv(path)
    plot_dynamics(found, path.with_suffix(".pdf"))
