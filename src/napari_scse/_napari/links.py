"""Connections to a viewer's events that are taken off together, and one that goes from thing to thing."""

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


class Following:
    """Calls a method at signals of one thing after the other, until `close`; it does not keep its object alive.

    Parameters
    ----------
    callback
        The method.
    """

    def __init__(self, callback: Callable[..., None]) -> None:
        self._callback = WeakMethod(callback)
        self._links: Links | None = None

    def follow(self, *emitters: Any) -> None:
        """Leave what was followed, and follow `emitters`."""
        self.close()
        callback = self._callback()
        if callback is not None:
            self._links = Links(callback, *emitters)

    def close(self) -> None:
        """Follow nothing."""
        if self._links is not None:
            self._links.close()
