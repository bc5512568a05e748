"""What is locked, as a layer over its labels: an outline that is painted on and erased like any other."""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import ref

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_scse._napari.edits import Edits, unwrapped
from napari_scse._napari.history import box_around, new_of, place_of
from napari_scse._napari.layers import METADATA_KEY
from napari_scse._napari.links import Links

_COLORS: dict[int | None, str] = {None: "transparent", 0: "transparent", 1: "#ffd000"}


class LockLayer:
    """A labels layer with 1 where `layer` is the user's: painting there locks voxels, erasing gives them free.

    Both are steps of the history of `layer`; Ctrl-Z in either layer takes them back.

    Parameters
    ----------
    layers
        The viewer's layers; the new one comes over `layer`.
    layer
        The labels layer.
    """

    def __init__(self, layers: Any, layer: Any) -> None:
        self._layers, self.layer = layers, unwrapped(layer)
        layer = self.layer
        self._edits = Edits.of(layer)
        place = {
            name: getattr(layer, name) for name in ("scale", "translate", "rotate", "shear", "units", "axis_labels")
        }
        self.shown = Labels(
            self._edits.painted.view(np.uint8).copy(order="K"),
            name=f"{layer.name} locked",
            colormap=DirectLabelColormap(color_dict=_COLORS),
            opacity=1.0,
            affine=layer.affine,
            metadata={METADATA_KEY: {"locks": layer.name}},
            **place,
        )
        self.shown.contour = 1
        self.shown.selected_label = 1
        for name in ("undo", "redo"):
            setattr(self.shown, name, partial(_pass_on, ref(layer), name))
        chosen = layers.selection.active
        layers.insert(layers.index(layer) + 1, self.shown)
        layers.selection.active = chosen  # the brush stays in hand
        self._links = Links(self._on_paint, self.shown.events.paint)
        self._edits.changed.connect(self._on_changed)

    @property
    def is_shown(self) -> bool:
        """Whether both layers are in the viewer."""
        return self.shown in self._layers and self.layer in self._layers

    def close(self) -> None:
        """Take the layer away."""
        self._links.close()
        self._edits.changed.disconnect(self._on_changed, missing_ok=True)
        if self.shown in self._layers:
            self._layers.remove(self.shown)

    def _on_changed(self) -> None:
        painted = self._edits.painted
        if painted.shape == self.shown.data.shape:
            np.copyto(self.shown.data, painted, casting="unsafe")
            self.shown.refresh(extent=False, thumbnail=False)

    def _on_paint(self, event: Any) -> None:
        shown, places = self.shown.data, [place_of(atom) for atom in event.value]
        for place, atom in zip(places, event.value, strict=True):
            place.put(shown, new_of(atom))  # napari may tell before it writes
        self.shown._reset_history()
        box = box_around(places, shown.shape)
        wanted, painted = shown[box] != 0, self._edits.painted[box]
        freed = painted & ~wanted
        self._edits.lock(wanted, box)
        self._edits.unlock(freed, box)


def _pass_on(watched: Any, name: str) -> None:
    layer = watched()
    if layer is not None:
        getattr(layer, name)()
