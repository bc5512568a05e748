"""Loss and Dice of a run over its epochs, with a cursor at the epoch that is shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_scse._napari.links import Links
from napari_scse._widgets.cards import RunCard
from napari_scse._widgets.forms import until_destroyed
from napari_scse._widgets.plots import LinePlot

_MARKER = "#d0d0d0"


class TrainingCurves(QWidget):
    """Two curves; a click shows the nearest epoch."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._epochs: tuple[int, ...] = ()
        self.lines = LinePlot()
        self.plot = self.lines.plot
        self.marker = pg.InfiniteLine(angle=90, pen=pg.mkPen(_MARKER, width=1, style=Qt.PenStyle.DashLine))
        self.plot.scene().sigMouseClicked.connect(self._on_click)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.lines)
        until_destroyed(self, Links(self.follow, viewer.dims.events.point))
        self.show_run(None)

    def show_run(self, card: RunCard | None, epochs: tuple[int, ...] = ()) -> None:
        """Show the curves of a run whose `epochs` are on the viewer's epoch slider; None hides them."""
        self._epochs = epochs
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
        return round(self.marker.value()) if self._epochs else None

    def follow(self, *_: object) -> None:
        """Put the cursor to the epoch that the viewer shows."""
        axis = self._viewer.dims.ndim - 4
        if self._epochs and axis >= 0:
            step = min(self._viewer.dims.current_step[axis], len(self._epochs) - 1)
            self.marker.setValue(self._epochs[step])

    def choose(self, epoch: float) -> None:
        """Show the epoch nearest to `epoch`."""
        axis = self._viewer.dims.ndim - 4
        if self._epochs and axis >= 0:
            nearest = int(np.abs(np.asarray(self._epochs) - epoch).argmin())
            self._viewer.dims.set_current_step(axis, nearest)

    def _on_click(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.choose(self.plot.getViewBox().mapSceneToView(event.scenePos()).x())
