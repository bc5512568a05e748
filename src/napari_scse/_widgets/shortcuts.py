"""Keys: which there are, what they do, and how a dock widget takes and gives them.

A dock names what it can do, and nothing else::

    self.shortcuts = Shortcuts(self, viewer, {"run": self.run_or_cancel, "live": self.live.toggle})
    column(self, …, self.shortcuts.fold)

The keys come from one table, in which no two are the same and none is napari's. They are bound on this viewer alone,
and given back when the dock goes. Where several docks of a viewer want a key, the one that is seen has it, the one
opened last first. What another plugin, or the user, has bound stays theirs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any
from weakref import ref

from napari.utils.notifications import show_info
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_scse._widgets.dock import DockedWidget
from napari_scse._widgets.forms import Folded, until_destroyed

# what a dock calls it -> the key, and what it does
ACTIONS: dict[str, tuple[str, str]] = {
    "run": ("Shift-R", "run, or cancel what runs"),
    "live": ("G", "live on or off"),
    "labels": ("H", "hide or show the labels"),
    "jump": ("J", "go to where the network is least sure"),
    "learn": ("Shift-T", "learn from what is painted"),
    "accept": ("Shift-Enter", "accept what was learnt"),
    "reject": ("Shift-Backspace", "go back to before it was learnt"),
    "next_epoch": (".", "next epoch"),
    "previous_epoch": (",", "previous epoch"),
    "play": ("K", "play the epochs, or stop"),
    "next_structure": ("N", "go to the next structure"),
    "previous_structure": ("Shift-N", "go to the previous structure"),
    "pause": ("Shift-W", "pause the training, or go on"),
    "stop": ("Shift-X", "stop the training"),
    "resume": ("Shift-C", "resume the training that was stopped"),
}
_WORDS = {"Shift-": "⇧ " if sys.platform == "darwin" else "Shift + ", "Enter": "Return"}


class Shortcuts:
    """The keys of one dock widget in one viewer, from now until the dock goes.

    Parameters
    ----------
    owner
        The dock widget.
    viewer
        The viewer that it is docked in.
    actions
        Name in `ACTIONS` → what to call.

    Attributes
    ----------
    actions
        As given: the command palette calls them, too.
    taken
        Keys that something else has, and that do nothing here.
    fold
        A list of the keys, folded up, to be put into the dock.
    """

    def __init__(self, owner: DockedWidget, viewer: Any, actions: Mapping[str, Callable[[], object]]) -> None:
        self.actions = dict(actions)
        self.taken: list[str] = []
        self._owner = ref(owner)
        self._claims = _Claims(ref(self))
        for name in self.actions:
            if not self._claims.claim(viewer, ACTIONS[name][0], name):
                self.taken.append(ACTIONS[name][0])
        self.fold = Folded("Keys", _listed([ACTIONS[name] for name in self.actions], self.taken))
        owner.taken_out.connect(self.close)
        until_destroyed(owner, self._claims)

    @property
    def is_seen(self) -> bool:
        """Whether the dock is on screen: not behind another one, nor hidden."""
        owner = self._owner()
        return owner is not None and owner.isVisible() and not owner.visibleRegion().isEmpty()

    def close(self) -> None:
        """Give the keys back; a second time does nothing."""
        self._claims.close()


class _Claims:
    """The keys that a dock has asked for; it does not keep the dock alive."""

    def __init__(self, shortcuts: ref[Shortcuts]) -> None:
        self.shortcuts = shortcuts
        self._keys: list[_Key] = []

    def claim(self, viewer: Any, key: str, name: str) -> bool:
        """Ask for a key; tell whether it can be had."""
        found = _Key.on(viewer, key)
        if found is not None:
            found.claims.append((self, name))
            self._keys.append(found)
        return found is not None

    def close(self) -> None:
        """Give the keys back."""
        keys, self._keys = self._keys, []
        for key in keys:
            key.release(self)


class _Key:
    """A key that is bound on a viewer, and who wants it."""

    def __init__(self, viewer: Any, key: str) -> None:
        self.claims: list[tuple[_Claims, str]] = []
        self._viewer = viewer
        self._key = key

    @classmethod
    def on(cls, viewer: Any, key: str) -> _Key | None:
        """Return the key as it is bound on `viewer`, bound now if it was free; None if something else has it."""
        made = cls(viewer, key)
        try:
            viewer.bind_key(key, made.press)
        except ValueError:  # somebody has it: we ourselves, for another dock, or something else
            found = viewer.bind_key(key, None)
            viewer.bind_key(key, found)
            owner = getattr(found, "__self__", None)
            return owner if isinstance(owner, cls) else None
        return made

    def press(self, viewer: Any) -> None:  # noqa: ARG002 - napari passes it
        """Do what the dock that has the key does with it."""
        alive = [(shortcuts, name) for claim, name in self.claims if (shortcuts := claim.shortcuts()) is not None]
        chosen = next((one for one in reversed(alive) if one[0].is_seen), alive[-1] if alive else None)
        if chosen is not None:
            shortcuts, name = chosen
            shortcuts.actions[name]()

    def release(self, claims: _Claims) -> None:
        """Forget what was wanted; the last one unbinds the key."""
        self.claims = [claim for claim in self.claims if claim[0] is not claims]
        if not self.claims:
            self._viewer.bind_key(self._key, None)


def call(shortcuts: Shortcuts, name: str) -> None:
    """Do what a key does, for the command palette; say so where the dock cannot do it at present."""
    action = shortcuts.actions.get(name)
    if action is None:
        show_info(f"There is nothing to {ACTIONS[name][1]} here.")
    else:
        action()


def words(key: str) -> str:
    """Return a key as people read it.

    Examples
    --------
    >>> words("G")
    'G'
    """
    for part, word in _WORDS.items():
        key = key.replace(part, word)
    return key


def _listed(actions: list[tuple[str, str]], taken: list[str]) -> QGridLayout:
    grid = QGridLayout()
    grid.setContentsMargins(12, 0, 0, 0)
    grid.setColumnStretch(1, 1)
    for row, (key, what) in enumerate(actions):
        grid.addWidget(QLabel(words(key)), row, 0)
        grid.addWidget(_wrapped(f"{what} (something else has this key)" if key in taken else what), row, 1)
    return grid


def _wrapped(text: str) -> QWidget:
    label = QLabel(text)
    label.setWordWrap(True)
    return label
