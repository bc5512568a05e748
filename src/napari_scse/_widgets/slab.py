"""How much of a scan is recorded: all of it, or a slab around the slice that is shown."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSpinBox, QWidget

from napari_scse._widgets.cards import Choice
from napari_scse._widgets.forms import ChoiceBox

DEFAULT = 32
_CHOICES = (
    Choice("slab", "slab of", "Only so many slices around the one that is shown."),
    Choice("whole", "whole scan", "Every slice: some minutes without a GPU."),
)


class SlabPicker(QWidget):
    """A combo box and a number of slices; the value is None for the whole scan."""

    picked = Signal(object)  # number of slices, or None

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.box = ChoiceBox()
        self.count = QSpinBox()
        self.count.setRange(1, 512)
        self.count.setValue(DEFAULT)
        self.count.setToolTip("How many slices, at the run's spacing.")
        self.unit = QLabel("slices")
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(self.box, 1)
        line.addWidget(self.count)
        line.addWidget(self.unit)
        self.box.set_choices(_CHOICES, "slab")
        self.box.picked.connect(self._on_picked)
        self.count.valueChanged.connect(self._on_picked)

    @property
    def value(self) -> int | None:
        """How many slices, or None for all."""
        return self.count.value() if self.box.value == "slab" else None

    def show_value(self, value: int | None) -> None:
        """Show `value` without a signal."""
        self.box.show_value("whole" if value is None else "slab")
        for part in (self.count, self.unit):
            part.setVisible(value is not None)
        if value is not None:
            with QSignalBlocker(self.count):
                self.count.setValue(value)

    def _on_picked(self, _: object) -> None:
        self.picked.emit(self.value)
