"""Loss and Dice of a run over its epochs, with a cursor at the epoch that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_scse._napari.maps import show_epoch
from napari_scse._widgets.cards import RunCard
from napari_scse._widgets.plots import LinePlot

if TYPE_CHECKING:
    from napari_scse._widgets.screening import Screening

_MARKER = "#d0d0d0"


class TrainingCurves(QWidget):
    """Two curves; a click shows the nearest epoch."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._screening: Screening | None = None
        self.lines = LinePlot()
        self.plot = self.lines.plot
        self.marker = pg.InfiniteLine(angle=90, pen=pg.mkPen(_MARKER, width=1, style=Qt.PenStyle.DashLine))
        self.plot.scene().sigMouseClicked.connect(self._on_click)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.lines)
        self.show_run(None)

    def show_run(self, card: RunCard | None, screening: Screening | None = None) -> None:
        """Show the curves of the run that `screening` shows; None hides them."""
        self._screening = screening
        if screening is not None:
            screening.looked.connect(self.follow)
        self.setVisible(card is not None and bool(card.losses or card.scores))
        if card is None:
            return
        known = {"loss": card.losses, "held-back Dice": card.scores}
        shared = sorted(set(card.losses) | set(card.scores))
        lines = {name: np.array([numbers.get(e, np.nan) for e in shared]) for name, numbers in known.items() if numbers}
        self.lines.draw(shared, lines)
        self.plot.addItem(self.marker)
        self.follow()

    @property
    def epoch(self) -> int | None:
        """The epoch under the cursor."""
        return None if self._screening is None else round(self.marker.value())

    def follow(self, *_: object) -> None:
        """Put the cursor to the epoch that is shown."""
        if self._screening is not None:
            self.marker.setValue(self._screening.film.epochs[self._screening.view.epoch])

    def choose(self, epoch: float) -> None:
        """Show the epoch nearest to `epoch`."""
        if self._screening is not None and self._screening.layers:
            nearest = int(np.abs(np.asarray(self._screening.film.epochs) - epoch).argmin())
            show_epoch(self._viewer, self._screening.layers[-1], nearest)

    def _on_click(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.choose(self.plot.getViewBox().mapSceneToView(event.scenePos()).x())
