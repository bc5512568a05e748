"""Why this voxel? Its gates and class probabilities over the epochs, and the channel gates of its slice."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_scse._napari.picking import Clicks, anatomical_point
from napari_scse._widgets.cards import Choice
from napari_scse._widgets.forms import ChoiceBox
from napari_scse._widgets.jobs import Job, explain, start_job
from napari_scse._widgets.plots import LinePlot, small_plot
from napari_scse.events import Event, Progress

if TYPE_CHECKING:
    from napari_scse._widgets.screening import Screening
    from napari_scse.exploration import Probe

_CLASSES = 5  # that are drawn: the likeliest ones
_HINT = "Switch on, then click a voxel: its gates and its classes' probabilities, epoch by epoch."


class VoxelPanel(QWidget):
    """Listens to clicks while it is switched on; a slice is looked at once, then every click in it is instant."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._screening: Screening | None = None
        self._clicks: Clicks | None = None
        self._probe: Probe | None = None
        self._job: Job | None = None
        self._asked: Screening | None = None
        self._wanted: np.ndarray | None = None
        self.button = QPushButton("Click a voxel")
        self.button.setCheckable(True)
        self.button.setToolTip(_HINT)
        self.text = QLabel(_HINT)
        self.text.setWordWrap(True)
        self.gates = LinePlot("gate")
        self.classes = LinePlot("probability")
        self.site = ChoiceBox()
        self.site.setToolTip("Which block's channel gates are shown: one row a channel, one column an epoch.")
        self.channels = small_plot("epoch", "channel")
        self._picture = pg.ImageItem(axisOrder="row-major")
        self._picture.setColorMap(pg.colormap.get("inferno"))
        self.channels.addItem(self._picture)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self._parts = (self.gates, self.classes, self.site, self.channels)
        for part in (self.button, self.text, *self._parts):
            layout.addWidget(part)
        self.button.toggled.connect(self._on_toggled)
        self.site.picked.connect(self._draw_channels)
        self.show_screening(None)

    def show_screening(self, screening: Screening | None) -> None:
        """Ask the film of `screening`; None: there is none."""
        self._screening, self._probe, self._wanted = screening, None, None
        self.button.setEnabled(screening is not None)
        if screening is None:
            self.button.setChecked(False)
        self._show_parts(False)
        self.text.setText(_HINT)

    def ask(self, world: np.ndarray) -> None:
        """Show the voxel at `world`: (S, A, R) where the scan is shown."""
        if self._screening is None:
            return
        self._wanted = anatomical_point(self._screening.source, world)
        self._answer()

    def _answer(self) -> None:
        screening, point = self._screening, self._wanted
        if screening is None or point is None:
            return
        number = screening.film.number_at(point)
        if self._probe is not None and self._probe.number == number:
            self._draw(self._probe, point)
        elif self._job is None and number is not None:
            self._start(screening, number)
        elif number is None:
            self.text.setText("This voxel is outside of what the network sees.")

    def _start(self, screening: Screening, number: int) -> None:
        from napari_scse.exploration import probe_slice

        self._asked = screening  # not in the job, which napari keeps
        self.text.setText("Looking at this slice …")
        self._job = start_job(
            "a look at one slice",
            partial(probe_slice, screening.film, number),
            on_event=self._on_event,
            on_result=self._on_probe,
            on_error=self._on_error,
            on_finish=self._on_finish,
            shown=False,
        )

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.text.setText(f"Looking at this slice: epoch {event.done} of {event.total} …")

    def _on_probe(self, found: Probe) -> None:
        if self._asked is self._screening:
            self._probe = found

    def _on_error(self, error: Exception) -> None:
        self._wanted = None
        self.text.setText(explain(error, "look at one slice"))

    def _on_finish(self) -> None:
        self._job = self._asked = None
        self._answer()  # the last click may lie in another slice

    def _draw(self, found: Probe, point: np.ndarray) -> None:
        curves = found.at(point)
        if curves is None or self._screening is None:
            self.text.setText("This voxel is outside of what the network sees.")
            return
        names = [structure.name for structure in self._screening.structures]
        last = curves.probabilities[-1]
        right, anterior, superior = point
        self.text.setText(
            f"R {right:.0f}, A {anterior:.0f}, S {superior:.0f} mm: {names[int(last.argmax())]} "
            f"({last.max():.0%} at epoch {curves.epochs[-1]})"
        )
        likely = np.argsort(-curves.probabilities.max(0))[:_CLASSES]
        self.gates.draw(curves.epochs, curves.gates)
        self.classes.draw(curves.epochs, {names[c]: curves.probabilities[:, c] for c in likely})
        site = self.site.value if self.site.value in found.channel else next(iter(found.channel), None)
        self.site.set_choices([Choice(s, f"channel gates of {s}") for s in found.channel], site)
        self._show_parts(True)
        self._draw_channels()

    def _draw_channels(self, *_: object) -> None:
        if self._probe is None or self.site.value is None:
            return
        gates = self._probe.channel[self.site.value]  # (epochs, channels)
        self._picture.setImage(gates.T, levels=(float(gates.min()), float(gates.max()) + 1e-6))
        self._picture.setRect(-0.5, 0, len(gates), gates.shape[1])
        self.channels.getAxis("bottom").setTicks([[*enumerate(map(str, self._probe.epochs))]])

    def _show_parts(self, on: bool) -> None:
        channels = on and self._probe is not None and bool(self._probe.channel)
        for part in self._parts:
            part.setVisible(channels if part in (self.site, self.channels) else on)

    def _on_toggled(self, on: bool) -> None:
        if self._clicks is not None:
            self._clicks.close()
        self._clicks = Clicks(self._viewer, self.ask) if on else None
