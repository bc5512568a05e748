"""A film as layers: the labels and the maps of every epoch, read from where they are computed, when they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_scse._napari.inputs import LayerInput
from napari_scse._napari.labels import look_of
from napari_scse._napari.layers import METADATA_KEY, LayerData
from napari_scse._napari.maps import by_epoch, map_grid, map_layers
from napari_scse.structures import Structure

if TYPE_CHECKING:
    from napari_scse.exploration import Film


def film_layers(film: Film, source: LayerInput, structures: Sequence[Structure], tag: str = "") -> list[LayerData]:
    """Return the layers of a film over the scan `source`: its labels, then one layer per spatial site.

    Parameters
    ----------
    tag
        Stands in the layers' names behind the scan's.
    """
    prefix = f"{source.name} {tag} " if tag else f"{source.name} "
    layers = map_layers(film.maps, prefix, full_range=True, source=source, done=film.done)
    if film.labels is None:
        return layers
    grid = map_grid(film.labels.shape[1:], film.labels_affine, source.to_shown)
    keywords = {
        "name": f"{prefix}labels by epoch",
        "metadata": grid.to_metadata(film=film.run.name),
        **by_epoch(film.epochs, grid, source),
        **look_of(structures),
    }
    labels = film.labels.transpose(0, *(axis + 1 for axis in grid.axes))
    labels.flags.writeable = False
    return [(labels, keywords, "labels"), *layers]


def shown_frame(layer: Any, point: Sequence[float]) -> tuple[int, int]:
    """Return (epoch index, slice) that a layer of a film shows while the sliders stand at `point`."""
    axes = layer.metadata[METADATA_KEY]["grid"]["axes"]
    index = np.asarray(layer.world_to_data(np.asarray(point, dtype=float)[-4:]))
    along = axes.index(0)
    epochs, count = layer.data.shape[0], layer.data.shape[along + 1]
    return (
        int(np.clip(round(float(index[0])), 0, epochs - 1)),
        int(np.clip(round(float(index[along + 1])), 0, count - 1)),
    )
