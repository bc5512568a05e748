"""The question when a window closes with unsaved edits: save, discard or cancel."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error
from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

from napari_scse._napari.edits import Edits
from napari_scse.errors import InputError

_FORMATS = "Labels (*.nii.gz *.nii *.mgz *.mgh);;All files (*)"


class Answer(StrEnum):
    """What is to become of unsaved edits."""

    SAVED = "saved"
    DISCARD = "discard"
    CANCEL = "cancel"


def ask_about(parent: QWidget, layers: Sequence[Any]) -> Answer:
    """Ask what to do with the edits of `layers`, and save them if that is the answer."""
    names = "”, “".join(layer.name for layer in layers)
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("Unsaved edits")
    box.setText(f"What you painted in “{names}” is not saved.")
    buttons = QMessageBox.StandardButton
    box.setStandardButtons(buttons.Save | buttons.Discard | buttons.Cancel)
    box.setDefaultButton(buttons.Save)
    save = box.button(buttons.Save)
    if save is not None:
        save.setText("Save…")
    chosen = box.exec()
    box.deleteLater()
    if chosen == buttons.Discard:
        return Answer.DISCARD
    saved = chosen == buttons.Save and all(_save(parent, layer) for layer in layers)
    return Answer.SAVED if saved else Answer.CANCEL


def _save(parent: QWidget, layer: Any) -> bool:
    """Save a layer under a name that is asked for; False if it was not."""
    name = "".join("-" if sign in '/\\:*?"<>|' else sign for sign in layer.name)
    path, _ = QFileDialog.getSaveFileName(parent, f"Save “{layer.name}”", str(Path.cwd() / f"{name}.nii.gz"), _FORMATS)
    if not path:
        return False
    try:
        written = layer.save(path)
    except (InputError, OSError) as error:
        show_error(str(error))
        return False
    edits = Edits.known(layer)
    if written and edits is not None:
        edits.mark_saved()
    return bool(written)
