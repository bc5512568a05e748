"""What the user has set under File ▸ Preferences for this plugin, or its defaults; docks that are open follow it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Protocol

from napari.settings import get_plugin_settings

from napari_scse._napari.links import Links
from napari_scse._napari.view import Convention
from napari_scse.settings import PREFERRED

# field of `Preferences` -> group and name in the manifest
_PLACES = {
    "device": ("compute", "device"),
    "precision": ("compute", "precision"),
    "live": ("compute", "live"),
    "convention": ("view", "convention"),
    "runs": ("folders", "runs"),
    "models": ("folders", "models"),
    "films": ("folders", "films"),
}


@dataclass(frozen=True)
class Preferences:
    """What is preferred.

    Attributes
    ----------
    device, precision
        What is chosen at first.
    live
        Whether the displayed slice is segmented while one scrolls, from the start.
    convention
        What heads are shown in.
    runs, models
        The folder of the user's own runs, and where published ones are fetched from; empty: as usual.
    films
        How many GB films may take on disk.
    """

    device: str = "auto"
    precision: str = "float32"
    live: bool = False
    convention: str = Convention.RADIOLOGICAL.value
    runs: str = ""
    models: str = ""
    films: float = 4.0


def read_preferences() -> Preferences:
    """Read what is set in napari now, and let the core know of the folders."""
    settings = _settings()
    found: dict[str, Any] = {}
    for field in fields(Preferences):
        group, name = _PLACES[field.name]
        value = getattr(getattr(settings, group, None), name, None)
        found[field.name] = field.default if value is None else value
    preferences = Preferences(**found)
    PREFERRED.runs, PREFERRED.models = preferences.runs, preferences.models
    PREFERRED.film_bytes = int(preferences.films * 2**30)
    return preferences


def preferred_convention() -> Convention:
    """Return the convention heads are shown in."""
    return Convention(read_preferences().convention)


def preferred_device() -> str:
    """Return the device that is chosen at first."""
    return read_preferences().device


def preferred_live() -> bool:
    """Return whether live is on at first."""
    return read_preferences().live


def preference_events(*names: str) -> tuple[Any, ...]:
    """Return what tells of changes to fields of `Preferences` (all if none is named), for `Links`; may be nothing."""
    settings = _settings()
    found = []
    for name in names or tuple(_PLACES):
        group, key = _PLACES[name]
        emitter = getattr(getattr(getattr(settings, group, None), "events", None), key, None)
        found += [] if emitter is None else [emitter]
    return tuple(found)


class Computes(Protocol):
    """The state of a dock that computes."""

    device: str
    precision: str


class PreferredComputing:
    """Keeps a dock's device and precision what they are in the preferences, whenever those change."""

    def __init__(self, state: Computes) -> None:
        self._state = state
        self._links = Links(self._follow, *preference_events("device", "precision"))

    def close(self) -> None:
        """Stop following."""
        self._links.close()

    def _follow(self, *_: object) -> None:
        preferences = read_preferences()
        self._state.device, self._state.precision = preferences.device, preferences.precision


def _settings() -> Any:
    """napari's settings of this plugin; None where there are none, such as in a script."""
    try:
        return get_plugin_settings("napari-scse")
    except KeyError:
        return None
