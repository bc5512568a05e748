"""Small Qt parts of the widgets: combo boxes that say why a choice is closed, chips, forms that fold up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from qtpy.QtCore import QEvent, QObject, QSignalBlocker, QSize, Qt, Signal
from qtpy.QtGui import QBrush, QColor, QStandardItem, QStandardItemModel
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QFrame,
    QGridLayout,
    QLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_scse._widgets.cards import Choice

MARGIN = 8  # px around a dock
_CLOSED = QColor(140, 140, 140)


class ChoiceBox(QComboBox):
    """A combo box of `Choice`s; closed ones are greyed out and say why."""

    picked = Signal(object)  # the value, when the user (or a test) changes it

    def __init__(self, empty: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choices: list[Choice] = []
        self._empty = empty
        self._items = QStandardItemModel(self)
        self.setModel(self._items)
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
            self._items.clear()
            for choice in self._choices:
                item = QStandardItem(choice.text if choice.is_open else f"{choice.text}  –  {choice.reason}")
                item.setToolTip(choice.tooltip or choice.reason)
                if not choice.is_open:
                    item.setEnabled(False)
                    item.setForeground(QBrush(_CLOSED))
                self._items.appendRow(item)
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
            button.setMinimumWidth(22)
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

    def _on_toggled(self, *_: object) -> None:
        self.picked.emit(self.values)


def form(parent: QWidget | None = None) -> QFormLayout:
    """Return an empty form in the manner of all our widgets."""
    layout = QFormLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setHorizontalSpacing(10)
    layout.setVerticalSpacing(6)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
    return layout


def stacked(*parts: QWidget) -> QVBoxLayout:
    """Return a layout with `parts` below each other."""
    layout = QVBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        layout.addWidget(part)
    return layout


class Folded(QWidget):
    """A form or a stack of widgets that is folded up under a title, and unfolds when that is clicked."""

    def __init__(self, title: str, content: QLayout, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.toggle = QToolButton()
        self.toggle.setText(f" {title}")
        self.toggle.setCheckable(True)
        self.toggle.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.toggle.setAutoRaise(True)
        self.toggle.setCursor(Qt.CursorShape.PointingHandCursor)
        self.toggle.setStyleSheet(
            "QToolButton, QToolButton:checked { background: transparent; border: none; padding: 0px; }"
        )
        self.inner = QWidget()
        self.inner.setLayout(content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.toggle)
        layout.addWidget(self.inner)
        self.toggle.toggled.connect(self.unfold)
        self.unfold(False)

    def unfold(self, on: bool) -> None:
        """Show or hide the form."""
        self.toggle.setArrowType(Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow)
        self.inner.setVisible(on)


def line() -> QFrame:
    """Return a thin line between two sections."""
    rule = QFrame()
    rule.setFixedHeight(1)
    rule.setStyleSheet("background-color: rgba(128, 128, 128, 70);")
    return rule


def column(parent: QWidget, *parts: QWidget | QFormLayout) -> QVBoxLayout:
    """Lay `parts` out below each other in `parent`, with the margins of all our widgets; return the layout."""
    layout = QVBoxLayout(parent)
    layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
    layout.setSpacing(8)
    for part in parts:
        if isinstance(part, QFormLayout):
            layout.addLayout(part)
        else:
            layout.addWidget(part)
    layout.addStretch(1)
    return layout


def scrolled(parent: QWidget, *parts: QWidget | QFormLayout) -> None:
    """Lay `parts` out as `column` does, in an area that scrolls where the window is too low for them."""
    inner, area = QWidget(), _ScrolledColumn()
    column(inner, *parts)
    area.setWidget(inner)
    layout = QVBoxLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(area)


class _ScrolledColumn(QScrollArea):
    """An area that scrolls up and down only, and is never narrower than what is in it and the scroll bar."""

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's
        """Return the width of what is in it; any height will do."""
        inner, bar, hint = self.widget(), self.verticalScrollBar(), super().minimumSizeHint()
        if inner is None or bar is None:
            return hint
        return QSize(inner.minimumSizeHint().width() + bar.sizeHint().width(), hint.height())

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's
        """Ask for another width when what is in it needs one."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)


class Follower(Protocol):
    """Something that follows a viewer until it is closed."""

    def close(self) -> None:
        """Stop following."""


def until_destroyed(parent: QObject, *followers: Follower) -> None:
    """Keep `followers` alive as long as `parent`, and close them with it."""
    for follower in followers:
        parent.destroyed.connect(_Closing(follower))  # a bound method would be held weakly


class _Closing:
    """Closes a follower when it is called.

    A widget can outlive its Python object for a moment: the collector then has taken this one apart already, together
    with the follower. (The call of a `functools.partial` in that state ends the process.)
    """

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    def __call__(self, *_: object) -> None:
        follower: Follower | None = getattr(self, "_follower", None)
        if follower is not None:
            follower.close()


def _same(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and bool(a == b))
