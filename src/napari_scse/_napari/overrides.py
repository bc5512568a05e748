"""Layers of the question "what if": a gate to paint on, the labels that follow, and a reference in the same grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

import numpy as np
from napari.layers import Labels

from napari_scse._napari.inputs import LayerInput
from napari_scse._napari.label_source import is_labels
from napari_scse._napari.labels import look_of
from napari_scse._napari.layers import METADATA_KEY, Grid, layer_affine, layer_volume, place
from napari_scse._napari.links import Links
from napari_scse._napari.maps import map_grid
from napari_scse.sides import classes_by_value
from napari_scse.structures import Structure
from napari_scse.volume import LabelVolume

if TYPE_CHECKING:
    from napari_scse.exploration import Film


class PaintedGate:
    """A labels layer on the grid of one site; label n means a gate of (n - 1) %, 0 leaves the trained one.

    Parameters
    ----------
    viewer
        The layer is added to it and selected, with the brush in hand.
    film, source, site
        Whose gate it is, over which scan.
    changed
        A method that is called when the slice that was asked for last is painted otherwise; it is held weakly.
    """

    def __init__(self, viewer: Any, film: Film, source: LayerInput, site: str, changed: Callable[..., None]) -> None:
        self._viewer = viewer
        shape, affine = film.maps.record(site).shape[1:], film.maps.affine(site)
        grid = self._grid = map_grid(shape, affine, source.to_shown)
        self._asked = 0, np.zeros(shape[1:], np.uint8)
        self._changed = WeakMethod(changed)
        self.layer = Labels(
            grid.show(np.zeros(shape, np.uint8)),
            name=f"{source.name} {site} painted",
            opacity=0.7,
            metadata={METADATA_KEY: {"what-if": site}},
            **place(source.to_shown @ grid.display),
        )
        viewer.add_layer(self.layer)
        self.layer.mode = "paint"
        self.layer.brush_size = 6
        self._links = Links(self._on_drawn, self.layer.events.paint, self.layer.events.set_data)

    @property
    def is_shown(self) -> bool:
        """Whether the layer is still in the viewer."""
        return self.layer in self._viewer.layers

    def levels(self, number: int) -> np.ndarray:
        """Return what is painted on slice `number`, 0 … 1, NaN where nothing is; (h, w)."""
        from napari_scse.exploration import painted_levels

        self._asked = number, self._slice(number).copy()
        return painted_levels(self._asked[1])

    def close(self) -> None:
        """Stop telling of strokes; the layer stays."""
        self._links.close()

    def _slice(self, number: int) -> np.ndarray:
        found: np.ndarray = self._grid.restore(np.asarray(self.layer.data))[number]
        return found

    def _on_drawn(self, *_: object) -> None:
        """Look what is other: of an undo, and of other data, napari only tells that the layer is drawn anew."""
        number, before = self._asked
        changed = self._changed()
        if changed is not None and not np.array_equal(self._slice(number), before):
            changed()


class ReplacedLabels:
    """A labels layer that holds the answer for one slice at a time."""

    def __init__(self, viewer: Any, film: Film, source: LayerInput, structures: Sequence[Structure]) -> None:
        self._viewer = viewer
        shape = (*film.done.shape[1:], *film.frames.layout.plane_shape)
        grid = self._grid = map_grid(shape, film.labels_affine, source.to_shown)
        self._classes = film.classes
        self._number = 0
        keywords = place(source.to_shown @ grid.display) | look_of(structures)
        keywords["metadata"] = {METADATA_KEY: {"what-if": "labels"}}
        data = grid.show(np.zeros(shape, self._classes.dtype))
        self.layer = Labels(data, name=f"{source.name} labels, what if", **keywords)
        self.layer.editable = False
        before = viewer.layers.selection.active
        viewer.add_layer(self.layer)
        viewer.layers.selection.active = before  # the brush stays in hand

    @property
    def is_shown(self) -> bool:
        """Whether the layer is still in the viewer."""
        return self.layer in self._viewer.layers

    def show(self, number: int, labels: np.ndarray) -> None:
        """Show class indices (height, width) on slice `number`, and nothing elsewhere."""
        data = self._grid.restore(self.layer.data)
        data[self._number] = 0
        data[number] = self._classes[labels]
        self._number = number
        self.layer.refresh(extent=False, thumbnail=False)

    def remove(self) -> None:
        """Take the layer away."""
        if self.is_shown:
            self._viewer.layers.remove(self.layer)


def references(viewer: Any) -> list[Any]:
    """Return the 3-D labels layers that say what is there, the topmost last: no gate, no answer, no locks."""
    return [layer for layer in viewer.layers if is_labels(layer) and layer.ndim == 3]


def labels_over(layer: Any, source: LayerInput) -> LabelVolume:
    """Return the labels of a 3-D layer in the anatomical space of the scan `source`, over which it lies."""
    data = np.asarray(layer.data)
    display = np.linalg.inv(source.to_shown) @ layer_affine(layer)
    volume = layer_volume(data, Grid.from_display((data.shape[0], data.shape[1], data.shape[2]), display))
    return LabelVolume(volume.data, volume.affine)


def reference_classes(
    layer: Any, film: Film, source: LayerInput, structures: Sequence[Structure], number: int
) -> np.ndarray:
    """Return the classes that a 3-D labels layer has at the pixels of one slice of a film: (height, width).

    `structures` are the film's classes. Values that the run does not know are background; so is what lies outside of
    the layer.
    """
    height, width = film.frames.layout.plane_shape
    rows, columns = np.indices((height, width)).reshape(2, -1)
    pixels = np.stack([np.full(rows.size, number), rows, columns, np.ones(rows.size)])
    reference = labels_over(layer, source)
    index = np.rint((np.linalg.inv(reference.affine) @ film.labels_affine @ pixels)[:3]).astype(int)
    inside = np.all((index >= 0) & (index < np.reshape(reference.shape, (3, 1))), axis=0)
    values = np.zeros(rows.size, np.int64)
    values[inside] = reference.data[tuple(index[:, inside])]
    known = classes_by_value(structures)
    found = np.array([known.get(value, 0) for value in np.unique(values).tolist()])
    return found[np.searchsorted(np.unique(values), values)].reshape(height, width)
