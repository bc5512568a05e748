"""What every dock widget does: open wide enough for its texts, and notice when it is taken out of the window."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QSize, Signal
from qtpy.QtWidgets import QWidget

WIDTH = 350  # pixels, when it opens
NARROWEST = 300


class DockedWidget(QWidget):
    """Base of the dock widgets."""

    taken_out = Signal()  # the dock was closed; napari lets go of the widget then

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the width that napari opens the dock with."""
        return QSize(WIDTH, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the width below which something would be cut off."""
        hint = super().minimumSizeHint()
        return QSize(max(NARROWEST, hint.width()), hint.height())

    def event(self, event: QEvent | None) -> bool:
        """Notice that the widget lost its dock."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.taken_out.emit()
        return super().event(event)
