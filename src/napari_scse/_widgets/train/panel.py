"""Start, Pause, Stop, Resume, and how far the training is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_scse._widgets.panel import ProgressLine
from napari_scse._widgets.state import duration
from napari_scse._widgets.train.monitor import Monitor

_ERROR = "color: #e5484d;"
_BUTTONS = {
    "start": ("Start training", "Train in a process of its own: it goes on when this window is closed."),
    "pause": ("Pause", "Finish the step, and wait."),
    "go_on": ("Go on", "End the pause."),
    "stop": ("Stop", "Finish the step, and end. Finished epochs stay, and it can be resumed."),
    "resume": ("Resume", "Go on after the last finished epoch, with the same configuration."),
    "discard": ("Remove", "Remove the folder of this training: it has no finished epoch."),
}
_KEYED = {"pause": ("pause", "go_on"), "stop": ("stop",), "resume": ("resume",)}


class TrainPanel(QWidget):
    """Shows where a training stands; says which button is pressed."""

    pressed = Signal(str)  # a key of the buttons
    missed = Signal(str, bool)  # why a key does nothing, and whether that is an error

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons = {what: QPushButton(text) for what, (text, _) in _BUTTONS.items()}
        self.bar = ProgressLine()
        self.count, self.left, self.message = QLabel(), QLabel(), QLabel()
        self.left.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        line, numbers, column = QHBoxLayout(), QHBoxLayout(), QVBoxLayout(self)
        for layout in (line, numbers, column):
            layout.setContentsMargins(0, 0, 0, 0)
        for what, button in self.buttons.items():
            button.setToolTip(_BUTTONS[what][1])
            button.setMinimumHeight(30)
            button.clicked.connect(partial(self._press, what))
            line.addWidget(button)
        numbers.addWidget(self.count)
        numbers.addWidget(self.left, 1)
        column.setSpacing(5)
        column.addLayout(line)
        column.addWidget(self.bar)
        column.addLayout(numbers)
        column.addWidget(self.message)
        self.show_new("", "")

    def show_new(self, sentence: str, obstacle: str, failed: bool = False, busy: bool = False) -> None:
        """Offer to start; `obstacle` says why that cannot be, `sentence` what came of it."""
        self._offer("start")
        self.buttons["start"].setEnabled(not obstacle and not busy)
        self._show_progress(False)
        self._say(sentence or obstacle, failed)

    def show_training(self, monitor: Monitor, sentence: str = "", failed: bool = False) -> None:
        """Show where the training of `monitor` stands."""
        history, phase = monitor.history, monitor.status.phase
        alive = phase.is_alive
        waits = alive and monitor.is_paused
        if alive:
            self._offer("go_on" if waits else "pause", "stop")
            for what in ("pause", "go_on", "stop"):
                self.buttons[what].setEnabled(monitor.can(what))
        elif phase == "finished":
            self._offer()
        else:
            self._offer("resume", *([] if history.done else ["discard"]))
        self._show_progress(alive)
        reading = history.reading
        if reading is not None:
            self.bar.show_progress(reading.done, reading.total)
            self.count.setText(f"{reading.what}: {reading.done} of {reading.total}")
        else:
            self.bar.show_progress(history.step, history.steps)
            self.count.setText(f"epoch {history.epoch} of {history.epochs}" if history.epoch else "starting …")
        self.left.setText("paused" if waits else _times(history.seconds_left, history.seconds_in_all))
        self._say(sentence or monitor.sentence, failed if sentence else phase == "failed")

    @property
    def keyed(self) -> dict[str, Callable[[], None]]:
        """What can be done with keys."""
        return {what: partial(self._press_by_key, what) for what in _KEYED}

    def _press_by_key(self, what: str) -> None:
        """Press the button that is offered, or say that there is none."""
        shown = (self.buttons[name] for name in _KEYED[what] if not self.buttons[name].isHidden())
        button = next((button for button in shown if button.isEnabled()), None)
        if button is None:
            self.missed.emit(f"There is no training to {what} here.", False)
        else:
            button.click()

    def _offer(self, *which: str) -> None:
        for what, button in self.buttons.items():
            button.setVisible(what in which)

    def _show_progress(self, on: bool) -> None:
        for part in (self.bar, self.count, self.left):
            part.setVisible(on)

    def _say(self, text: str, failed: bool) -> None:
        self.message.setText(text)
        self.message.setVisible(bool(text))
        self.message.setStyleSheet(_ERROR if failed else "")

    def _press(self, what: str, *_: object) -> None:
        self.pressed.emit(what)


def _times(epoch: float | None, whole: float | None) -> str:
    parts = [] if epoch is None else [f"{duration(epoch)} left"]
    parts += [] if whole is None else [f"{duration(whole)} in all"]
    return ", ".join(parts)
