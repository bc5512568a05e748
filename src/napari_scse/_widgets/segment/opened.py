"""The session that the last job left open: the next one finds its scan, its networks and what it knew already."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from napari_scse._napari.inputs import LayerInput
from napari_scse._widgets.cards import RunCard
from napari_scse.events import Event

if TYPE_CHECKING:
    from torch import nn

    from napari_scse.inference import Session
    from napari_scse.slices import Plane


class Opened:
    """Keeps one session; jobs take turns with it, each in a thread of its own."""

    def __init__(self) -> None:
        self._turn = Lock()
        self._session: Session | None = None
        self._mark: Hashable = None
        self._closing = False

    @property
    def session(self) -> Session | None:
        """The session, to be looked at only."""
        return self._session

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other job uses the session, and use it."""
        self._closing = False  # who asks after this for it to be closed means whoever waits as well
        with self._turn:
            try:
                yield
            finally:
                if self._closing:
                    self._close()

    def open(
        self,
        source: LayerInput,
        card: RunCard,
        options: dict[str, Any],
        networks: Mapping[Plane, nn.Module],
        mark: Hashable = None,
    ) -> Generator[Event, None, Session]:
        """Open a session, or return the present one with all that it knows if it is for the same; inside a turn.

        Parameters
        ----------
        source, card, options
            What is labelled, by whom, and how (see `open_session`).
        networks
            Those that have learnt, by plane.
        mark
            With the same mark as before nothing is read, and the session is the same; None: the voxels are read and
            compared.
        """
        from napari_scse.inference import open_session
        from napari_scse.runs import load_model

        if self._session is not None and mark is not None and mark == self._mark:
            return self._session
        self._mark = None
        how = {**options, "networks": networks}
        opening = open_session(source.volume(), load_model(card.path), after=self._session, **how)
        self._session = yield from opening
        self._mark = mark
        return self._session

    def close(self) -> None:
        """Let go of the session, now or when the job that uses it ends."""
        self._closing = True
        if self._turn.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._turn.release()

    def _close(self) -> None:
        session, self._session, self._mark = self._session, None, None
        if session is not None:
            session.close()
