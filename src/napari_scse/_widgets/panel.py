"""The foot of both widgets: Run, Cancel, progress, remaining time, and one line of text. And the view bar."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_scse._napari.view import Convention, show_plane, shown_convention, shown_plane, stand_upright
from napari_scse._widgets.choices import Choice
from napari_scse._widgets.forms import ChoiceBox
from napari_scse._widgets.state import JobState, Phase, duration
from napari_scse.slices import Plane

_ERROR = "color: #ff6b6b;"


class JobPanel(QWidget):
    """Shows a `JobState`; says when Run or Cancel is pressed."""

    run_pressed = Signal()
    cancel_pressed = Signal()

    def __init__(self, tooltip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.run = QPushButton("Run")
        self.run.setToolTip(tooltip)
        self.run.setMinimumHeight(30)
        self.cancel = QPushButton("Cancel")
        self.cancel.setMinimumHeight(30)
        self.cancel.setToolTip("Stop after the batch in progress; what is finished stays.")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.count = QLabel()
        self.left = QLabel()
        self.left.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        buttons, numbers = QHBoxLayout(), QHBoxLayout()
        for layout, parts in ((buttons, ((self.run, 2), (self.cancel, 1))), (numbers, ((self.count, 1), (self.left, 0)))):
            layout.setContentsMargins(0, 0, 0, 0)
            for part, stretch in parts:
                layout.addWidget(part, stretch)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 0)
        column.setSpacing(5)
        column.addLayout(buttons)
        column.addWidget(self.bar)
        column.addLayout(numbers)
        column.addWidget(self.message)
        self.run.clicked.connect(self.run_pressed)
        self.cancel.clicked.connect(self.cancel_pressed)
        self.show_job(JobState(), "")

    def show_job(self, job: JobState, obstacle: str) -> None:
        """Render `job`; `obstacle` says why Run cannot be pressed, or is empty."""
        busy = job.is_busy
        self.run.setEnabled(not busy and not obstacle)
        self.cancel.setEnabled(job.phase is Phase.RUNNING)
        for part in (self.bar, self.count, self.left):
            part.setVisible(busy)
        self.bar.setRange(0, job.total)
        self.bar.setValue(job.done)
        self.count.setText(f"{job.done} of {job.total} {job.what}" if job.total else f"{job.what} …")
        seconds = job.seconds_left
        self.left.setText("" if seconds is None else f"{duration(seconds)} left")
        text = job.message or ("" if busy else obstacle)
        self.message.setText(text)
        self.message.setVisible(bool(text))
        self.message.setStyleSheet(_ERROR if job.failed else "")


class ViewBar(QWidget):
    """Stands the head upright: the plane, and the convention that holds."""

    def __init__(self, viewer: Any, convention: Convention = Convention.RADIOLOGICAL, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._preferred = convention
        self.planes = QButtonGroup(self)
        self.planes.setExclusive(False)
        self.convention = ChoiceBox()
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(3)
        for number, plane in enumerate(Plane):
            button = QPushButton(plane.capitalize())
            button.setCheckable(True)
            button.setToolTip(f"Show {plane} slices with the head upright.")
            self.planes.addButton(button, number)
            line.addWidget(button)
        self.planes.idClicked.connect(lambda number: self.show_plane(list(Plane)[number]))
        self.convention.picked.connect(self.set_convention)
        self._events = (viewer.dims.events.order, viewer.dims.events.ndisplay, viewer.scene.camera.events.orientation)
        for event in self._events:
            event.connect(self.update_view)
        self.update_view()

    def show_plane(self, plane: Plane) -> None:
        """Show slices of `plane`, upright."""
        show_plane(self._viewer, plane)
        if shown_convention(self._viewer) is None:
            stand_upright(self._viewer, self._preferred)
        self._viewer.fit_to_view()
        self.update_view()

    def set_convention(self, convention: Convention) -> None:
        """Stand the head upright in `convention`."""
        self._preferred = convention
        stand_upright(self._viewer, convention)

    def update_view(self, event: object = None) -> None:
        """Show the plane and the convention that hold now."""
        shown = shown_plane(self._viewer)
        for number, plane in enumerate(Plane):
            with QSignalBlocker(self.planes.button(number)):
                self.planes.button(number).setChecked(plane is shown)
        holds = shown_convention(self._viewer)
        choices = [Choice(c, c.value, c.sentence) for c in Convention]
        if holds is None:
            choices.insert(0, Choice(None, "not upright", "The head does not stand upright: choose a plane or a convention."))
        self.convention.set_choices(choices, holds)

    def close_view(self) -> None:
        """Stop following the viewer."""
        for event in self._events:
            event.disconnect(self.update_view)
