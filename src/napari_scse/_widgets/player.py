"""How maps are looked at: played epoch by epoch, with percentile or fixed limits, side by side or not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from qtpy.QtCore import QSignalBlocker, QTimer
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_scse._napari.links import Links
from napari_scse._napari.maps import is_map, show_epoch, show_limits, shown_epoch, top_maps
from napari_scse._napari.view import toggle_labels
from napari_scse._widgets.forms import until_destroyed

_PACE = 700  # ms an epoch is shown


class HasRange(Protocol):
    """A widget's state that says whether maps are shown from 0 to 1."""

    full_range: bool

    @property
    def events(self) -> Any:
        """Its psygnal events."""


class MapsBar(QWidget):
    """Controls of the maps layers in the viewer; disabled while there are none."""

    def __init__(self, viewer: Any, state: HasRange, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._state = state
        self.play = QPushButton("▶  Play epochs")
        self.play.setCheckable(True)
        self.play.setToolTip("Step through the epochs, again and again.")
        self.full_range = QCheckBox("limits 0 to 1")
        self.full_range.setToolTip(
            "Show all gates between 0 (shut) and 1 (open). Off: between the site's 1st and 99th percentile."
        )
        self.grid = QCheckBox("side by side")
        self.grid.setToolTip("Show every visible layer in a field of its own.")
        self._timer = QTimer(self)
        self._timer.setInterval(_PACE)
        self._timer.timeout.connect(self.step)
        line, column = QHBoxLayout(), QVBoxLayout(self)
        line.addWidget(self.full_range)
        line.addWidget(self.grid)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(5)
        column.addWidget(self.play)
        column.addLayout(line)
        self.play.toggled.connect(self._on_play)
        self.full_range.toggled.connect(partial(setattr, state, "full_range"))
        self.grid.toggled.connect(self._on_grid)
        layers = viewer.layers.events
        until_destroyed(
            self,
            Links(self.render, layers.inserted, layers.removed, viewer.canvas.grid.events.enabled),
            Links(self._on_full_range, state.events.full_range),
        )
        self.render()

    def render(self, *_: object) -> None:
        """Show what holds in the viewer."""
        there = any(is_map(layer) for layer in self._viewer.layers)
        for part in (self.play, self.full_range):
            part.setEnabled(there)
        if not there:
            self.play.setChecked(False)
        with QSignalBlocker(self.grid):
            self.grid.setChecked(self._viewer.canvas.grid.enabled)

    @property
    def keyed(self) -> dict[str, Callable[[], None]]:
        """What can be done with keys."""
        return {
            "next_epoch": self.step,
            "previous_epoch": partial(self.step, -1),
            "play": self.play.toggle,
            "labels": partial(toggle_labels, self._viewer),
        }

    def step(self, by: int = 1) -> None:
        """Show the next epoch of the top maps (or that so many away); after the last comes the first."""
        dims, layer = self._viewer.dims, top_maps(self._viewer)
        axis = dims.ndim - 4
        if layer is not None:
            show_epoch(self._viewer, layer, (shown_epoch(layer, dims.point) + by) % layer.data.shape[0])
        elif axis >= 0:
            dims.set_current_step(axis, (dims.current_step[axis] + by) % dims.nsteps[axis])

    def stop(self) -> None:
        """Play no more."""
        self.play.setChecked(False)

    def _on_play(self, on: bool) -> None:
        self.play.setText("■  Stop" if on else "▶  Play epochs")
        if on:
            self._timer.start()
        else:
            self._timer.stop()

    def _on_full_range(self, on: bool) -> None:
        with QSignalBlocker(self.full_range):
            self.full_range.setChecked(on)
        for layer in self._viewer.layers:
            if is_map(layer):
                show_limits(layer, on)

    def _on_grid(self, on: bool) -> None:
        self._viewer.canvas.grid.enabled = on
        for layer in self._viewer.layers:
            layer.name_overlay.visible = on
        self._viewer.fit_to_view()
