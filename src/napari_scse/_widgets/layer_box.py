"""A combo box of a viewer's layers of one kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_scse._napari.inputs import Refusal
from napari_scse._napari.links import Links
from napari_scse._widgets.cards import Choice
from napari_scse._widgets.forms import ChoiceBox, until_destroyed


class LayerBox(QObject):
    """Lists layers, the topmost first; those that cannot be used are greyed out and say why.

    Parameters
    ----------
    viewer
        Whose layers.
    parent
        Lives as long.
    accepts
        Whether a layer is of the kind that is listed.
    refuses
        Why a listed layer cannot be chosen; None: it can.
    nothing
        What no layer is called, where there may be none; empty: one is chosen where there is one.
    """

    picked = Signal(object)  # the layer that is chosen now, by the user or because another one went, or None

    def __init__(
        self,
        viewer: Any,
        parent: QObject,
        accepts: Callable[[Any], bool],
        refuses: Callable[[Any], Refusal | None],
        nothing: str = "",
    ) -> None:
        super().__init__(parent)
        self._viewer, self._accepts, self._refuses, self._nothing = viewer, accepts, refuses, nothing
        self._layer: Any = None
        self.box = ChoiceBox("none is open")
        self.box.picked.connect(self._on_picked)
        layers = viewer.layers.events
        until_destroyed(
            self, Links(self.reset_choices, layers.inserted, layers.removed, layers.renamed, layers.reordered)
        )
        self.reset_choices()

    @property
    def layer(self) -> Any:
        """The chosen layer, or None."""
        return self._layer

    def choose(self, layer: Any) -> None:
        """Choose a layer, as the user does with the box."""
        self.box.show_value(getattr(layer, "__wrapped__", layer))
        self._on_picked(self.box.value)

    def reset_choices(self, *_: object) -> None:
        """List the layers anew, and keep the chosen one if it can still be chosen."""
        listed = [_bare(layer) for layer in reversed(list(self._viewer.layers)) if self._accepts(_bare(layer))]
        choices = [Choice(None, self._nothing, "")] if self._nothing else []
        usable = []
        for layer in listed:
            why = self._refuses(layer)
            if why is None:
                usable.append(layer)
            choices.append(Choice(layer, layer.name, why.sentence if why else layer.name, why.brief if why else ""))
        chosen = self._layer if any(self._layer is layer for layer in usable) else None
        if chosen is None and usable and not self._nothing:
            active = _bare(self._viewer.layers.selection.active)
            chosen = next((layer for layer in usable if layer is active), usable[0])
        self.box.set_choices(choices, chosen)
        if chosen is not self._layer:
            self._on_picked(chosen)

    def _on_picked(self, layer: Any) -> None:
        self._layer = layer
        self.picked.emit(layer)


def _bare(layer: Any) -> Any:
    """What a viewer hands to a plugin wraps its layers."""
    return getattr(layer, "__wrapped__", layer)
