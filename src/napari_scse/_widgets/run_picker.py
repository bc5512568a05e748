"""Choose a run by its name, or open the folder of another one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_scse._widgets.choices import Catalogue, RunCard, load_card, load_catalogue
from napari_scse._widgets.forms import ChoiceBox
from napari_scse._widgets.jobs import explain, start_job

_LISTING, _OPENING = "search for runs", "reading of a run"


class RunPicker(QWidget):
    """A combo box of runs, and a button that opens a run's folder."""

    listed = Signal(object)  # the Catalogue of this computer, once
    opened = Signal(object)  # the RunCard of a folder that was opened
    failed = Signal(str)  # why runs could not be listed, or a folder not opened

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

    def list_runs(self) -> None:
        """Look for runs and devices; `listed` or `failed` follows."""
        start_job(_LISTING, load_catalogue, on_result=self._on_catalogue, on_error=self._on_no_catalogue)

    def ask(self) -> None:
        """Let the user choose a folder."""
        folder = QFileDialog.getExistingDirectory(self, "Open the folder of a run")
        if folder:
            self.open_folder(Path(folder))

    def open_folder(self, folder: Path) -> None:
        """Read the run in `folder`; `opened` or `failed` follows."""
        start_job(_OPENING, partial(load_card, folder), on_result=self._on_card, on_error=self._on_no_card)

    def _on_catalogue(self, catalogue: Catalogue) -> None:
        self.listed.emit(catalogue)

    def _on_no_catalogue(self, error: Exception) -> None:
        self.failed.emit(explain(error, _LISTING))

    def _on_card(self, card: RunCard) -> None:
        self.opened.emit(card)

    def _on_no_card(self, error: Exception) -> None:
        self.failed.emit(explain(error, _OPENING))
