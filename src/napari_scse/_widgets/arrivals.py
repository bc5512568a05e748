"""What one dock tells all others of this program, in whatever viewer they are."""

from __future__ import annotations

from psygnal import Signal


class Arrivals:
    """Signals that belong to no dock."""

    run = Signal(object)  # the folder of a run that is new, or has a new epoch


ARRIVALS = Arrivals()
