"""Connections to a viewer's events that are taken off together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod


class Links:
    """Calls a method at each of `emitters` until `close`; it does not keep the method's object alive.

    `close` may be called from a Qt object's `destroyed` signal.
    """

    def __init__(self, callback: Callable[..., None], *emitters: Any) -> None:
        self._callback = WeakMethod(callback)
        self._emitters = emitters
        for emitter in emitters:
            emitter.connect(callback)

    def close(self) -> None:
        """Take the connections off; a second time does nothing."""
        callback, emitters = self._callback(), self._emitters
        self._emitters = ()
        if callback is not None:
            for emitter in emitters:
                emitter.disconnect(callback)
