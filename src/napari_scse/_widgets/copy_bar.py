"""Buttons that copy what a widget shows as Python or as a command, and that choose again what a layer remembers."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QWidget

_BUTTONS = {
    "python": ("Copy as Python", "A script that does the same."),
    "command": ("Copy as command", "A command line that does the same for the whole scan."),
    "restore": ("Settings of layer", "Choose again what the selected layer was made with."),
}


class CopyBar(QWidget):
    """Says which button was pressed; the widget that knows answers with `put` or `tell`.

    Parameters
    ----------
    offers
        Which buttons there are, of "python", "command" and "restore".
    """

    pressed = Signal(str)  # one of `offers`

    def __init__(self, *offers: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons = {what: QPushButton(_BUTTONS[what][0]) for what in offers or _BUTTONS}
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.hide()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for place, (what, button) in enumerate(self.buttons.items()):
            button.setToolTip(_BUTTONS[what][1])
            button.clicked.connect(partial(self._press, what))
            layout.addWidget(button, 0, place)
        layout.addWidget(self.text, 1, 0, 1, len(self.buttons))

    def put(self, text: str) -> None:
        """Put `text` on the clipboard."""
        put_on_clipboard(text)
        self.tell("Copied.")

    def tell(self, sentence: str) -> None:
        """Say something below the buttons."""
        self.text.setText(sentence)
        self.text.setVisible(bool(sentence))

    def _press(self, what: str, *_: object) -> None:
        self.pressed.emit(what)


def put_on_clipboard(text: str) -> None:
    """Put `text` on the clipboard."""
    clipboard = QGuiApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(text)
