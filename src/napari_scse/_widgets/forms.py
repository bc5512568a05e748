"""Small Qt parts of the widgets: combo boxes that say why a choice is closed, chips, an anatomy editor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QBrush, QColor
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_scse._napari.inputs import Anatomy
from napari_scse._widgets.choices import Choice

_CLOSED = QColor(140, 140, 140)
_DIRECTIONS = {"S": "superior", "I": "inferior", "A": "anterior", "P": "posterior", "R": "right", "L": "left"}
_PAIR = {"S": "IS", "I": "IS", "A": "AP", "P": "AP", "R": "LR", "L": "LR"}


class ChoiceBox(QComboBox):
    """A combo box of `Choice`s; closed ones are greyed out and say why."""

    picked = Signal(object)  # the value, when the user (or a test) changes it

    def __init__(self, empty: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choices: list[Choice] = []
        self._empty = empty
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.currentIndexChanged.connect(self._on_index)
        self.set_choices([], None)

    @property
    def choices(self) -> list[Choice]:
        """What is offered at present."""
        return self._choices

    @property
    def value(self) -> Any:
        """The chosen value, or None."""
        index = self.currentIndex()
        return self._choices[index].value if 0 <= index < len(self._choices) else None

    def set_choices(self, choices: Iterable[Choice], value: Any) -> None:
        """Offer `choices` and show `value`, without a signal."""
        self._choices = list(choices)
        with QSignalBlocker(self):
            self.clear()
            for row, choice in enumerate(self._choices):
                self.addItem(choice.text if choice.is_open else f"{choice.text}  –  {choice.reason}")
                self.setItemData(row, choice.tooltip or choice.reason, Qt.ItemDataRole.ToolTipRole)
                if not choice.is_open:
                    self.model().item(row).setEnabled(False)
                    self.setItemData(row, QBrush(_CLOSED), Qt.ItemDataRole.ForegroundRole)
            if not self._choices and self._empty:
                self.setPlaceholderText(self._empty)
        self.setEnabled(bool(self._choices))
        self.show_value(value)

    def show_value(self, value: Any) -> None:
        """Show `value` without a signal; nothing is shown where it is not among the choices."""
        index = next((row for row, choice in enumerate(self._choices) if _same(choice.value, value)), -1)
        with QSignalBlocker(self):
            self.setCurrentIndex(index)
        self.setToolTip(self._choices[index].tooltip if index >= 0 else self._empty)

    def _on_index(self, index: int) -> None:
        if 0 <= index < len(self._choices):
            self.setToolTip(self._choices[index].tooltip)
            self.picked.emit(self._choices[index].value)


class Chips(QWidget):
    """A grid of small toggle buttons, any number of which can be on."""

    picked = Signal(tuple)  # the values that are on, in order

    def __init__(self, columns: int = 4, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._columns = columns
        self._buttons: dict[Any, QPushButton] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(3)

    def set_choices(self, choices: Sequence[Choice], values: Iterable[Any]) -> None:
        """Offer `choices` with `values` on, without a signal."""
        for button in self._buttons.values():
            self._grid.removeWidget(button)
            button.setParent(None)
            button.deleteLater()
        self._buttons = {}
        for place, choice in enumerate(choices):
            button = QPushButton(choice.text, self)
            button.setCheckable(True)
            button.setEnabled(choice.is_open)
            button.setToolTip(choice.tooltip or choice.reason)
            button.setMinimumWidth(30)
            button.toggled.connect(self._on_toggled)
            self._grid.addWidget(button, place // self._columns, place % self._columns)
            self._buttons[choice.value] = button
        self.show_values(values)

    @property
    def values(self) -> tuple[Any, ...]:
        """The values that are on, in the order of the choices."""
        return tuple(value for value, button in self._buttons.items() if button.isChecked())

    def show_values(self, values: Iterable[Any]) -> None:
        """Turn exactly `values` on, without a signal."""
        on = set(values)
        for value, button in self._buttons.items():
            with QSignalBlocker(button):
                button.setChecked(value in on)

    def button(self, value: Any) -> QPushButton:
        """Return the button of `value`."""
        return self._buttons[value]

    def _on_toggled(self, checked: bool) -> None:
        self.picked.emit(self.values)


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
        for axis, (name, direction, spacing) in enumerate(zip(self._names, self._directions, self._spacings, strict=True)):
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

    def _on_spacing(self, value: float) -> None:
        if self._anatomy is not None:
            first, second, third = (box.value() for box in self._spacings)
            self._set(Anatomy(self._anatomy.orientation, (first, second, third)))

    def _set(self, anatomy: Anatomy) -> None:
        self._anatomy = anatomy
        for direction, letter in zip(self._directions, anatomy.orientation, strict=True):
            direction.show_value(letter)
        self.picked.emit(anatomy)


def form(parent: QWidget | None = None) -> QFormLayout:
    """Return an empty form in the manner of all our widgets."""
    layout = QFormLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setHorizontalSpacing(10)
    layout.setVerticalSpacing(6)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
    return layout


def collapsed(title: str, content: QFormLayout) -> QCollapsible:
    """Return `content` in a part that is folded up under `title`."""
    part = QCollapsible(title)
    inner = QWidget()
    inner.setLayout(content)
    content.setContentsMargins(8, 2, 0, 2)
    part.setContent(inner)
    part.setDuration(0)
    part.collapse(animate=False)
    return part


def column(parent: QWidget, *parts: QWidget | QFormLayout) -> None:
    """Lay `parts` out below each other in `parent`, with the margins of all our widgets."""
    layout = QVBoxLayout(parent)
    layout.setContentsMargins(8, 8, 8, 8)
    layout.setSpacing(6)
    for part in parts:
        layout.addLayout(part) if isinstance(part, QFormLayout) else layout.addWidget(part)


def _tip(axis: str, word: str) -> str:
    return f"As the index along {axis} grows, one moves towards the subject's {word}."


def _same(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and bool(a == b))
