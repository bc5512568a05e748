"""Unsaved edits of a window: kept in journals while they are made, and asked about when it closes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from weakref import ref

import numpy as np
from napari.layers import Labels
from napari.utils.notifications import show_warning
from qtpy.QtCore import QEvent, QObject, QTimer, Signal
from qtpy.QtWidgets import QMainWindow, QWidget

from napari_scse._napari.edits import Edits, unwrapped
from napari_scse._napari.links import Links
from napari_scse._napari.lost_layers import laid_out, subject_of
from napari_scse._napari.saving import follow_saving
from napari_scse._widgets.closing import Answer, ask_about
from napari_scse._widgets.forms import until_destroyed
from napari_scse.errors import InputError
from napari_scse.journal import Journal, Lost, Subject

_EVERY = 2000  # ms; with a slow disk in mind, so that a crash costs less than 10 s


@dataclass
class _Kept:
    """A layer with unsaved edits, its journal, and how far that is."""

    layer: Callable[[], Any]
    subject: Subject
    journal: Journal | None = None
    revision: int = -1
    writing: Future[Journal] | None = None


class Safekeeper(QObject):
    """Keeps the journals of a viewer's labels layers, and watches its window: one for each window, see `of`.

    A layer has a journal from the first stroke on until it is saved. The files are written in a thread of its own.
    """

    dropped = Signal(object)  # a layer with unsaved edits was taken out of the viewer: the journal, as a `Lost`
    written = Signal(object)  # a layer's journal has what was there a moment ago: the layer

    def __init__(self, window: QMainWindow, viewer: Any) -> None:
        super().__init__(window)
        self._layers = ref(unwrapped(viewer.layers))
        self._kept: list[_Kept] = []
        self._writer: ThreadPoolExecutor | None = None
        self._is_discarding = self._has_warned = False
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY)
        self._timer.timeout.connect(self.keep)
        self._timer.start()
        follow_saving(viewer.layers)
        until_destroyed(self, Links(self._on_removed, viewer.layers.events.removed))
        window.installEventFilter(self)

    @classmethod
    def of(cls, widget: QWidget, viewer: Any) -> Safekeeper | None:
        """Return the one of the window that `widget` is in, made when first asked for; None if it is in none."""
        parent: Any = widget
        while parent is not None and not isinstance(parent, QMainWindow):
            parent = parent.parent()
        if parent is None:
            return None
        known = next((child for child in parent.children() if isinstance(child, cls)), None)
        return cls(parent, viewer) if known is None else known

    @property
    def unsaved(self) -> list[Any]:
        """The layers that have unsaved edits."""
        return [layer for layer in self._labels() if (known := Edits.known(layer)) is not None and known.is_unsaved]

    def keep(self, wait: bool = False) -> None:
        """Have journals follow their layers; `wait` until they have."""
        for kept in list(self._kept):
            self._look_after(kept)
        for layer in self.unsaved:
            self._begin(layer)
        for kept in self._kept:
            self._write(kept)
        if wait:
            self._finish()

    def forget(self) -> None:
        """Delete the journals of the layers with unsaved edits: nobody wants these. Those of removed ones stay."""
        self._finish()
        unwanted = self.unsaved
        for kept in list(self._kept):
            if kept.layer() not in unwanted:
                self._look_after(kept)
                continue
            self._kept.remove(kept)
            if kept.journal is not None:
                kept.journal.close()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """Ask before the window closes, and end with it."""
        if event is not None and isinstance(watched, QMainWindow):
            if event.type() == QEvent.Type.Close and self._is_users(watched) and not self._may_close(watched):
                event.ignore()
                return True
            if event.type() == QEvent.Type.Hide and not event.spontaneous():
                self._end()
            if event.type() == QEvent.Type.Show and not event.spontaneous():
                self._is_discarding = False
                self._timer.start()
        return False

    # -- journals ------------------------------------------------------------------------------------------------------

    def _labels(self) -> list[Any]:
        layers = self._layers()
        return [] if layers is None else [layer for layer in layers if isinstance(layer, Labels)]

    def _begin(self, layer: Any) -> None:
        for kept in [kept for kept in self._kept if kept.layer() is layer and not _fits(layer, kept.subject)]:
            self._kept.remove(kept)
            self._settle(kept)
            if kept.journal is not None:
                kept.journal.close()  # the next one has all of it
        if all(kept.layer() is not layer for kept in self._kept):
            self._kept.append(_Kept(ref(layer), subject_of(layer, self._layers() or ())))

    def _on_removed(self, event: Any) -> None:
        """Keep the last strokes of a layer that goes, perhaps for good."""
        layer = unwrapped(event.value)
        edits = Edits.known(layer)
        if edits is not None and edits.is_unsaved:
            self._begin(layer)
            for kept in self._kept:
                if kept.layer() is layer:
                    self._write(kept, queue=True)

    def _write(self, kept: _Kept, queue: bool = False) -> None:
        layer = kept.layer()
        edits = None if layer is None else Edits.known(layer)
        if layer is None or edits is None or kept.revision == edits.revision or (kept.writing and not queue):
            return
        if not _fits(layer, kept.subject):  # another journal will be begun
            return
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, "journal")
        kept.revision = edits.revision
        labels, painted = laid_out(layer, layer.data), laid_out(layer, edits.painted)
        kept.writing = self._writer.submit(_update, kept.writing, kept.journal, kept.subject, labels, painted)

    def _look_after(self, kept: _Kept) -> None:
        """See what became of the last writing, and whether the layer still needs a journal."""
        if kept.writing is not None:
            if not kept.writing.done():
                return
            self._take_result(kept)
        layer = kept.layer()
        edits = None if layer is None else Edits.known(layer)
        gone = layer is None or layer not in self._labels()
        changed = layer is not None and not _fits(layer, kept.subject)
        if not gone and not changed and edits is not None and edits.is_unsaved:
            return
        self._kept.remove(kept)
        if kept.journal is None:
            return
        if gone and (edits is None or edits.is_unsaved):
            self.dropped.emit(Lost(kept.journal.folder, kept.subject))  # a journal holds copies of the layer's arrays
        else:
            kept.journal.close()

    def _take_result(self, kept: _Kept) -> None:
        done, kept.writing = kept.writing, None
        if done is None:
            return
        try:
            kept.journal = done.result()
            self.written.emit(kept.layer())
        except InputError as error:
            kept.revision = -1  # once more, the next time
            if not self._has_warned:
                self._has_warned = True
                show_warning(str(error))

    def _finish(self) -> None:
        for kept in self._kept:
            self._settle(kept)

    def _settle(self, kept: _Kept) -> None:
        if kept.writing is not None:
            kept.writing.exception()  # waits
            self._take_result(kept)

    # -- the window ----------------------------------------------------------------------------------------------------

    def _is_users(self, window: QMainWindow) -> bool:
        """Whether a user closes the window: a program that does so has closed what is in it first."""
        centre = window.centralWidget()
        return window.isVisible() and centre is not None and all(part.isVisible() for part in _parts(centre))

    def _may_close(self, window: QMainWindow) -> bool:
        unsaved = self.unsaved
        if not unsaved:
            return True
        answer = ask_about(window, unsaved)
        self._is_discarding = answer is Answer.DISCARD
        return answer is not Answer.CANCEL

    def _end(self) -> None:
        """The window is closed: what was not discarded is kept to the last."""
        self._timer.stop()
        if self._is_discarding:
            self.forget()
        else:
            self._finish()
            self.keep(wait=True)
        if self._writer is not None:
            self._writer.shutdown()
            self._writer = None


def _fits(layer: Any, subject: Subject) -> bool:
    """Whether a layer still has the shape and the type of numbers that its journal was begun for."""
    shape = tuple(np.take(layer.data.shape, subject.look["axes"]))
    return shape == subject.shape and np.dtype(layer.data.dtype) == np.dtype(subject.dtype)


def _update(
    before: Future[Journal] | None, journal: Journal | None, subject: Subject, labels: np.ndarray, painted: np.ndarray
) -> Journal:
    """Write what changed: runs in the thread, where the writing `before` has ended."""
    if before is not None and before.exception() is None:
        journal = before.result()
    journal = Journal.create(subject) if journal is None else journal
    journal.update(labels, painted)
    return journal


def _parts(centre: QWidget) -> list[QWidget]:
    """Return the widgets that lie in the middle of a window: napari's viewer."""
    layout = centre.layout()
    items = [] if layout is None else [layout.itemAt(n) for n in range(layout.count())]
    return [widget for item in items if item is not None and (widget := item.widget()) is not None]
