"""Follows a training, of this program or an earlier one: reads what it says a few times a second."""

from __future__ import annotations

import time

from qtpy.QtCore import QObject, QTimer, Signal

from napari_scse.events import EpochDone
from napari_scse.training.control import Wish, asked
from napari_scse.training.history import History
from napari_scse.training.process import Phase, Training

_PACE = 400  # ms between two looks
_HURRY = 20  # ms, while there is more to read


class Monitor(QObject):
    """What is known of one training.

    Parameters
    ----------
    training
        Which.
    epochs
        How many it is to have.
    """

    changed = Signal()  # something is new
    epoch_done = Signal(int)  # the latest of the epochs that were finished since the last look
    phase_changed = Signal(object)  # the new Status

    def __init__(self, training: Training, epochs: int, parent: QObject) -> None:
        super().__init__(parent)
        self.training = training
        self.history = History(epochs)
        self.status = training.status
        self.is_live = self.status.phase.is_alive  # whether epochs come while it is followed
        self._tail = training.events()
        self._news = 0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.look)
        self._timer.start(_HURRY)

    @property
    def is_paused(self) -> bool:
        """Whether it waits."""
        return self.status.phase is Phase.PAUSED

    @property
    def caught_up(self) -> bool:
        """Whether all that it said is read."""
        return not self._tail.behind

    @property
    def sentence(self) -> str:
        """How it stands, in words."""
        done, phase = self.history.done, self.status.phase
        after = f" {len(done)} of {self.history.epochs} epochs are finished." if done else " No epoch is finished."
        match phase:
            case Phase.RUNNING:
                pausing = asked(self.training.folder) is Wish.PAUSE
                return "Pausing after this step …" if pausing else self.history.message
            case Phase.PAUSED:
                return "Paused. It waits, also when this window is closed."
            case Phase.FINISHED:
                best = max(done, key=lambda epoch: done[epoch].validation_dice, default=0)
                score = f" The best is epoch {best}, with a Dice of {done[best].validation_dice:.3f}." if best else ""
                return f"Finished.{score} Segment and Explore list it as “{self.training.name}”."
            case Phase.STOPPED:
                return f"Stopped.{after} Resume goes on from there."
            case Phase.INTERRUPTED:
                return f"{self.status.text}{after} Resume goes on from there."
        return f"{self.status.text} Resume tries again."

    def can(self, what: str) -> bool:
        """Whether the training may be asked to ``"pause"``, ``"go_on"`` or ``"stop"``, and was not asked yet."""
        wish = asked(self.training.folder)
        return {"pause": wish is Wish.GO_ON, "go_on": wish is Wish.PAUSE, "stop": wish is not Wish.STOP}[what]

    def look(self) -> None:
        """Read on, and see whether it still runs."""
        before = self.status
        self.status = self.training.status  # before the events: all that a process said is there when it has ended
        events, now = self._tail.read(), time.monotonic()
        for event in events:
            self.history.apply(event, now)
            if isinstance(event, EpochDone):
                self._news = event.epoch
        self._timer.setInterval(_HURRY if self._tail.behind else _PACE)
        if not self.status.phase.is_alive and not self._tail.behind:
            self._timer.stop()
        if self._news and not self._tail.behind:
            epoch, self._news = self._news, 0
            self.epoch_done.emit(epoch)
        if before != self.status:
            self.phase_changed.emit(self.status)
        if events or before != self.status:
            self.changed.emit()

    def wake(self) -> None:
        """Follow a training that was started again."""
        self.is_live = True
        self._timer.start(_HURRY)
        self.look()

    def close(self) -> None:
        """Stop following; the training goes on."""
        self._timer.stop()
