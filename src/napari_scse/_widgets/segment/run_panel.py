"""The job panel of Segment: Run that becomes Resume, a way to start over, and Live."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QPushButton

from napari_scse._widgets.panel import JobPanel


class RunPanel(JobPanel):
    """A `JobPanel` with two more buttons."""

    again_pressed = Signal()
    live_toggled = Signal(bool)

    def __init__(self, tooltip: str) -> None:
        super().__init__(tooltip)
        self._tooltip = tooltip
        self.again = QPushButton("Start over")
        self.again.setToolTip("Forget what is labelled and begin again, into the layer chosen above.")
        self.live = QPushButton("Live")
        self.live.setCheckable(True)
        self.live.setToolTip(
            "Keep the slice on screen segmented while you scroll, choose another run or epoch, or edit the scan."
        )
        for button in (self.again, self.live):
            button.setMinimumHeight(30)
            self.buttons.addWidget(button, 1)
        self.again.clicked.connect(self.again_pressed)
        self.live.toggled.connect(self.live_toggled)
        self.offer(resume=False)

    def offer(self, resume: bool) -> None:
        """Show whether Run goes on where it was stopped."""
        self.run.setText("Resume" if resume else "Run")
        self.run.setToolTip("Go on where it was stopped, into the same layer." if resume else self._tooltip)
        self.again.setVisible(resume)

    def show_live(self, on: bool) -> None:
        """Show whether Live is on, without a signal."""
        with QSignalBlocker(self.live):
            self.live.setChecked(on)
