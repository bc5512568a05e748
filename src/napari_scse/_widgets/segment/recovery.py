"""Offers what a crash left: unsaved edits of layers, to be restored or discarded."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_scse._napari.lost_layers import layer_of
from napari_scse._widgets.jobs import explain, start_job

if TYPE_CHECKING:
    from datetime import datetime

    from napari_scse._widgets.segment.safekeeping import Safekeeper
    from napari_scse.events import Event
    from napari_scse.journal import Lost, Restored


class RecoveryBar(QWidget):
    """One line for each journal of a process that is gone; not to be seen where there is none."""

    restored = Signal(object)  # a layer was made again

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._keeper: Safekeeper | None = None
        self._again: list[tuple[Any, Lost]] = []  # layers made again whose new journals are not written yet
        self._alive = {"": True}
        self.destroyed.connect(self._alive.clear)
        self.offers: dict[Any, _Offer] = {}
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self.hide()

    def follow(self, keeper: Safekeeper) -> None:
        """Offer what is found on disk, and from now on what `keeper` says was dropped."""
        from napari_scse.journal import find_lost

        self._keeper = keeper
        keeper.dropped.connect(self.offer)
        keeper.written.connect(self._on_written)
        for lost in find_lost():
            self.offer(lost)

    def offer(self, lost: Lost) -> None:
        """Offer one journal."""
        if lost.folder in self.offers:
            return
        offer = _Offer(lost)
        offer.restore.clicked.connect(partial(self._restore, lost))
        offer.discard.clicked.connect(partial(self._discard, lost))
        self.offers[lost.folder] = offer
        self._column.addWidget(offer)
        self.show()

    def _restore(self, lost: Lost, *_: object) -> None:
        self.offers[lost.folder].setEnabled(False)
        start_job(
            f"edits of {lost.subject.name}",
            partial(_read, lost),
            on_result=partial(self._on_result, lost),
            on_error=partial(self._on_error, lost),
            shown=False,
        )

    def _on_result(self, lost: Lost, restored: Restored) -> None:
        if not self._alive:  # the journal is still there
            return
        layer = layer_of(lost.subject, restored)
        self._viewer.add_layer(layer)
        self._again.append((layer, lost))
        if self._keeper is not None:
            self._keeper.keep()
        self._take_away(lost)
        self.restored.emit(layer)

    def _on_written(self, layer: Any) -> None:
        """Delete the old journal once there is a new one."""
        for again in [again for again in self._again if again[0] is layer]:
            self._again.remove(again)
            again[1].discard()

    def _on_error(self, lost: Lost, error: Exception) -> None:
        if self._alive:
            self.offers[lost.folder].say(explain(error, f"edits of {lost.subject.name}"))

    def _discard(self, lost: Lost, *_: object) -> None:
        lost.discard()
        self._take_away(lost)

    def _take_away(self, lost: Lost) -> None:
        offer = self.offers.pop(lost.folder, None)
        if offer is not None:
            self._column.removeWidget(offer)
            offer.setParent(None)
            offer.deleteLater()
        self.setVisible(bool(self.offers))


class _Offer(QWidget):
    """One journal, and what to do with it."""

    def __init__(self, lost: Lost) -> None:
        super().__init__()
        self.text = QLabel(f"Unsaved edits of “{lost.subject.name}” from {_when(lost.time)}.")
        self.text.setWordWrap(True)
        self.text.setToolTip(lost.subject.source)
        self.restore, self.discard = QPushButton("Restore"), QPushButton("Discard")
        self.restore.setToolTip("Make the layer again, with what you painted.")
        self.discard.setToolTip("Delete them.")
        buttons = QHBoxLayout()
        buttons.setContentsMargins(0, 0, 0, 0)
        buttons.addWidget(self.restore)
        buttons.addWidget(self.discard)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addWidget(self.text)
        column.addLayout(buttons)

    def say(self, sentence: str) -> None:
        """Say why it could not be restored."""
        self.text.setText(sentence)
        self.setEnabled(True)
        self.restore.setEnabled(False)


def _read(lost: Lost) -> Generator[Event, None, Restored]:
    yield from ()
    return lost.restore()


def _when(time: datetime) -> str:
    today = time.date() == type(time).now().date()
    return f"{time:%H:%M}" if today else f"{time:%Y-%m-%d, %H:%M}"
