"""A training watched on a scan: after every epoch its labels and maps of the slice on screen."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_scse._napari.inputs import LayerInput
from napari_scse._napari.layers import METADATA_KEY
from napari_scse._napari.maps import show_epoch
from napari_scse._napari.pairs import LabelledInput
from napari_scse._widgets.jobs import Job, explain, start_job
from napari_scse._widgets.screening import Screening
from napari_scse.events import EpochDone, Event

if TYPE_CHECKING:
    from napari_scse.exploration.growing import GrowingFilm


class Preview(QObject):
    """Opens the film of a training when its first epoch is there, and goes to each epoch that comes.

    The networks run on the CPU: the GPU is the training's.
    """

    said = Signal(str, bool)  # a sentence for the user, and whether it is an error
    opened = Signal(object)  # the Screening

    def __init__(self, viewer: Any, parent: QObject) -> None:
        super().__init__(parent)
        self.screening: Screening | None = None
        self.full_range = False
        self._viewer = viewer
        self._job: Job | None = None
        self._newest = 0  # index of the epoch that was gone to
        self._source: LayerInput | None = None  # what is watched

    @property
    def is_open(self) -> bool:
        """Whether there is a film, or one is being opened."""
        return self.screening is not None or self._job is not None

    def open(self, folder: Path, epochs: int, source: LayerInput, pair: LabelledInput | None) -> None:
        """Show the run in `folder`, which is to have so many `epochs`, on the scan `source`."""
        self.close()
        self._source = source
        self._job = start_job(
            f"preview on {source.name}",
            partial(_open, folder, epochs, source, pair),
            on_result=self._on_film,
            on_error=self._on_error,
            on_finish=self._on_finish,
            shown=False,
        )

    def show_epoch(self, event: EpochDone) -> None:
        """Compute an epoch that was finished; go to it, unless the user looks at another."""
        if self.screening is None:
            return
        index = event.epoch - 1
        for layer in self.screening.maps:
            layer.metadata[METADATA_KEY]["maps"]["labels"][index] = f"epoch {event.epoch} · loss {event.loss:.3g}"
        if self.screening.view.epoch == self._newest:
            show_epoch(self._viewer, self.screening.layers[-1], index)
            self._newest = index
        self.screening.go_on()

    def close(self) -> None:
        """Stop computing; the layers stay, with what is computed."""
        self._source = None
        if self._job is not None:
            self._job.quit()
        screening, self.screening = self.screening, None
        if screening is not None:
            screening.close()
            screening.deleteLater()

    def _on_film(self, opened: tuple[GrowingFilm, LayerInput]) -> None:
        film, source = opened
        if source is not self._source:  # something else is watched by now
            film.close()
            return
        self.screening = Screening(
            self._viewer, film, source, film.run.config.classes, self.full_range, self, film.run.name
        )
        self.screening.ended.connect(self.close)
        self.screening.said.connect(self.said)
        there = [index for index, is_there in enumerate(film.there) if is_there]
        self._newest = there[-1] if there else 0
        show_epoch(self._viewer, self.screening.layers[-1], self._newest)
        self.opened.emit(self.screening)

    def _on_error(self, error: Exception) -> None:
        if self._source is not None:
            self.said.emit(explain(error, "preview of the training"), True)

    def _on_finish(self) -> None:
        self._job = None


def _open(
    folder: Path, epochs: int, source: LayerInput, pair: LabelledInput | None
) -> Generator[Event, None, tuple[GrowingFilm, LayerInput]]:
    """Read the voxels and lay them out: runs in the job's thread."""
    from napari_scse.exploration.growing import open_growing_film
    from napari_scse.runs import Run

    labels = None if pair is None else pair.labels()
    film = yield from open_growing_film(source.volume(), Run(folder), epochs, labels=labels)
    return film, source
