"""Take the table along: on the clipboard, or into a file."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_scse._widgets.copy_bar import put_on_clipboard
from napari_scse._widgets.numbers.table import NumbersTable, tab_separated
from napari_scse.errors import InputError
from napari_scse.evaluation.numbers import write_numbers


class NumbersBar(QWidget):
    """Buttons that copy and write what a table shows."""

    said = Signal(str)  # what came of it

    def __init__(self, table: NumbersTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._table = table
        self.copy = QPushButton("Copy")
        self.copy.setToolTip("Copy the table as it is sorted, for a spreadsheet.")
        self.csv = QPushButton("CSV …")
        self.csv.setToolTip("Write the table to a file.")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.copy)
        layout.addWidget(self.csv)
        self.copy.clicked.connect(self.copy_table)
        self.csv.clicked.connect(self._ask)

    def copy_table(self) -> None:
        """Put the table on the clipboard, for a spreadsheet."""
        put_on_clipboard(tab_separated(self._table.rows_in_view(), self._table.hidden_attributes))
        self.said.emit("Copied.")

    def write(self, path: Path) -> None:
        """Write the table to `path`, as `napari-scse numbers --csv` does."""
        try:
            if path.suffix.lower() != ".csv":
                raise InputError(f"The table ends in .csv; '{path.name}' does not.")
            write_numbers(path, self._table.numbers.rows)
        except InputError as error:
            self.said.emit(str(error))
        except OSError as error:
            self.said.emit(f"Cannot write {path}: {error.strerror or error}.")
        else:
            self.said.emit(f"Wrote {path}.")

    def _ask(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Write the table", "", "Table (*.csv)")
        if name:
            self.write(Path(name))
