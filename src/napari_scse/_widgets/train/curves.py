"""Loss of every step, and validation Dice of every epoch, of the mean and of structures that are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QLabel, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from napari_scse._widgets.forms import Folded, stacked
from napari_scse._widgets.plots import small_plot
from napari_scse.training.history import History

_LOSS, _HELD_BACK, _MEAN = "#e0a030", "#b090e8", "#4fa3e0"
_GREY = "#a0a0a0"
_MARGIN = 8  # px
_ROWS = 7  # structures that are seen without scrolling


class TrainCurves(QWidget):
    """Shows a `History`; every line is made once, and gets new numbers when there are some."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.names = QLabel(f"{_mark('loss', _LOSS)} &nbsp; {_mark('validation loss', _HELD_BACK)}")
        self.loss_plot, self.dice_plot = small_plot("epoch", "loss"), small_plot("epoch", "Dice")
        self.dice_plot.setYRange(0, 1)
        self.loss = self.loss_plot.plot(pen=pg.mkPen(_LOSS, width=1))
        self.held_back = self.loss_plot.plot(pen=pg.mkPen(_HELD_BACK, width=2), symbol="o", symbolSize=4)
        self.mean = self.dice_plot.plot(pen=pg.mkPen(_MEAN, width=3), symbol="o", symbolSize=5)
        self.lines: dict[str, Any] = {}
        self.structures = QListWidget()
        self.structures.setToolTip("Structures whose Dice is drawn beside the mean.")
        self.structures.itemChanged.connect(self._on_item)
        self.fold = Folded("Structures", stacked(self.structures))
        self.dice_names = QLabel()
        self.dice_names.setWordWrap(True)
        self._history: History | None = None
        self._colors: Mapping[str, str] = {}
        self._drawn = -1
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        for part in (self.names, self.loss_plot, self.dice_names, self.dice_plot, self.fold):
            column.addWidget(part)
        self._name_lines()

    def show_history(self, history: History | None, colors: Mapping[str, str] | None = None) -> None:
        """Show what is known of a training, with its structures in their `colors`; None hides everything."""
        if history is not self._history:
            self._drawn = -1
            self._forget_structures()
        self._history, self._colors = history, self._colors if colors is None else colors
        self.setVisible(history is not None)
        self.draw()

    @property
    def chosen(self) -> list[str]:
        """Names of the structures that are drawn."""
        items = (self.structures.item(row) for row in range(self.structures.count()))
        return [item.text() for item in items if item is not None and item.checkState() == Qt.CheckState.Checked]

    def draw(self) -> None:
        """Draw what is new."""
        history = self._history
        if history is None or history.changes == self._drawn:
            return
        self._drawn = history.changes
        self.loss.setData(*history.losses.arrays())
        epochs = sorted(history.done)
        losses = np.array([history.done[epoch].validation_loss for epoch in epochs], dtype=float)
        self.held_back.setData(np.array(epochs, dtype=float), losses, connect="finite")
        self.mean.setData(*history.dice(), connect="finite")
        self._list_structures(history.structures)
        for name, line in self.lines.items():
            line.setData(*history.dice(name), connect="finite")
        self.fold.setVisible(bool(history.structures))

    def _list_structures(self, names: tuple[str, ...]) -> None:
        known = {self.structures.item(row).text() for row in range(self.structures.count())}  # type: ignore[union-attr]
        with QSignalBlocker(self.structures):
            for name in names:
                if name not in known:
                    item = QListWidgetItem(name)
                    item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                    item.setCheckState(Qt.CheckState.Unchecked)
                    item.setForeground(QColor(self._colors.get(name, _GREY)))
                    self.structures.addItem(item)
        rows = min(self.structures.count(), _ROWS)
        self.structures.setFixedHeight(rows * self.structures.sizeHintForRow(0) + _MARGIN)

    def _forget_structures(self) -> None:
        with QSignalBlocker(self.structures):
            self.structures.clear()
        for line in self.lines.values():
            self.dice_plot.removeItem(line)
        self.lines = {}
        self._name_lines()

    def _name_lines(self) -> None:
        marks = [_mark(name, self._colors.get(name, _GREY)) for name in self.lines]
        self.dice_names.setText("&nbsp; ".join([_mark("mean validation Dice", _MEAN), *marks]))

    def _on_item(self, item: QListWidgetItem) -> None:
        name, on = item.text(), item.checkState() == Qt.CheckState.Checked
        if on and name not in self.lines:
            pen = pg.mkPen(self._colors.get(name, _GREY), width=1.5)
            self.lines[name] = self.dice_plot.plot(pen=pen, symbol="o", symbolSize=3)
            if self._history is not None:
                self.lines[name].setData(*self._history.dice(name), connect="finite")
        elif not on and name in self.lines:
            self.dice_plot.removeItem(self.lines.pop(name))
        self._name_lines()


def _mark(name: str, color: str) -> str:
    return f'<span style="color: {color}">●&nbsp;{name.replace(" ", "&nbsp;")}</span>'
