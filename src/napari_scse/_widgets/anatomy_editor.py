"""Says what is assumed of a layer without an anatomical affine, and lets the user set it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QWidget

from napari_scse._napari.inputs import Anatomy
from napari_scse._widgets.cards import Choice
from napari_scse._widgets.forms import ChoiceBox

_DIRECTIONS = {"S": "superior", "I": "inferior", "A": "anterior", "P": "posterior", "R": "right", "L": "left"}
_PAIR = {"S": "IS", "I": "IS", "A": "AP", "P": "AP", "R": "LR", "L": "LR"}


class AnatomyEditor(QWidget):
    """Says what is assumed of a layer without an anatomical affine, and lets the user set it."""

    picked = Signal(object)  # the Anatomy

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._anatomy: Anatomy | None = None
        title = QLabel("It does not say where left or up is. Assumed:")
        title.setToolTip("Labels are named left and right by this: check it, and set it where it is wrong.")
        self._names = [QLabel() for _ in range(3)]
        self._directions = [ChoiceBox() for _ in range(3)]
        self._spacings = [QDoubleSpinBox() for _ in range(3)]
        grid = QGridLayout(self)
        grid.setContentsMargins(12, 0, 0, 4)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        grid.addWidget(title, 0, 0, 1, 3)
        for axis, parts in enumerate(self._rows()):
            name, direction, spacing = parts
            spacing.setRange(0.01, 100)
            spacing.setDecimals(3)
            spacing.setSuffix(" mm")
            spacing.setSingleStep(0.1)
            spacing.setMinimumWidth(136)
            spacing.setToolTip("Distance between neighbouring voxels along this axis.")
            direction.picked.connect(partial(self._on_direction, axis))
            spacing.valueChanged.connect(partial(self._on_spacing, axis))
            for column, part in enumerate((name, direction, spacing)):
                grid.addWidget(part, axis + 1, column)

    @property
    def anatomy(self) -> Anatomy | None:
        """What is set."""
        return self._anatomy

    def show_anatomy(self, anatomy: Anatomy, axes: Sequence[str], flat: bool) -> None:
        """Show `anatomy` of a layer with these axis labels; `flat`: a single slice, whose first axis is not shown."""
        self._anatomy = anatomy
        for axis, (name, direction, spacing) in enumerate(self._rows()):
            choices = [Choice(letter, f"to {word}", _tip(axes[axis], word)) for letter, word in _DIRECTIONS.items()]
            name.setText(axes[axis])
            direction.set_choices(choices, anatomy.orientation[axis])
            with QSignalBlocker(spacing):
                spacing.setValue(anatomy.spacing[axis])
            for part in (name, direction, spacing):
                part.setVisible(not (flat and axis == 0))

    def _rows(self) -> list[tuple[QLabel, ChoiceBox, QDoubleSpinBox]]:
        return list(zip(self._names, self._directions, self._spacings, strict=True))

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

    def _on_spacing(self, axis: int, size: float) -> None:
        if self._anatomy is not None:
            first, second, third = (size if n == axis else old for n, old in enumerate(self._anatomy.spacing))
            self._set(Anatomy(self._anatomy.orientation, (first, second, third)))

    def _set(self, anatomy: Anatomy) -> None:
        self._anatomy = anatomy
        for direction, letter in zip(self._directions, anatomy.orientation, strict=True):
            direction.show_value(letter)
        self.picked.emit(anatomy)


def _tip(axis: str, word: str) -> str:
    return f"As the index along {axis} grows, one moves towards the subject's {word}."
