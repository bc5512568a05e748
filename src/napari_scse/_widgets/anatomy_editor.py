"""Says what is assumed of a layer without an anatomical affine, and lets the user set it."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QFormLayout, QHBoxLayout, QLabel, QWidget

from napari_scse._napari.inputs import Anatomy
from napari_scse._widgets.choices import Choice
from napari_scse._widgets.forms import ChoiceBox

_DIRECTIONS = {"S": "superior", "I": "inferior", "A": "anterior", "P": "posterior", "R": "right", "L": "left"}
_PAIR = {"S": "IS", "I": "IS", "A": "AP", "P": "AP", "R": "LR", "L": "LR"}


class AnatomyEditor(QWidget):
    """Says what is assumed of a layer without an anatomical affine, and lets the user set it."""

    picked = Signal(object)  # the Anatomy

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._anatomy: Anatomy | None = None
        self._flat = False
        self._title = QLabel()
        self._title.setWordWrap(True)
        self._names = [QLabel(), QLabel(), QLabel()]
        self._directions = [ChoiceBox() for _ in range(3)]
        self._spacings = [QDoubleSpinBox() for _ in range(3)]
        self._rows = []
        form = QFormLayout(self)
        form.setContentsMargins(10, 4, 0, 4)
        form.setVerticalSpacing(4)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow(self._title)
        for axis, (name, direction, spacing) in enumerate(
            zip(self._names, self._directions, self._spacings, strict=True)
        ):
            spacing.setRange(0.01, 100)
            spacing.setDecimals(3)
            spacing.setSuffix(" mm")
            spacing.setSingleStep(0.1)
            spacing.setToolTip("Distance between neighbouring voxels along this axis.")
            direction.picked.connect(lambda letter, axis=axis: self._on_direction(axis, letter))
            spacing.valueChanged.connect(self._on_spacing)
            row = QWidget()
            line = QHBoxLayout(row)
            line.setContentsMargins(0, 0, 0, 0)
            line.addWidget(direction, 3)
            line.addWidget(spacing, 2)
            form.addRow(name, row)
            self._rows.append((name, row))

    @property
    def anatomy(self) -> Anatomy | None:
        """What is set."""
        return self._anatomy

    def show_anatomy(self, anatomy: Anatomy, axes: Sequence[str], flat: bool) -> None:
        """Show `anatomy` of a layer with these axis labels; `flat`: a single slice, whose first axis is not shown."""
        self._anatomy, self._flat = anatomy, flat
        kind = "slice" if flat else "layer"
        self._title.setText(f"This {kind} does not say where left or up is. Assumed, and yours to change:")
        for axis in range(3):
            choices = [Choice(letter, f"to {word}", _tip(axes[axis], word)) for letter, word in _DIRECTIONS.items()]
            self._names[axis].setText(axes[axis])
            self._directions[axis].set_choices(choices, anatomy.orientation[axis])
            with QSignalBlocker(self._spacings[axis]):
                self._spacings[axis].setValue(anatomy.spacing[axis])
            for part in self._rows[axis]:
                part.setVisible(not (flat and axis == 0))

    def _on_direction(self, axis: int, letter: str) -> None:
        """Give `letter` to `axis`; the axis that held its pair takes over what this one had."""
        if self._anatomy is None:
            return
        letters = list(self._anatomy.orientation)
        for other in range(3):
            if other != axis and _PAIR[letters[other]] == _PAIR[letter]:
                letters[other] = letters[axis]
        letters[axis] = letter
        self._set(Anatomy("".join(letters), self._anatomy.spacing))

    def _on_spacing(self, *_: object) -> None:
        if self._anatomy is not None:
            first, second, third = (box.value() for box in self._spacings)
            self._set(Anatomy(self._anatomy.orientation, (first, second, third)))

    def _set(self, anatomy: Anatomy) -> None:
        self._anatomy = anatomy
        for direction, letter in zip(self._directions, anatomy.orientation, strict=True):
            direction.show_value(letter)
        self.picked.emit(anatomy)


def _tip(axis: str, word: str) -> str:
    return f"As the index along {axis} grows, one moves towards the subject's {word}."
