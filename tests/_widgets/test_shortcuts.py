"""Keys: none of napari's, given back when a dock goes, each viewer its own; and the command palette."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import napari.layers
import pytest
from app_model.types import KeyBinding
from napari.components import ViewerModel
from napari.settings import get_settings
from napari.utils.key_bindings import coerce_keybinding
from npe2 import PluginManifest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QVBoxLayout

from napari_scse._widgets import commands
from napari_scse._widgets.dock import DockedWidget
from napari_scse._widgets.explore.widget import ExploreWidget
from napari_scse._widgets.numbers.widget import NumbersWidget
from napari_scse._widgets.shortcuts import ACTIONS, Shortcuts, words

MANIFEST = Path(commands.__file__).parents[1] / "napari.yaml"
_LAYERS = ("Image", "Labels", "Points", "Shapes", "Surface", "Tracks", "Vectors")
_MNEMONICS = "Alt"  # with a letter it opens a menu


class Dock(DockedWidget):
    """A dock that notes what it was asked to do."""

    wants: tuple[str, ...] = ("run", "live")

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.done: list[str] = []
        self.shortcuts = Shortcuts(self, viewer, {name: self._maker(name) for name in self.wants})
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel("dock"))
        layout.addWidget(self.shortcuts.fold)

    def _maker(self, name: str) -> Callable[[], None]:
        return lambda: self.done.append(name)


class OtherDock(Dock):
    """Another one, which wants one of the same keys."""

    wants = ("run", "jump")


def _keys() -> set[KeyBinding]:
    return {coerce_keybinding(key) for key, _ in ACTIONS.values()}


def test_no_two_are_the_same_and_none_opens_a_menu() -> None:
    assert len(_keys()) == len(ACTIONS)
    assert not [key for key, _ in ACTIONS.values() if _MNEMONICS in key or "Ctrl" in key]
    assert len({what for _, what in ACTIONS.values()}) == len(ACTIONS)


@pytest.mark.usefixtures("viewer")
def test_none_is_naparis() -> None:
    ours = {str(key) for key in _keys()}
    theirs = {str(key) for keys in get_settings().shortcuts.shortcuts.values() for key in keys}
    maps: list[Mapping[Any, Any]] = [ViewerModel.class_keymap]
    for name in _LAYERS:
        maps += [cls.class_keymap for cls in getattr(napari.layers, name).__mro__ if hasattr(cls, "class_keymap")]
    theirs |= {str(key) for keymap in maps for key in keymap}
    assert len(theirs) > 60
    assert not ours & theirs


def test_menus_have_none_of_them(viewer: Any) -> None:
    from napari._app_model import get_app_model

    ours = {str(key) for key in _keys()}
    assert not ours & {str(rule.keybinding) for rule in get_app_model().keybindings}
    assert viewer


def _press(
    qtbot: QtBot, viewer: Any, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier
) -> None:
    canvas = viewer.__wrapped__.window._qt_viewer.canvas.native
    qtbot.keyClick(canvas, key, modifier)


def test_a_key_is_pressed_and_given_back(viewer: Any, place: Callable[..., Any], qtbot: QtBot) -> None:
    dock = place(Dock)
    _press(qtbot, viewer, Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier)
    _press(qtbot, viewer, Qt.Key.Key_G)
    assert dock.done == ["run", "live"]
    assert not dock.shortcuts.taken
    viewer.window.remove_dock_widget(dock)
    _press(qtbot, viewer, Qt.Key.Key_G)
    assert dock.done == ["run", "live"]
    assert not _keys() & set(viewer.__wrapped__.keymap)


def test_the_dock_opened_last_has_the_key(viewer: Any, place: Callable[..., Any], qtbot: QtBot) -> None:
    first, second = place(Dock, viewer), place(OtherDock, viewer)
    _press(qtbot, viewer, Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier)
    assert (first.done, second.done) == ([], ["run"])
    _press(qtbot, viewer, Qt.Key.Key_J)
    _press(qtbot, viewer, Qt.Key.Key_G)
    assert (first.done, second.done) == (["live"], ["run", "jump"])
    viewer.window.remove_dock_widget(second)
    _press(qtbot, viewer, Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier)
    assert first.done == ["live", "run"]


def test_the_dock_that_is_seen_has_the_key(
    make_napari_viewer_proxy: Callable[..., Any], place: Callable[..., Any], qtbot: QtBot
) -> None:
    viewer = make_napari_viewer_proxy(show=True)
    first, second = place(Dock, viewer), place(OtherDock, viewer)
    qtbot.waitUntil(lambda: first.shortcuts.is_seen and second.shortcuts.is_seen, timeout=20_000)
    second.parent().hide()
    _press(qtbot, viewer, Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier)
    assert (first.done, second.done) == (["run"], [])
    second.parent().show()
    qtbot.waitUntil(lambda: second.shortcuts.is_seen, timeout=20_000)
    _press(qtbot, viewer, Qt.Key.Key_R, Qt.KeyboardModifier.ShiftModifier)
    assert (first.done, second.done) == (["run"], ["run"])


def test_what_somebody_else_has_bound_stays_theirs(viewer: Any, place: Callable[..., Any], qtbot: QtBot) -> None:
    pressed: list[str] = []
    viewer.bind_key("G", lambda _: pressed.append("theirs"))
    dock = place(Dock)
    assert dock.shortcuts.taken == ["G"]
    assert any("something else" in label.text() for label in dock.shortcuts.fold.findChildren(QLabel))
    _press(qtbot, viewer, Qt.Key.Key_G)
    viewer.window.remove_dock_widget(dock)
    _press(qtbot, viewer, Qt.Key.Key_G)
    assert (pressed, dock.done) == (["theirs", "theirs"], [])


def test_two_viewers_have_their_own_keys(
    make_napari_viewer_proxy: Callable[..., Any], viewer: Any, place: Callable[..., Any], qtbot: QtBot
) -> None:
    other = make_napari_viewer_proxy()
    one, two = place(Dock), place(Dock, other)
    _press(qtbot, viewer, Qt.Key.Key_G)
    assert (one.done, two.done) == (["live"], [])
    _press(qtbot, other, Qt.Key.Key_G)
    assert (one.done, two.done) == (["live"], ["live"])
    viewer.window.remove_dock_widget(one)
    _press(qtbot, other, Qt.Key.Key_G)
    assert two.done == ["live", "live"]


def test_keys_of_explore(viewer: Any, dock: Callable[..., Any], qtbot: QtBot) -> None:
    import numpy as np

    widget = dock(ExploreWidget)
    viewer.add_image(np.zeros((3, 4, 5, 6)))
    viewer.dims.set_current_step(0, 0)
    _press(qtbot, viewer, Qt.Key.Key_Period)
    assert viewer.dims.current_step[0] == 1
    _press(qtbot, viewer, Qt.Key.Key_Comma)
    _press(qtbot, viewer, Qt.Key.Key_Comma)
    assert viewer.dims.current_step[0] == 2
    labels = viewer.add_labels(np.zeros((4, 5, 6), int))
    _press(qtbot, viewer, Qt.Key.Key_H)
    assert not labels.visible
    _press(qtbot, viewer, Qt.Key.Key_H)
    assert labels.visible
    listed = [label.text() for label in widget.shortcuts.fold.findChildren(QLabel)]
    assert "next epoch" in listed
    assert words("Shift-R") in listed


def test_the_palette_reaches_every_dock_and_action() -> None:
    manifest = PluginManifest.from_file(MANIFEST)
    titles = {command.id.partition(".")[2]: command for command in manifest.contributions.commands or ()}
    widgets = {widget.command.partition(".")[2]: widget.display_name for widget in manifest.contributions.widgets or ()}
    assert {"Segment", "Explore", "Numbers", "Doctor"} <= set(widgets.values())
    functions = [c for c in titles.values() if (c.python_name or "").startswith("napari_scse._widgets.commands:")]
    assert len(functions) >= 10
    for command in functions:
        function = getattr(commands, (command.python_name or "").partition(":")[2])
        assert function.__doc__
    assert len({command.title for command in titles.values()}) == len(titles)


def test_an_action_opens_its_dock(viewer: Any, npe2pm: Any, qtbot: QtBot) -> None:
    import numpy as np

    npe2pm.register(PluginManifest.from_file(MANIFEST))
    layer = viewer.add_labels(np.eye(5, dtype=int), name="labels")
    assert not viewer.window.dock_widgets
    commands.perform("Numbers", "next_structure", viewer.__wrapped__)
    (widget,) = viewer.window.dock_widgets.values()
    assert isinstance(getattr(widget, "__wrapped__", widget), NumbersWidget)
    qtbot.waitUntil(lambda: not widget.counting.is_busy, timeout=60_000)
    commands.perform("Numbers", "next_structure", viewer.__wrapped__)
    assert len(viewer.window.dock_widgets) == 1
    assert layer.selected_label == 1
    commands.perform("Numbers", "live", viewer.__wrapped__)  # nothing that this dock does
