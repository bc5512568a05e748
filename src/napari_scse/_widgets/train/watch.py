"""The part of Train that shows every epoch on a scan."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_scse._napari.links import Links
from napari_scse._widgets.forms import until_destroyed
from napari_scse._widgets.player import MapsBar
from napari_scse._widgets.train.data import DataPanel
from napari_scse._widgets.train.monitor import Monitor
from napari_scse._widgets.train.preview import Preview
from napari_scse._widgets.train.state import TrainState


class WatchPanel(QWidget):
    """A switch, the controls of the maps, and the preview itself.

    Parameters
    ----------
    viewer, state
        The viewer, and the widget's state.
    data
        Says which scan to watch on.
    """

    def __init__(self, viewer: Any, state: TrainState, data: DataPanel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state, self._data = state, data
        self._monitor: Monitor | None = None
        self.switch = QCheckBox("show every epoch on the scan")
        self.switch.setChecked(True)
        self.switch.setToolTip(
            "After every epoch, show the labels of the slice on screen, and its maps of the first encoder and the last "
            "decoder. They are computed on the CPU, where you look."
        )
        self.preview = Preview(viewer, self)
        self.maps_bar = MapsBar(viewer, state)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.switch)
        column.addWidget(self.maps_bar)
        self.switch.toggled.connect(self._on_switch)
        until_destroyed(self, Links(self._on_full_range, state.events.full_range))

    def follow(self, monitor: Monitor | None) -> None:
        """Watch the training of `monitor`; None: none. The layers of another one stay."""
        self.preview.close()
        self._monitor = monitor

    def show_epoch(self, epoch: int) -> None:
        """Show an epoch that was finished; open the preview with the first that comes."""
        if self._monitor is None:
            return
        if self.preview.is_open:
            self.preview.show_epoch(self._monitor.history.done[epoch])
        elif self._monitor.is_live and self.switch.isChecked():
            self._open()

    def _open(self) -> None:
        seen = self._data.watched()
        if self._monitor is None or seen is None or not self._monitor.history.done:
            return
        self.preview.full_range = self._state.full_range
        self.preview.open(self._monitor.training.folder, self._monitor.history.epochs, *seen)

    def _on_switch(self, on: bool) -> None:
        if on:
            self._open()
        else:
            self.preview.close()

    def _on_full_range(self, on: bool) -> None:
        self.preview.full_range = on
        if self.preview.screening is not None:
            self.preview.screening.full_range = on
