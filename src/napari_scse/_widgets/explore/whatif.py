"""What if? Gates switched, inverted or painted, and the labels of the shown slice that follow at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QSpinBox, QVBoxLayout, QWidget

from napari_scse._napari.links import Links
from napari_scse._napari.overrides import PaintedGate, ReplacedLabels, reference_classes, references
from napari_scse._widgets.cards import Choice
from napari_scse._widgets.forms import ChoiceBox, form, until_destroyed
from napari_scse._widgets.jobs import Job, explain, start_job
from napari_scse.events import Event

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_scse._widgets.screening import Screening
    from napari_scse.exploration import WhatIf

_KINDS = (
    Choice("trained", "as trained"),
    Choice("off", "off", "The gate is 1 everywhere: nothing is recalibrated."),
    Choice("mean", "mean", "Its mean over the slice; of a channel gate over the channels."),
    Choice("inverted", "inverted", "1 minus the gate."),
)
_PAINTED = Choice("painted", "painted", "Paint levels from 0 (shut) to 100 (open) with napari's brush.")


class WhatIfPanel(QWidget):
    """One box for each gate; every change labels the shown slice anew, without touching the run."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._screening: Screening | None = None
        self._job: Job | None = None
        self._asked: tuple[Screening, int] | None = None
        self._again = False
        self._layer: ReplacedLabels | None = None
        self._painted: dict[str, PaintedGate] = {}
        self.boxes: dict[str, ChoiceBox] = {}
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self.level = QSpinBox()
        self.level.setRange(0, 100)
        self.level.setSuffix(" %")
        self.level.setToolTip("The gate that the brush paints.")
        self.reference = ChoiceBox("none")
        self.reference.setToolTip("Labels to compare with, by Dice in the shown slice.")
        self.reset = QPushButton("All as trained")
        self.text = QLabel()
        self.text.setWordWrap(True)
        rows = form()
        rows.addRow("Painted level", self.level)
        rows.addRow("Reference", self.reference)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addLayout(self._grid)
        layout.addLayout(rows)
        layout.addWidget(self.reset)
        layout.addWidget(self.text)
        self.level.valueChanged.connect(self._on_level)
        self.reference.picked.connect(self.ask)
        self.reset.clicked.connect(self.clear)
        layers = viewer.layers.events
        until_destroyed(self, Links(self._on_layers, layers.inserted, layers.removed, layers.renamed))
        self.show_screening(None)

    def show_screening(self, screening: Screening | None) -> None:
        """Ask the film of `screening`; None: there is none."""
        self._let_go()
        self._screening = screening
        self.setEnabled(screening is not None)
        self._make_boxes(() if screening is None else screening.gates)
        self.text.setText("" if screening is not None else "Press Explore first.")
        if screening is not None:
            screening.looked.connect(self.ask)
        self._on_layers()

    @property
    def overrides(self) -> dict[str, Any]:
        """What every changed gate is replaced by, for the shown slice."""
        screening = self._screening
        if screening is None:
            return {}
        chosen = {site: box.value for site, box in self.boxes.items() if box.value not in (None, "trained")}
        return {
            site: self._painted[site].levels(screening.view.number) if kind == "painted" else kind
            for site, kind in chosen.items()
        }

    def clear(self) -> None:
        """Put every gate back."""
        for box in self.boxes.values():
            box.show_value("trained")
        self.ask()

    def ask(self, *_: object) -> None:
        """Label the shown slice with the gates as they are set now; only the last wish counts."""
        screening = self._screening
        if screening is None:
            return
        if not self.overrides:
            self.text.setText("")
            self._remove_result()
        elif self._job is not None:
            self._again = True
        else:
            self._start(screening)

    # -- the worker ----------------------------------------------------------------------------------------------------

    def _start(self, screening: Screening) -> None:
        view = screening.view
        self._asked = screening, view.number  # not in the job, which napari keeps
        self._job = start_job(
            "labels with other gates",
            partial(_replace, screening, view.epoch, view.number, self.overrides),
            on_result=self._on_result,
            on_error=self._on_error,
            on_finish=self._on_finish,
            shown=False,
        )

    def _on_result(self, found: WhatIf) -> None:
        if self._asked is None or self._asked[0] is not self._screening or not self.overrides:
            return
        screening, number = self._asked
        if self._layer is None or not self._layer.is_shown:
            self._layer = ReplacedLabels(self._viewer, screening.film, screening.source, screening.structures)
        self._layer.show(number, found.labels)
        self.text.setText(f"{found.changed} pixels of this slice have another label.{self._agreement(number, found)}")

    def _agreement(self, number: int, found: WhatIf) -> str:
        layer, screening = self.reference.value, self._screening
        if layer is None or screening is None:
            return ""
        truth = reference_classes(layer, screening.film, screening.source, screening.structures, number)
        before, after = (_mean_dice(labels, truth) for labels in (found.trained, found.labels))
        return f" Dice against “{layer.name}”, mean over its structures: {before:.3f} → {after:.3f}."

    def _on_error(self, error: Exception) -> None:
        self.text.setText(explain(error, "labels with other gates"))

    def _on_finish(self) -> None:
        self._job = self._asked = None
        again, self._again = self._again, False
        if again:
            self.ask()

    # -- what the user does --------------------------------------------------------------------------------------------

    def _make_boxes(self, sites: tuple[str, ...]) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        self.boxes = {}
        painted = () if self._screening is None else self._screening.film.maps.sites
        blocks = list(dict.fromkeys(site[1:] for site in sites))
        kinds = [(letter, title) for letter, title in (("s", "spatial"), ("c", "channel")) if _has(sites, letter)]
        for column, (_, title) in enumerate(kinds):
            self._grid.addWidget(QLabel(title), 0, column + 1)
        for row, block in enumerate(blocks, start=1):
            self._grid.addWidget(QLabel(block), row, 0)
            for column, (letter, _) in enumerate(kinds):
                site = f"{letter}{block}"
                if site in sites:
                    box = ChoiceBox()
                    box.set_choices((*_KINDS, _PAINTED) if letter == "s" and site in painted else _KINDS, "trained")
                    box.picked.connect(partial(self._on_kind, site))
                    self._grid.addWidget(box, row, column + 1)
                    self.boxes[site] = box

    def _on_kind(self, site: str, kind: str) -> None:
        screening = self._screening
        if screening is None:
            return
        if kind == "painted":
            if self._viewer.canvas.grid.enabled:  # one paints over the scan, not beside it
                self._viewer.canvas.grid.enabled = False
                self._viewer.fit_to_view()
            known = self._painted.get(site)
            if known is None or not known.is_shown:
                self._painted[site] = PaintedGate(self._viewer, screening.film, screening.source, site, self.ask)
                self._on_level(self.level.value())
        self.ask()

    def _on_level(self, level: int) -> None:
        for painted in self._painted.values():
            painted.layer.selected_label = level + 1
        self.level.setValue(level)

    def _on_layers(self, *_: object) -> None:
        offered = [Choice(layer, layer.name) for layer in references(self._viewer)]
        self.reference.set_choices([Choice(None, "none"), *offered], self.reference.value)
        for site, painted in list(self._painted.items()):
            if not painted.is_shown:
                painted.close()
                del self._painted[site]
                if site in self.boxes:
                    self.boxes[site].show_value("trained")

    def _remove_result(self) -> None:
        layer, self._layer = self._layer, None
        if layer is not None:
            layer.remove()

    def _let_go(self) -> None:
        """Take away what belongs to a film that is left; what was painted stays as a layer."""
        for painted in self._painted.values():
            painted.close()
        self._painted = {}
        self._remove_result()


def _replace(
    screening: Screening, epoch: int, number: int, overrides: dict[str, Any]
) -> Generator[Event, None, WhatIf]:
    from napari_scse.exploration import what_if

    yield from ()
    return what_if(screening.film, epoch, number, overrides)


def _has(sites: tuple[str, ...], letter: str) -> bool:
    return any(site.startswith(letter) for site in sites)


def _mean_dice(labels: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the structures of `truth`, both class indices."""
    present = [c for c in np.unique(truth).tolist() if c]
    scores = [
        2
        * np.count_nonzero((labels == c) & (truth == c))
        / (np.count_nonzero(labels == c) + np.count_nonzero(truth == c))
        for c in present
    ]
    return float(np.mean(scores)) if scores else float("nan")
