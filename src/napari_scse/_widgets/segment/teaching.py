"""The Teach part of the Segment dock: Learn, Undo, Jump, and a name under which to keep what was learnt."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import ref

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_scse._napari.edits import Edits
from napari_scse._napari.inputs import LayerInput, Refusal
from napari_scse._napari.label_source import is_labels
from napari_scse._napari.links import Following, Links
from napari_scse._napari.looking import plane_on_screen
from napari_scse._napari.pairs import label_refusal
from napari_scse._widgets.cards import Catalogue, RunCard
from napari_scse._widgets.copy_bar import CopyBar
from napari_scse._widgets.copying import refine_command, refine_python, scan_path
from napari_scse._widgets.forms import form, until_destroyed
from napari_scse._widgets.layer_box import LayerBox
from napari_scse._widgets.layer_picker import LayerPicker
from napari_scse._widgets.segment.jumping import Jumping
from napari_scse._widgets.segment.learning import Learning
from napari_scse._widgets.state import SegmentState, grouped
from napari_scse.errors import InputError
from napari_scse.slices import Plane

_SOON = 60  # ms; several changes are shown at once
_UNSAVED = "strokes.nii.gz"
_TAUGHT = re.compile(r"-taught-\d+$")


class TeachPanel(QWidget):
    """Buttons and sentences; the work is that of `Learning` and `Jumping`."""

    def __init__(
        self, viewer: Any, state: SegmentState, picker: LayerPicker, learning: Learning, jumping: Jumping
    ) -> None:
        super().__init__()
        self._viewer, self._state, self._picker, self._learning = viewer, state, picker, learning
        self._following = Following(self._on_changed)
        self._strokes_file = _UNSAVED
        self._suggested = ""
        self._taught: Callable[[], Any] = lambda: None  # the layer that the strokes are on
        self.text = QLabel()
        self.learn = _button("Learn", "Teach a copy of the run all strokes so far, and label anew, in seconds.")
        self.undo = _button("Undo round", "Network and labels as before the last round; what you painted stays.")
        self.jump = _button("Jump", "Go to where the network is least sure, among the slices not yet looked at.")
        self.name = QLineEdit()
        self.name.setToolTip("What the new run is to be called.")
        self.accept = _button("Accept", "Keep what was learnt as a run of this name; the run it comes from stays.")
        self.reference = LayerBox(viewer, self, is_labels, self._refuse, "no reference")
        self.reference.box.setToolTip("Right labels, where you have them: Learn says how much nearer it came.")
        self.copy = CopyBar("python", "command")
        self.save = _button("Save strokes…", "Write what is painted into a file that “napari-scse refine” reads.")
        rows = form()
        rows.addRow("Reference", self.reference.box)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(5)
        column.addWidget(self.text)
        column.addLayout(_row(self.learn, self.undo, self.jump))
        column.addLayout(_row(self.name, self.accept))
        column.addLayout(rows)
        column.addWidget(self.copy)
        column.addWidget(self.save)
        self.text.setWordWrap(True)
        self.said = QLabel()
        self.said.setWordWrap(True)
        self.said.hide()
        column.insertWidget(2, self.said)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON)
        self._soon.timeout.connect(self.render_strokes)
        self.learn.clicked.connect(self._on_learn)
        self.undo.clicked.connect(learning.undo)
        self.jump.clicked.connect(jumping.jump)
        self.accept.clicked.connect(self._on_accept)
        self.name.returnPressed.connect(self._on_accept)
        self.save.clicked.connect(self._on_save)
        self.copy.pressed.connect(self._on_copy)
        self.reference.picked.connect(learning.compare_with)
        learning.changed.connect(self.render_strokes)
        learning.said.connect(self.tell)
        jumping.said.connect(self.tell)
        selection, layers = viewer.layers.selection.events, viewer.layers.events
        events = state.events
        until_destroyed(
            self,
            self._following,
            Links(self._on_changed, selection.active, layers.inserted, layers.removed),
            Links(self._on_changed, events.job, events.run, events.epoch),
            Links(self._suggest, events.run, events.catalogue),
        )
        self.render_strokes()

    def tell(self, sentence: str) -> None:
        """Say something below the buttons."""
        self.said.setText(sentence)
        self.said.setVisible(bool(sentence))

    def render_strokes(self) -> None:
        """Show how much is painted, and what was learnt of it."""
        layer = self._learning.layer
        edits = None if layer is None else Edits.of(layer)
        self._following.follow(*(() if edits is None else (edits.changed,)))
        if layer is not self._taught():
            self._taught = (lambda: None) if layer is None else ref(layer)
            self.reference.reset_choices()
        count = 0 if edits is None else int(np.count_nonzero(edits.painted))
        rounds = self._learning.rounds
        if layer is None:
            text = "Press Run first; then paint where the labels are wrong, and Learn."
        elif count:
            text = f"{grouped(count)} voxels of “{layer.name}” are painted."
        else:
            text = f"Paint on “{layer.name}” where it is wrong, with background where there is nothing; then Learn."
        if rounds:
            times = "once" if len(rounds) == 1 else f"{len(rounds)} times"
            text += f" The run has learnt {times} on this scan: Accept keeps that."
        self.text.setText(text)
        busy = self._state.job.is_busy
        self.learn.setEnabled(not busy and count > 0 and self._state.card is not None)
        self.undo.setEnabled(not busy and bool(rounds))
        for part in (self.name, self.accept):
            part.setEnabled(not busy and bool(rounds))
        self.save.setEnabled(count > 0)

    # -- what the user does --------------------------------------------------------------------------------------------

    def press(self, button: str) -> Callable[[], None]:
        """Return what a key does: press a button, or say why it cannot be pressed."""

        def do() -> None:
            self.render_strokes()
            which: QPushButton = getattr(self, button)
            if which.isEnabled():
                which.click()
            elif not self._state.job.is_busy:
                self.tell("Nothing is painted yet." if button == "learn" else "Nothing was learnt yet.")

        return do

    def _on_learn(self) -> None:
        self.tell("")
        self._learning.learn(self.reference.layer)

    def _on_accept(self) -> None:
        self.tell("")
        self._learning.accept(self.name.text().strip())

    def _on_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save strokes", str(Path.cwd() / _UNSAVED), "NIfTI (*.nii.gz *.nii)"
        )
        if path:
            self._strokes_file = path
            self._learning.save_strokes(Path(path))

    def _on_copy(self, what: str) -> None:
        state, card = self._state, self._state.card
        if card is None:
            self.copy.tell("Choose a trained run first.")
            return
        try:
            source = self._picker.input(card.spacing[0])
        except InputError as error:
            self.copy.tell(str(error))
            return
        rounds = self._learning.rounds
        one = card.alone(rounds[-1].plane if rounds else self._next(card, source))
        make = refine_python if what == "python" else refine_command
        options = {"epoch": state.epoch, "device": state.device}
        name = self.name.text().strip() or self._suggested
        self.copy.put(make(one, scan_path(self._picker.layer), self._strokes_file, options, name, source.frame))
        if self._strokes_file == _UNSAVED:
            self.copy.tell(f"Copied. It reads {_UNSAVED}: Save strokes… writes it.")

    # -- what is shown -------------------------------------------------------------------------------------------------

    def _on_changed(self, *_: object) -> None:
        self._soon.start()

    def _next(self, card: RunCard, source: LayerInput) -> Plane:
        """The plane whose run learns next: the one on screen, where the model has it and it tells the sides."""
        planes, shown = self._state.planes, plane_on_screen(self._viewer, source)
        own = None if shown not in planes else self._state.catalogue.card(card.alone(shown).path)
        return shown if shown is not None and own is not None and own.classes == card.classes else planes[0]

    def _refuse(self, layer: Any) -> Refusal | None:
        if layer is self._learning.layer:
            return Refusal("is taught", "These are the labels that you paint on: compare them with others.")
        return label_refusal(layer)

    def _suggest(self, *_: object) -> None:
        """Put a free name into the field, unless the user wrote one."""
        if self.name.text() == self._suggested and self._state.card is not None:
            self._suggested = free_name(self._state.card, self._state.catalogue)
            self.name.setText(self._suggested)


def free_name(card: RunCard, catalogue: Catalogue) -> str:
    """Return a name for what a run learns that no listed run has: ``<run>-taught-1`` and so on.

    Runs of planes that are called so count as well.
    """
    stem = _TAUGHT.sub("", card.name)
    taken = {other.name for other in catalogue.cards} | {other.name.rpartition("-")[0] for other in catalogue.cards}
    number = 1
    while f"{stem}-taught-{number}" in taken:
        number += 1
    return f"{stem}-taught-{number}"


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    return button


def _row(*parts: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(4)
    for part in parts:
        row.addWidget(part)
    return row
