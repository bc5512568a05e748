"""Which layer the labels go into: a new one, or one that lies on the scan's grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QObject, Signal

from napari_scse._napari.layers import is_derived, layer_affine
from napari_scse._napari.links import Links
from napari_scse._widgets.cards import Choice, RunCard
from napari_scse._widgets.forms import ChoiceBox, until_destroyed

_NEW = Choice(None, "a new layer", "Each run makes a layer of its own.")
_SAME = 1e-3  # mm


class TargetPicker(QObject):
    """A combo box of the labels layers on the grid of the chosen scan."""

    changed = Signal()

    def __init__(self, viewer: Any, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._scan: Callable[[], Any] = _nothing
        self._card: RunCard | None = None
        self.box = ChoiceBox()
        self.box.picked.connect(lambda _: self.changed.emit())
        layers = viewer.layers.events
        until_destroyed(self, Links(self.reset_choices, layers.inserted, layers.removed, layers.renamed))
        self.reset_choices()

    @property
    def layer(self) -> Labels | None:
        """The chosen labels layer, while it can be written to; None: a new one."""
        chosen: Labels | None = self.box.value
        return chosen if chosen is not None and self.accepts(chosen) else None

    def follow(self, scan: Any, card: RunCard | None) -> None:
        """Offer the layers on the grid of the image layer `scan` that can hold the labels of a run."""
        self._scan, self._card = (_nothing if scan is None else ref(scan)), card
        self.reset_choices()

    def choose(self, layer: Any) -> None:
        """Choose a layer, as the user does with the box."""
        self.box.show_value(getattr(layer, "__wrapped__", layer))
        self.changed.emit()

    def accepts(self, layer: Any) -> bool:
        """Whether a layer could be chosen now."""
        scan = self._scan()
        there = scan is not None and layer in self._viewer.layers
        return there and _fits(layer, scan) and self._choice(layer).is_open

    def reset_choices(self, *_: object) -> None:
        """List the layers, and keep the chosen one if it is still there."""
        scan, before = self._scan(), self.layer
        real = [getattr(layer, "__wrapped__", layer) for layer in reversed(list(self._viewer.layers))]
        fitting = [layer for layer in real if scan is not None and _fits(layer, scan)]
        self.box.set_choices([_NEW, *(self._choice(layer) for layer in fitting)], None)
        if any(layer is before for layer in fitting):
            self.box.show_value(before)

    def _choice(self, layer: Labels) -> Choice:
        largest = max((structure.value for structure in self._card.classes), default=0) if self._card else 0
        too_small = largest > np.iinfo(layer.data.dtype).max
        why = f"{layer.data.dtype} numbers" if too_small else ""
        return Choice(layer, layer.name, "What you painted in it stays; all else is labelled anew.", why)


def _fits(layer: Any, scan: Any) -> bool:
    """Whether a layer is one of labels that can be painted on and has the last three axes of an image layer."""
    if not isinstance(layer, Labels) or layer.multiscale or not isinstance(layer.data, np.ndarray):
        return False
    if is_derived(layer):
        return False
    shape = (scan.data[0] if scan.multiscale else scan.data).shape[-3:]
    return tuple(layer.data.shape) == tuple(shape) and np.allclose(layer_affine(layer), layer_affine(scan), atol=_SAME)


def _nothing() -> None:
    """No scan is chosen."""
