"""What the Train widget learns from: open layers, folders of scans and labels, or label maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_scse._napari.inputs import LayerInput
from napari_scse._napari.label_source import is_labels
from napari_scse._napari.pairs import LabelledInput, label_refusal, labelled_input
from napari_scse._widgets.cards import Choice
from napari_scse._widgets.fields import Fields, title
from napari_scse._widgets.forms import ChoiceBox, form
from napari_scse._widgets.layer_box import LayerBox
from napari_scse._widgets.layer_picker import LayerPicker
from napari_scse.errors import InputError

LAYERS, FOLDERS, MAPS = "layers", "folders", "maps"
_SOURCES = (
    Choice(LAYERS, "open layers", "Scans and the labels over them; they are kept in the run's folder."),
    Choice(FOLDERS, "folders of scans and labels", "Pairs of files with the same names."),
    Choice(MAPS, "a folder of label maps", "Whole-head label maps: the scans are synthesised from them."),
)
_FIELDS: dict[str, tuple[str, ...]] = {"": (), LAYERS: (), FOLDERS: ("images", "labels"), MAPS: ("label_maps",)}


class DataPanel(QWidget):
    """Chooses where the data come from. The scan is also what the training is watched on."""

    changed = Signal()

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.pairs: list[LabelledInput] = []
        self._fields: Fields | None = None
        self._watching = False
        self.source = ChoiceBox()
        self.source.set_choices(_SOURCES, LAYERS)
        self.picker = LayerPicker(viewer, self)
        self.labels = LayerBox(viewer, self, is_labels, label_refusal)
        self.add = QPushButton("Add another pair")
        self.add.setToolTip("Keep this scan with its labels, and choose the next one.")
        self.forget = QPushButton("Forget")
        self.forget.setToolTip("Forget the pairs that were added.")
        self.listed = QLabel()
        self.listed.setWordWrap(True)
        self._rows = form()
        self._rows.addRow("Learn from", self.source)
        self.picker.add_to(self._rows)
        self._rows.addRow("Labels", self.labels.box)
        self._buttons = QWidget()
        buttons = QHBoxLayout(self._buttons)
        buttons.setContentsMargins(0, 0, 0, 0)
        buttons.addWidget(self.add)
        buttons.addWidget(self.forget)
        self._rows.addRow("", self._buttons)
        self._rows.addRow(self.listed)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(self._rows)
        self.source.picked.connect(self.render)
        self.add.clicked.connect(self._on_add)
        self.forget.clicked.connect(self._on_forget)
        self.picker.changed.connect(self.changed)
        self.labels.picked.connect(self.changed)
        self.render()

    def add_fields(self) -> None:
        """Add the fields of the configuration that name folders; torch is there by now."""
        from napari_scse.training.config import TrainConfig

        self._fields = Fields(TrainConfig, ["images", "labels", "label_maps"])
        self.synthesis = Fields(_Synthesis, ["synthesis"])
        for fields in (self._fields, self.synthesis):
            for name, widget in fields.widgets.items():
                self._rows.addRow(title(name), widget.native)
                widget.changed.connect(self._on_field)
        self.render()

    @property
    def fields(self) -> Fields:
        """The fields that name folders."""
        if self._fields is None:
            raise InputError("The form is not ready yet.")
        return self._fields

    def show_for(self, watching: bool) -> None:
        """Show only the scan, to watch a training on; or everything, to set one up."""
        if watching != self._watching:
            self._watching = watching
            self.render()

    def render(self, *_: object) -> None:
        """Show the rows of the chosen source."""
        kind = "" if self._watching else self.source.value
        self._rows.setRowVisible(self.source, not self._watching)
        for row in (self.labels.box, self._buttons):
            self._rows.setRowVisible(row, kind == LAYERS)
        self.listed.setVisible(kind == LAYERS and bool(self.pairs))
        self.forget.setVisible(bool(self.pairs))
        self.listed.setText("Added: " + ", ".join(f"{pair.source.name} + {pair.labels_name}" for pair in self.pairs))
        if self._fields is not None:
            for name, widget in self._fields.widgets.items():
                self._rows.setRowVisible(widget.native, name in _FIELDS[kind])
            self._rows.setRowVisible(self.synthesis.widgets["synthesis"].native, kind == MAPS)
        self.changed.emit()

    @property
    def obstacle(self) -> str:
        """Why there is nothing to learn from, or empty."""
        if self.source.value != LAYERS or self.pairs:
            return ""
        if self.picker.layer is None:
            return "Open a scan and its labels to begin, or learn from folders."
        return "" if self.labels.layer is not None else "Paint or open labels over the scan to learn from."

    def pair(self, through: float = 1.0) -> LabelledInput:
        """Return the chosen scan with its labels; raises `InputError` where they do not fit."""
        if self.labels.layer is None:
            raise InputError(self.obstacle or "Choose a labels layer.")
        return labelled_input(self.picker.input(through), self.picker.layer, self.labels.layer)

    def all_pairs(self, through: float = 1.0) -> list[LabelledInput]:
        """Return the pairs that were added, and the chosen one if it is none of them; raises `InputError`."""
        if self.pairs and (self.picker.layer is None or self.labels.layer is None):
            return list(self.pairs)
        chosen = self.pair(through)
        known = any(one.data is chosen.data for one in self.pairs)
        return [*self.pairs, *([] if known else [chosen])]

    def folders(self) -> dict[str, Any]:
        """Return the folders, and how far synthetic scans may stray, as the configuration has them."""
        from napari_scse.synthesis import SynthesisConfig

        chosen: dict[str, Any] = {name: self.fields[name] for name in _FIELDS[self.source.value]}
        missing = [title(name).lower() for name, value in chosen.items() if value is None]
        if missing:
            raise InputError(f"Choose the folder of {' and of '.join(missing)}.")
        if self.source.value == MAPS:
            chosen["synthesis"] = SynthesisConfig.parse(self.synthesis["synthesis"])
        return chosen

    def watched(self) -> tuple[LayerInput, LabelledInput | None] | None:
        """Return the scan to watch the training on, with its labels where it has some; None: there is none."""
        if self.picker.layer is None:
            return None
        source = self.picker.input()
        if self.source.value != LAYERS or self.labels.layer is None:
            return source, None
        try:
            return source, self.pair()
        except InputError:
            return source, None

    def _on_add(self) -> None:
        try:
            self.pairs = self.all_pairs()
        except InputError as error:
            self.listed.setText(str(error))
            self.listed.setVisible(True)
            return
        self.render()

    def _on_forget(self) -> None:
        self.pairs = []
        self.render()

    def _on_field(self, *_: object) -> None:
        self.changed.emit()


@dataclass(frozen=True)
class _Synthesis:
    """How synthetic scans differ from the defaults.

    Attributes
    ----------
    synthesis
        How far synthetic scans stray, where not as usual: texture=0.1, contrast=1.5, coupling=0:0.95 …
    """

    synthesis: str = ""
