"""Which part of a scan to segment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QLabel, QWidget

from napari_scse._napari.inputs import LayerInput
from napari_scse._napari.looking import box_of_shapes, field_of_view, slab
from napari_scse._widgets.cards import Choice
from napari_scse._widgets.forms import ChoiceBox
from napari_scse.errors import InputError

if TYPE_CHECKING:
    from napari_scse.inference import Region

WHOLE, VIEW, SLAB, SHAPES = "whole", "view", "slab", "shapes"
_CHOICES = (
    Choice(WHOLE, "whole volume"),
    Choice(VIEW, "field of view", "What the canvas shows, in all slices."),
    Choice(SLAB, "slab", "The slices within some millimetres of the one on screen."),
    Choice(SHAPES, "box of shapes", "The box around the selected shapes of a Shapes layer, in all slices."),
)


class RegionBox(QWidget):
    """A combo box, and a number of millimetres that is shown for a slab."""

    picked = Signal(object)  # a kind
    sized = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self.kind = ChoiceBox()
        self.kind.set_choices(_CHOICES, WHOLE)
        self.kind.setMinimumContentsLength(4)
        self.reach = QDoubleSpinBox()
        self.reach.setRange(0, 500)
        self.reach.setDecimals(0)
        self.reach.setPrefix("± ")
        self.unit = QLabel("mm")  # a suffix would not be seen: napari's boxes are narrow
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.kind, 1)
        layout.addWidget(self.reach)
        layout.addWidget(self.unit)
        self.kind.picked.connect(self.picked)
        self.reach.valueChanged.connect(self.sized)

    def show_region(self, kind: str, millimetres: float) -> None:
        """Show a choice, without a signal."""
        self.kind.show_value(kind)
        with QSignalBlocker(self.reach):
            self.reach.setValue(millimetres)
        for part in (self.reach, self.unit):
            part.setVisible(kind == SLAB)


def region_of(viewer: Any, source: LayerInput, layer: Any, kind: str, millimetres: float) -> Region | None:
    """Return the chosen region as the viewer stands now; None for the whole volume; raises `InputError`."""
    if kind == SLAB:
        found = slab(viewer, source, millimetres)
        if found is None:
            raise InputError("A slab lies around the slice on screen: switch to the 2-D view of a volume.")
        return found
    if kind == VIEW:
        return field_of_view(viewer, source, layer)
    return box_of_shapes(viewer, source) if kind == SHAPES else None
