"""Preferences: defaults without napari's, what is set, and docks that follow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from npe2 import PluginManifest

from napari_scse._napari.view import Convention, shown_convention, stand_upright
from napari_scse._widgets import preferences
from napari_scse._widgets.explore.widget import ExploreWidget
from napari_scse._widgets.preferences import Preferences, preference_events, preferred_device, read_preferences
from napari_scse.runs import user_runs
from napari_scse.settings import PREFERRED, Preferred

MANIFEST = Path(preferences.__file__).parents[1] / "napari.yaml"


@pytest.fixture(autouse=True)
def _preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the core is told to the test."""
    for name, value in vars(Preferred()).items():
        monkeypatch.setattr(PREFERRED, name, value)
    monkeypatch.delenv("NAPARI_SCSE_RUNS", raising=False)


@pytest.fixture
def settings(npe2pm: Any, plugin_settings: Any) -> Any:  # noqa: ARG001 - they are fresh
    """napari's settings of this plugin."""
    from napari.settings import get_plugin_settings

    npe2pm.register(PluginManifest.from_file(MANIFEST))
    return get_plugin_settings("napari-scse")


@pytest.mark.usefixtures("plugin_settings")
def test_without_the_plugin_there_are_defaults() -> None:
    assert read_preferences() == Preferences()
    assert preference_events() == ()


def test_the_manifests_defaults_are_ours(settings: Any) -> None:
    assert read_preferences() == Preferences()
    assert len(preference_events()) == 7
    assert settings.compute.device == "auto"


def test_what_is_set_is_read_and_told_to_the_core(settings: Any, tmp_path: Path) -> None:
    settings.compute.device, settings.compute.precision, settings.compute.live = "cpu", "bfloat16", True
    settings.view.convention = "neurological"
    settings.folders.runs, settings.folders.films = str(tmp_path), 0.5
    assert read_preferences() == Preferences("cpu", "bfloat16", True, "neurological", str(tmp_path), "", 0.5)
    assert user_runs() == tmp_path
    assert PREFERRED.film_bytes == 1 << 29
    with pytest.raises(ValueError, match="allowed enum values"):
        settings.compute.device = "gpu"
    with pytest.raises(ValueError, match=r"greater than or equal to 0\.5"):
        settings.folders.films = 0


def test_open_docks_follow(settings: Any, viewer: Any, layer: Any, dock: Callable[..., Any]) -> None:
    settings.compute.precision = "bfloat16"
    widget = dock(ExploreWidget)
    assert (widget.state.device, widget.state.precision) == ("auto", "bfloat16")
    settings.compute.device = "cpu"
    assert widget.state.device == widget.device.value == "cpu"
    assert preferred_device() == "cpu"
    settings.view.convention = "neurological"
    assert shown_convention(viewer) is None  # nothing stands upright yet
    stand_upright(viewer, Convention.RADIOLOGICAL)
    settings.view.convention = "radiological"
    settings.view.convention = "neurological"
    assert shown_convention(viewer) is Convention.NEUROLOGICAL
    assert layer.visible
