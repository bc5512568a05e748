"""Choose the image layer to work on; where it does not know its anatomy, show what is assumed, to be changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFormLayout

from napari_scse._napari.inputs import Anatomy, LayerInput, anatomical_grid, assumed_anatomy, layer_input, refuse
from napari_scse._napari.label_source import is_scan
from napari_scse._napari.links import Following, Links
from napari_scse._widgets.anatomy_editor import AnatomyEditor
from napari_scse._widgets.cards import Choice
from napari_scse._widgets.forms import ChoiceBox, until_destroyed
from napari_scse.errors import InputError

_NOTHING = "open a scan first"
_NOTED = ("data", "scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")  # changes of a layer


class LayerPicker(QObject):
    """A combo box of the viewer's image layers, and an `AnatomyEditor` that is shown where one is needed."""

    changed = Signal()  # another layer, or another anatomy

    def __init__(self, viewer: Any, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        # what is set, and the spacing that the layer had itself
        self._anatomies: WeakKeyDictionary[Any, tuple[Anatomy, tuple[float, ...]]] = WeakKeyDictionary()
        self._following = Following(self.reset_choices)
        self.box = ChoiceBox(_NOTHING)
        self.editor = AnatomyEditor()
        self.box.picked.connect(self._on_layer)
        self.editor.picked.connect(self._on_anatomy)
        layers = viewer.layers.events
        until_destroyed(
            self,
            self._following,
            Links(self.reset_choices, layers.inserted, layers.removed, layers.renamed, layers.reordered),
        )
        self.reset_choices()

    def add_to(self, rows: QFormLayout) -> None:
        """Put both parts at the end of a form."""
        rows.addRow("Scan", self.box)
        rows.addRow(self.editor)

    @property
    def layer(self) -> Any:
        """The chosen image layer, or None."""
        return self.box.value

    @property
    def obstacle(self) -> str:
        """Why there is nothing to run on, or empty."""
        if self.layer is not None:
            return ""
        return (
            "Open a scan to begin: drag a NIfTI or MGH file into the window."
            if not self.box.choices
            else ("None of the open layers can be used: point at an entry of the list to see why.")
        )

    def choose(self, layer: Any) -> None:
        """Choose `layer`, as the user does with the box."""
        self.box.show_value(getattr(layer, "__wrapped__", layer))
        self._on_layer(self.layer)

    def input(self, through: float = 1.0) -> LayerInput:
        """Return what a run reads of the chosen layer, as it stands now.

        Parameters
        ----------
        through
            Thickness in mm to assume of a single slice.

        Raises
        ------
        InputError
            If there is no layer, or it cannot be used.
        """
        if self.layer is None:
            raise InputError(self.obstacle)
        anatomy = self._anatomy(self.layer)
        if anatomy is None and self.layer.ndim == 2:
            anatomy = assumed_anatomy(self.layer, through)
        return layer_input(self.layer, tuple(self._viewer.dims.point), anatomy)

    def reset_choices(self, *_: object) -> None:
        """List the viewer's image layers, the topmost first, and keep the chosen one if it is still there."""
        images = [layer for layer in reversed(list(self._viewer.layers)) if is_scan(layer)]
        refusals = {layer: refuse(layer) for layer in images}
        choices = [
            Choice(layer, layer.name, layer.name) if not why else Choice(layer, layer.name, why.sentence, why.brief)
            for layer, why in refusals.items()
        ]
        usable = [layer for layer, why in refusals.items() if not why]
        before = self.layer
        active = getattr(self._viewer.layers.selection.active, "__wrapped__", self._viewer.layers.selection.active)
        preferred = [layer for layer in (before, active, *usable) if any(layer is one for one in usable)]
        self.box.set_choices(choices, preferred[0] if preferred else None)
        self._on_layer(self.layer)

    def _anatomy(self, layer: Any) -> Anatomy | None:
        """Return what is set; the layer's own spacing counts again once it is another."""
        if layer not in self._anatomies:
            return None
        (anatomy, before), now = self._anatomies[layer], assumed_anatomy(layer).spacing
        return anatomy if before == now else replace(anatomy, spacing=now)

    def _on_layer(self, layer: Any) -> None:
        self._following.follow(*(getattr(layer.events, name) for name in _NOTED if layer is not None))
        needs = layer is not None and anatomical_grid(layer) is None
        self.editor.setVisible(needs)
        if needs:
            anatomy = self._anatomy(layer) or assumed_anatomy(layer)
            labels = [str(label) for label in layer.axis_labels[-3:]]
            names = [f"axis {label}" for label in labels]
            flat = layer.ndim == 2
            self.editor.show_anatomy(anatomy, ["", "rows", "columns"] if flat else names, flat)
        self.changed.emit()

    def _on_anatomy(self, anatomy: Anatomy) -> None:
        if self.layer is not None:
            self._anatomies[self.layer] = anatomy, assumed_anatomy(self.layer).spacing
            self.changed.emit()
