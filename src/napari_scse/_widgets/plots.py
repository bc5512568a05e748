"""Small plots in the manner of all our widgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyqtgraph as pg
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

_COLORS = ("#e0a030", "#4fa3e0", "#6cc070", "#e07080", "#b090e8", "#50c0b8", "#c0a878", "#e07ab0")


def small_plot(bottom: str, left: str = "", height: int = 128) -> pg.PlotWidget:
    """Return an empty plot that cannot be dragged about."""
    plot = pg.PlotWidget(background=None)
    plot.setFixedHeight(height)
    plot.setMouseEnabled(False, False)
    plot.hideButtons()
    plot.setMenuEnabled(False)
    plot.setLabel("bottom", bottom)
    if left:
        plot.setLabel("left", left)
    plot.getPlotItem().layout.setContentsMargins(0, 2, 6, 5)
    return plot


class LinePlot(QWidget):
    """Lines over the epochs, with their names in their colours above."""

    def __init__(self, left: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plot = small_plot("epoch", left)
        self.names = QLabel()
        self.names.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.names)
        layout.addWidget(self.plot)

    def draw(self, x: Sequence[int], lines: Mapping[str, np.ndarray]) -> None:
        """Draw `lines` over `x` in place of what was there."""
        self.plot.clear()
        colors = {name: _COLORS[place % len(_COLORS)] for place, name in enumerate(lines)}
        for name, values in lines.items():
            pen = pg.mkPen(colors[name], width=2)
            self.plot.plot(np.asarray(x, float), np.asarray(values, float), pen=pen, symbol="o", symbolSize=4)
        marks = (f'<span style="color: {color}">● {name}</span>' for name, color in colors.items())
        self.names.setText(" &nbsp; ".join(marks))
