"""Choose a run by its name, or open the folder of another one."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_scse._widgets.choices import RunCard, load_card
from napari_scse._widgets.forms import ChoiceBox
from napari_scse._widgets.jobs import explain, start_job


class RunPicker(QWidget):
    """A combo box of runs, and a button that opens a run's folder."""

    opened = Signal(object)  # the RunCard of a folder that was opened
    failed = Signal(str)  # why a folder could not be opened

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.box = ChoiceBox("looking for runs …")
        self.button = QPushButton("…")
        self.button.setFixedWidth(28)
        self.button.setToolTip("Open the folder of a run, such as “napari-scse train” makes.")
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(self.box)
        line.addWidget(self.button)
        self.button.clicked.connect(self.ask)

    def ask(self) -> None:
        """Let the user choose a folder."""
        folder = QFileDialog.getExistingDirectory(self, "Open the folder of a run")
        if folder:
            self.open(Path(folder))

    def open(self, folder: Path) -> None:
        """Read the run in `folder`; `opened` or `failed` follows."""
        start_job("reading of a run", lambda: load_card(folder), on_result=self._on_card, on_error=self._on_error)

    def _on_card(self, card: RunCard) -> None:
        self.opened.emit(card)

    def _on_error(self, error: Exception) -> None:
        self.failed.emit(explain(error, "reading of a run"))
