"""What of the chosen labels layer is the user's: how much, where, and how to lock and unlock."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_scse._napari.edits import Edits, unwrapped
from napari_scse._napari.layers import is_derived
from napari_scse._napari.links import Following, Links
from napari_scse._napari.lock_layer import LockLayer
from napari_scse._widgets.forms import until_destroyed
from napari_scse._widgets.segment.recovery import RecoveryBar
from napari_scse._widgets.segment.safekeeping import Safekeeper
from napari_scse._widgets.state import grouped

_SOON = 60  # ms; several changes are shown at once


class LockBar(QWidget):
    """The state of the labels layer that is selected (or was last), with what a crash left above it.

    From when it is first shown, painted voxels of the window's labels layers are kept in journals, and closing the
    window with unsaved ones asks; see `Safekeeper`.
    """

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layer: Any = None
        self._edits: Edits | None = None
        self._shown: LockLayer | None = None
        self._is_kept = False
        self.recovery = RecoveryBar(viewer)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.show_locked = _button("Show", "Outline what is kept, as a layer: paint on it to lock, erase to unlock.")
        self.show_locked.setCheckable(True)
        self.lock = _button("Lock label", "Keep all voxels of the layer's selected label as they are.")
        self.free = _button("Unlock label", "Give all voxels of the layer's selected label free.")
        self.free_all = _button("Unlock all", "Give all voxels free; Ctrl-Z takes it back.")
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for button in (self.show_locked, self.lock, self.free, self.free_all):
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(5)
        column.addWidget(self.recovery)
        column.addWidget(self.text)
        column.addLayout(row)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON)
        self._soon.timeout.connect(self.render_state)
        self.show_locked.toggled.connect(self._on_show)
        self.lock.clicked.connect(self._on_lock)
        self.free.clicked.connect(self._on_free)
        self.free_all.clicked.connect(self._on_free_all)
        self._following = Following(self._on_changed)
        layers = viewer.layers
        until_destroyed(
            self,
            self._following,
            Links(self._on_layers, layers.selection.events.active, layers.events.inserted, layers.events.removed),
        )
        self._on_layers()
        self.render_state()

    @property
    def edits(self) -> Edits | None:
        """The edits of the layer that is shown here."""
        return self._edits

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Start to keep the window's edits, once there is a window."""
        super().showEvent(event)
        if not self._is_kept:
            keeper = Safekeeper.of(self, self._viewer)
            if keeper is not None:
                self._is_kept = True
                self.recovery.follow(keeper)

    def render_state(self) -> None:
        """Say how much is kept."""
        count = 0 if self._edits is None else int(np.count_nonzero(self._edits.painted))
        if count:
            self.text.setText(f"{grouped(count)} voxels painted by you are kept.")
        else:
            self.text.setText("What you paint, fill or erase is kept when labels are computed anew.")
        for button in (self.show_locked, self.lock, self.free):
            button.setEnabled(self._edits is not None)
        self.free.setEnabled(count > 0)
        self.free_all.setEnabled(count > 0)

    def put_away(self) -> None:
        """Take the layer that shows the locks out of the viewer."""
        shown, self._shown = self._shown, None
        if shown is not None:
            shown.close()
        self.show_locked.setChecked(False)

    # -- the layer -----------------------------------------------------------------------------------------------------

    def _on_layers(self, *_: object) -> None:
        layers, active = self._viewer.layers, unwrapped(self._viewer.layers.selection.active)
        if self._shown is not None and not self._shown.is_shown:
            self.put_away()
        if isinstance(active, Labels) and is_derived(active):
            return
        if isinstance(active, Labels) and isinstance(active.data, np.ndarray):
            self._choose(active)
        elif self._layer is not None and self._layer not in layers:
            self._choose(None)

    def _choose(self, layer: Any) -> None:
        if layer is self._layer:
            return
        shown = self._shown is not None
        self.put_away()
        self._layer, self._edits = layer, None if layer is None else Edits.of(layer)
        self._following.follow(*(() if self._edits is None else (self._edits.changed,)))
        if self._edits is not None and shown:
            self.show_locked.setChecked(True)
        self.render_state()

    def _on_changed(self) -> None:
        self._soon.start()

    # -- what the user does --------------------------------------------------------------------------------------------

    def _on_show(self, on: bool) -> None:
        if on and self._layer is not None and self._shown is None:
            self._shown = LockLayer(self._viewer.layers, self._layer)
        elif not on:
            self.put_away()

    def _of_label(self) -> np.ndarray:
        label: np.ndarray = np.asarray(self._layer.data) == self._layer.selected_label
        return label

    def _on_lock(self) -> None:
        if self._edits is not None:
            self._edits.lock(self._of_label())

    def _on_free(self) -> None:
        if self._edits is not None:
            self._edits.unlock(self._of_label())

    def _on_free_all(self) -> None:
        if self._edits is not None:
            self._edits.unlock()


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    return button
