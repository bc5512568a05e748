"""Run, Cancel, progress, remaining time, and a sentence: the part of both widgets that shows a job."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_scse._widgets.state import JobState, Phase, duration

_ERROR = "color: #e5484d;"


class ProgressLine(QProgressBar):
    """A thin bar that is drawn when the window is: a plain one has the whole window drawn at once, canvas included."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextVisible(False)
        self.setFixedHeight(6)

    def show_progress(self, done: int, total: int) -> None:
        """Show `done` of `total`; a `total` of 0 is one that is not known."""
        if (done, total) != (self.value(), self.maximum()):
            self.setUpdatesEnabled(False)
            self.setRange(0, total)
            self.setValue(done)
            self.setUpdatesEnabled(True)


class JobPanel(QWidget):
    """Shows a `JobState`; says when Run or Cancel is pressed."""

    run_pressed = Signal()
    cancel_pressed = Signal()

    def __init__(self, tooltip: str, run: str = "Run", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.run = QPushButton(run)
        self.run.setToolTip(tooltip)
        self.run.setMinimumHeight(30)
        self.cancel = QPushButton("Cancel")
        self.cancel.setMinimumHeight(30)
        self.cancel.setToolTip("Stop after the batch in progress; what is finished stays.")
        self.bar = ProgressLine()
        self.count = QLabel()
        self.left = QLabel()
        self.left.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.buttons = QHBoxLayout()
        numbers = QHBoxLayout()
        for layout, parts in (
            (self.buttons, ((self.run, 2), (self.cancel, 1))),
            (numbers, ((self.count, 1), (self.left, 0))),
        ):
            layout.setContentsMargins(0, 0, 0, 0)
            for part, stretch in parts:
                layout.addWidget(part, stretch)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 0)
        column.setSpacing(5)
        column.addLayout(self.buttons)
        column.addWidget(self.bar)
        column.addLayout(numbers)
        column.addWidget(self.message)
        self.run.clicked.connect(self.run_pressed)
        self.cancel.clicked.connect(self.cancel_pressed)
        self.show_job(JobState(), "")

    def press(self) -> None:
        """Press Run, or Cancel while a job runs, if that can be pressed."""
        (self.run if self.run.isEnabled() else self.cancel).click()

    def show_job(self, job: JobState, obstacle: str) -> None:
        """Render `job`; `obstacle` says why Run cannot be pressed, or is empty."""
        busy = job.is_busy
        self.run.setEnabled(not busy and not obstacle)
        self.cancel.setEnabled(job.phase is Phase.RUNNING)
        for part in (self.bar, self.count, self.left):
            part.setVisible(busy)
        self.bar.show_progress(job.done, job.total)
        self.count.setText(f"{job.done} of {job.total} {job.what}" if job.total else f"{job.what} …")
        seconds = job.seconds_left
        self.left.setText("" if seconds is None else f"{duration(seconds)} left")
        text = job.message or ("" if busy else obstacle)
        self.message.setText(text)
        self.message.setVisible(bool(text))
        self.message.setStyleSheet(_ERROR if job.failed else "")
