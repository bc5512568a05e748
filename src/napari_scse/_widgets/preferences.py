"""What the user has set under File ▸ Preferences for this plugin, or its defaults."""

from __future__ import annotations

from typing import Any

from napari.settings import get_plugin_settings

from napari_scse._napari.view import Convention


def preferred_convention() -> Convention:
    """Return the convention heads are shown in."""
    return Convention(_setting("view", "convention", Convention.RADIOLOGICAL.value))


def preferred_device() -> str:
    """Return the device that is chosen at first."""
    return str(_setting("compute", "device", "auto"))


def _setting(group: str, name: str, default: str) -> Any:
    try:
        settings = get_plugin_settings("napari-scse")
    except KeyError:
        return default
    return getattr(getattr(settings, group, None), name, default)
