"""Choose a run by its name, fetch one, install one from a file, or open the folder of another one."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QMenu, QPushButton, QVBoxLayout, QWidget

from napari_scse._napari.links import Links
from napari_scse._widgets.arrivals import ARRIVALS
from napari_scse._widgets.cards import Catalogue, RunCard, load_card, load_catalogue
from napari_scse._widgets.fetching import FetchPanel
from napari_scse._widgets.forms import until_destroyed
from napari_scse._widgets.jobs import explain, start_job
from napari_scse._widgets.run_box import RunBox
from napari_scse.events import Event

if TYPE_CHECKING:
    from napari_scse.runs.registry import RegisteredRun

_LISTING, _OPENING = "search for runs", "reading of a run"
_Found = tuple[Catalogue, "list[RegisteredRun]"]


class RunPicker(QWidget):
    """A combo box of runs, a menu for those in files, and the panel that fetches.

    Parameters
    ----------
    need_sites
        Whether runs to be fetched are greyed out where they have no spatial gate.
    """

    listed = Signal(object)  # the Catalogue of this computer, once
    opened = Signal(object)  # the RunCard of a run that was opened, fetched or installed
    renewed = Signal(object)  # the RunCard of a run that another dock made, or that has a new epoch
    failed = Signal(str)  # why runs could not be listed, or a folder not opened

    def __init__(self, need_sites: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._fetchable: list[RegisteredRun] = []
        self.box = RunBox("looking for runs …", need_sites)
        self.button = QPushButton("…")
        self.button.setFixedWidth(28)
        self.button.setStyleSheet("QPushButton::menu-indicator { image: none; }")
        self.button.setToolTip("Open a run's folder, such as “napari-scse train” makes, or install one from a file.")
        menu = QMenu(self.button)
        menu.addAction("Open the folder of a run…", self.ask)
        menu.addAction("Install from file…", self.ask_for_file)
        self.button.setMenu(menu)
        self.fetching = FetchPanel()
        line = QHBoxLayout()
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(self.box)
        line.addWidget(self.button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(line)
        column.addWidget(self.fetching)
        self.box.wanted.connect(self.fetching.ask)
        self.fetching.brought.connect(self._on_card)
        until_destroyed(self, Links(self._on_arrival, ARRIVALS.run))

    @property
    def fetchable(self) -> tuple[RegisteredRun, ...]:
        """The runs that are not on this computer yet."""
        return tuple(self._fetchable)

    def list_runs(self) -> None:
        """Look for runs and devices; `listed` or `failed` follows."""
        start_job(_LISTING, _look, on_result=self._on_found, on_error=self._on_no_catalogue)

    def ask(self) -> None:
        """Let the user choose a folder."""
        folder = QFileDialog.getExistingDirectory(self, "Open the folder of a run")
        if folder:
            self.open_folder(Path(folder))

    def ask_for_file(self) -> None:
        """Let the user choose a zip file."""
        file, _ = QFileDialog.getOpenFileName(self, "Install a run from a file", "", "Zip files (*.zip)")
        if file:
            self.fetching.install(Path(file))

    def open_folder(self, folder: Path) -> None:
        """Read the run in `folder`; `opened` or `failed` follows."""
        start_job(_OPENING, partial(load_card, folder), on_result=self._on_card, on_error=self._on_no_card)

    def _on_found(self, found: _Found) -> None:
        catalogue, self._fetchable = found
        self.box.set_fetchable(self._fetchable)
        self.listed.emit(catalogue)

    def _on_no_catalogue(self, error: Exception) -> None:
        self.failed.emit(explain(error, _LISTING))

    def _on_card(self, card: RunCard) -> None:
        self._fetchable = [run for run in self._fetchable if run.name != card.name]
        self.box.set_fetchable(self._fetchable)
        self.opened.emit(card)

    def _on_arrival(self, folder: Path) -> None:
        start_job(_OPENING, partial(load_card, folder), on_result=self._on_renewed, on_error=_nothing, shown=False)

    def _on_renewed(self, card: RunCard) -> None:
        self.renewed.emit(card)

    def _on_no_card(self, error: Exception) -> None:
        self.failed.emit(explain(error, _OPENING))


def _nothing(_: Exception) -> None:
    """A run that went again is no news."""


def _look() -> Generator[Event, None, _Found]:
    """Look for runs, here and to be fetched: runs in the job's thread."""
    from napari_scse.runs import list_fetchable

    catalogue = yield from load_catalogue()
    return catalogue, list_fetchable()
