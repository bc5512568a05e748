"""The table of structures and their numbers: sorted as one likes, with colours, and with a box to hide each."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QSize, QSortFilterProxyModel, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from napari_scse.evaluation.numbers import StructureNumbers, intensity_decimals

_SEEN = 0  # column of the boxes
# title, attribute, decimals, what it is; none for whole numbers, words and what depends on the image
_COLUMNS: tuple[tuple[str, str, int | None, str], ...] = (
    ("", "", None, "Whether it can be seen."),
    ("Structure", "name", None, "Click to go there."),
    ("Voxels", "voxels", None, "How many voxels it has."),
    ("mL", "ml", 2, "Its volume."),
    ("%", "share_percent", 1, "Its part of all labelled voxels."),
    ("L–R %", "asymmetry_percent", 1, "(L − R) / ((L + R) / 2): positive where the left one is larger."),
    ("Mean", "mean", None, "Mean of the image inside of it."),
    ("SD", "sd", None, "Standard deviation of the image inside of it."),
    ("Dice", "dice", 3, "Overlap with the reference."),
)
_IMAGE, _REFERENCE = ("mean", "sd"), ("dice",)
_WIDTHS = (26, 222, 58, 56, 42, 52, 50, 50, 48)  # px
_PART = 0.42  # of the screen that the table asks for at most
_EDGES = 22  # px: the frame and a scroll bar
SORT_ROLE = Qt.ItemDataRole.UserRole


class NumbersModel(QAbstractTableModel):
    """Rows of `StructureNumbers`; a box in each says whether the structure can be seen."""

    hidden_picked = Signal(object)  # the values that are hidden now: a frozenset

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[StructureNumbers, ...] = ()
        self._colors: Mapping[int, QColor] = {}
        self._hidden: frozenset[int] = frozenset()
        self._decimals = 1  # of intensities

    def show(self, rows: Sequence[StructureNumbers], colors: Mapping[int, QColor], hidden: Iterable[int]) -> None:
        """Show `rows`; where they are of the same structures as before, only what is in them changes."""
        same = [one.value for one in rows] == [one.value for one in self.rows]
        if not same:
            self.beginResetModel()
        self.rows, self._colors, self._hidden = tuple(rows), colors, frozenset(hidden)
        self._decimals = intensity_decimals(self.rows)
        if not same:
            self.endResetModel()
        elif self.rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.rows) - 1, len(_COLUMNS) - 1))

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008, N802 - Qt's
        """Return how many structures there are."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008, N802 - Qt's
        """Return how many columns there are."""
        return 0 if parent.isValid() else len(_COLUMNS)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a cell shows."""
        row = self.rows[index.row()]
        _, attribute, decimals, _ = _COLUMNS[index.column()]
        decimals = self._decimals if attribute in _IMAGE else decimals
        number = row.value not in self._hidden if index.column() == _SEEN else getattr(row, attribute)
        if role == Qt.ItemDataRole.DisplayRole:
            return "" if index.column() == _SEEN else shown(number, decimals)
        if role == SORT_ROLE:
            return -math.inf if isinstance(number, float) and math.isnan(number) else number
        if role == Qt.ItemDataRole.CheckStateRole and index.column() == _SEEN:
            return Qt.CheckState.Checked if number else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.DecorationRole and attribute == "name":
            return self._colors.get(row.value)
        if role == Qt.ItemDataRole.ToolTipRole and attribute == "name":
            return f"{row.name} ({row.value})"
        if role == Qt.ItemDataRole.TextAlignmentRole and attribute not in ("", "name"):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:  # noqa: N802
        """Hide or show a structure."""
        if role != Qt.ItemDataRole.CheckStateRole or index.column() != _SEEN:
            return False
        one = {self.rows[index.row()].value}
        seen = Qt.CheckState(value) == Qt.CheckState.Checked
        self.hidden_picked.emit(self._hidden - one if seen else self._hidden | one)
        return True

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Return what can be done with a cell."""
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        return flags | Qt.ItemFlag.ItemIsUserCheckable if index.column() == _SEEN else flags

    def headerData(  # noqa: N802 - Qt's name
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return a column's title, or what it means."""
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return _COLUMNS[section][0]
            if role == Qt.ItemDataRole.ToolTipRole:
                return _COLUMNS[section][3]
        return None


class NumbersTable(QTableView):
    """The view of a `NumbersModel`."""

    gone_to = Signal(int)  # the value of a structure whose row was clicked

    def __init__(self, model: NumbersModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.numbers = model
        self.sorted = QSortFilterProxyModel(self)
        self.sorted.setSourceModel(model)
        self.sorted.setSortRole(SORT_ROLE)
        self.setModel(self.sorted)
        self.setSortingEnabled(True)
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)  # as the values are
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTextElideMode(
            Qt.TextElideMode.ElideMiddle
        )  # Left-Cerebellum-Cortex is not Left-Cerebellum-White-Matter
        self.setMinimumHeight(220)
        heads, rows = self.horizontalHeader(), self.verticalHeader()
        if heads is not None and rows is not None:
            heads.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
            heads.setMinimumSectionSize(24)
            rows.hide()
            rows.setDefaultSectionSize(20)
        for column, width in enumerate(_WIDTHS):
            self.setColumnWidth(column, width)
        self.clicked.connect(self._on_clicked)
        self.activated.connect(self._on_clicked)

    def show_columns(self, image: bool, reference: bool) -> None:
        """Show the columns that need an image or a reference, or do not."""
        for column, (_, attribute, _, _) in enumerate(_COLUMNS):
            absent = (attribute in _IMAGE and not image) or (attribute in _REFERENCE and not reference)
            self.setColumnHidden(column, absent)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's
        """Return a width in which every column is seen, on a large screen; the dock may be made narrower."""
        screen = self.screen()
        room = sum(_WIDTHS) if screen is None else round(_PART * screen.availableGeometry().width())
        return QSize(min(sum(_WIDTHS) + _EDGES, room), super().sizeHint().height())

    @property
    def hidden_attributes(self) -> set[str]:
        """The attributes of `StructureNumbers` that are not shown."""
        return {attribute for column, (_, attribute, _, _) in enumerate(_COLUMNS) if self.isColumnHidden(column)}

    def select(self, value: int) -> None:
        """Show the row of `value` as the selected one, without going anywhere."""
        place = next((n for n, row in enumerate(self.numbers.rows) if row.value == value), None)
        if place is None:
            self.clearSelection()
        else:
            self.selectRow(self.sorted.mapFromSource(self.numbers.index(place, 0)).row())

    def rows_in_view(self) -> tuple[StructureNumbers, ...]:
        """Return the rows in the order in which they are shown."""
        places = (self.sorted.mapToSource(self.sorted.index(n, 0)).row() for n in range(self.sorted.rowCount()))
        return tuple(self.numbers.rows[place] for place in places)

    def _on_clicked(self, index: QModelIndex) -> None:
        if index.column() != _SEEN:
            self.gone_to.emit(self.numbers.rows[self.sorted.mapToSource(index).row()].value)


def shown(number: Any, decimals: int | None) -> str:
    """Return a number for people; an en dash for one that there is not."""
    if isinstance(number, float) and math.isnan(number):
        return "–"
    return str(number) if decimals is None else f"{number:.{decimals}f}"


def tab_separated(rows: Sequence[StructureNumbers], left_out: Collection[str]) -> str:
    """Return rows with a line of titles, for a spreadsheet: every digit, and nothing where there is no number."""
    columns = [(title, attribute) for title, attribute, _, _ in _COLUMNS if attribute and attribute not in left_out]
    lines = [["Value", *(title for title, _ in columns)]]
    for row in rows:
        cells = [getattr(row, attribute) for _, attribute in columns]
        lines.append([str(row.value), *("" if cell != cell else str(cell) for cell in cells)])
    return "\n".join("\t".join(line) for line in lines) + "\n"
