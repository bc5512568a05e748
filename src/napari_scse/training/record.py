"""The events of a training in a file: one line of JSON each, written at once, followed by whoever wants to."""

from __future__ import annotations

import json
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Self

from napari_scse.events import (
    Began,
    Continued,
    Ended,
    EpochDone,
    Event,
    Message,
    Paused,
    Progress,
    StepDone,
)

EVENTS_FILE = "events.jsonl"
_KINDS: dict[str, type[Event]] = {
    kind.__name__: kind for kind in (Began, Continued, Ended, EpochDone, Message, Paused, Progress, StepDone)
}
_CHUNK = 1 << 17  # bytes that are read at a time: some thousand events, in about 10 ms
_END = 1 << 16  # bytes in which the last event is looked for


def to_line(event: Event) -> str:
    """Return one line of JSON: ``{"event": "EpochDone", "epoch": 1, …}``."""
    return json.dumps({"event": type(event).__name__, **asdict(event)})


def from_line(line: str | bytes) -> Event | None:
    """Return the event of a line; None for a line that is damaged, or of an event that is not known here."""
    try:
        values = json.loads(line)
        return _KINDS[values.pop("event")](**values)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


class Recorder:
    """Appends events to a file; what a killed process left of its last line is closed first."""

    def __init__(self, path: Path) -> None:
        damaged = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
        self._file: TextIOWrapper = path.open("a", encoding="utf-8")
        if damaged:
            self._file.write("\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, event: Event) -> None:
        """Append one event; a reader sees it at once."""
        self._file.write(to_line(event) + "\n")
        self._file.flush()


class Tail:
    """Reads what was added to a file of events since the last time, of its own or of another process.

    Parameters
    ----------
    path
        The file; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self.behind = True  # whether there may be more than was read so far

    def read(self) -> list[Event]:
        """Return the next events; at most some thousand at a time, so that nobody waits."""
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, 2)
                if size < self._read:  # begun anew
                    self._read = 0
                file.seek(self._read)
                chunk = file.read(_CHUNK)
        except FileNotFoundError:
            self._read, self.behind = 0, False
            return []
        whole = chunk.rfind(b"\n") + 1
        self._read += whole
        self.behind = whole > 0 and self._read < size
        return [event for line in chunk[:whole].splitlines() if (event := from_line(line)) is not None]


def last_event(path: Path) -> Event | None:
    """Return the last whole event of a file; None where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _END))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return None
    return next((event for line in reversed(lines) if (event := from_line(line)) is not None), None)
