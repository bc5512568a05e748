"""The view bar: stands the head upright, in a plane and a convention, and says which hold."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_scse._napari.links import Links
from napari_scse._napari.view import (
    Compass,
    Convention,
    knows_anatomy,
    show_plane,
    shown_convention,
    shown_plane,
    stand_upright,
)
from napari_scse._widgets.cards import Choice
from napari_scse._widgets.forms import ChoiceBox, until_destroyed
from napari_scse._widgets.preferences import preference_events, preferred_convention
from napari_scse.slices import Plane

_UNKNOWN = "The images in this window do not say where left or up is, so there is no plane to name."


class ViewBar(QWidget):
    """Buttons for the planes, and the convention; nothing is changed before one of them is used."""

    def __init__(self, viewer: Any, convention: Convention, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._preferred = convention
        self.planes = {plane: QPushButton(plane.capitalize()) for plane in Plane}
        self.convention = ChoiceBox()
        buttons, column = QHBoxLayout(), QVBoxLayout(self)
        buttons.setSpacing(3)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(5)
        for plane, button in self.planes.items():
            button.setCheckable(True)
            button.clicked.connect(partial(self._on_plane, plane))
            buttons.addWidget(button)
        column.addLayout(buttons)
        column.addWidget(self.convention)
        self.convention.picked.connect(self.set_convention)
        layers, dims = viewer.layers.events, viewer.dims.events
        turned = (dims.order, dims.ndisplay, dims.ndim, viewer.scene.camera.events.orientation)
        until_destroyed(
            self,
            Links(self.render, layers.inserted, layers.removed, *turned),
            Links(self._on_preferred, *preference_events("convention")),
        )
        self.render()

    def show_plane(self, plane: Plane) -> None:
        """Show slices of `plane`, upright."""
        show_plane(self._viewer, plane)
        self.set_convention(shown_convention(self._viewer) or self._preferred)
        self._viewer.fit_to_view()
        self.render()

    def set_convention(self, convention: Convention | None) -> None:
        """Stand the head upright in `convention`, and put letters at the edges of the picture."""
        if convention is None:
            return
        self._preferred = convention
        stand_upright(self._viewer, convention)
        if not Compass.is_on(self._viewer):
            until_destroyed(self, Compass(self._viewer))

    def render(self, *_: object) -> None:
        """Show the plane and the convention that hold now."""
        shown, known = shown_plane(self._viewer), knows_anatomy(self._viewer)
        for plane, button in self.planes.items():
            with QSignalBlocker(button):
                button.setChecked(plane is shown and known)
            button.setEnabled(known)
            button.setToolTip(f"Show {plane} slices, the head upright." if known else _UNKNOWN)
        holds = shown_convention(self._viewer)
        offered = [Choice(c, c.sentence, c.sentence) for c in Convention]
        if holds is None:
            offered.insert(0, Choice(None, "not upright", "Choose a plane or a convention to stand the head upright."))
        self.convention.set_choices(offered, holds)
        self.convention.setEnabled(known)

    def _on_preferred(self, *_: object) -> None:
        """Another convention is preferred: heads that stand upright turn to it."""
        self._preferred = preferred_convention()
        if shown_convention(self._viewer) is not None and knows_anatomy(self._viewer):
            self.set_convention(self._preferred)

    def _on_plane(self, plane: Plane, *_: object) -> None:
        self.show_plane(plane)
