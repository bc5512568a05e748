"""Ctrl-C between two events of the work, not in the middle of one.

Work that is stopped between its events tidies up completely. Stopped anywhere, a library's own threads may still be
writing into what is being removed.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held_back() -> Iterator[Callable[[], None]]:
    """Hold back being interrupted or terminated inside the block; the second time it takes effect at once.

    Yields
    ------
    Callable
        To be called where stopping is fine: what was held back takes effect there.
    """
    if threading.current_thread() is not threading.main_thread():  # signals never come here
        yield lambda: None
        return
    handlers = {number: handler for number in _SIGNALS if callable(handler := signal.getsignal(number))}
    pending: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        pending.append(number)
        if len(pending) > 1:
            handlers[signal.Signals(number)](number, frame)

    def let_through() -> None:
        if pending:
            number = pending[0]
            handlers[signal.Signals(number)](number, None)

    for number in handlers:
        signal.signal(number, hold)
    try:
        yield let_through
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
