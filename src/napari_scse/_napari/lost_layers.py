"""A labels layer as the subject of a journal, and the layer again from what the journal held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_scse._napari.edits import Edits
from napari_scse._napari.hiding import own_colormap
from napari_scse._napari.layers import METADATA_KEY, Grid
from napari_scse._napari.packed import memory_order
from napari_scse.journal import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_scse.journal import Restored

_MANY = 5000  # colours or names


def subject_of(layer: Any, others: Iterable[Any] = ()) -> Subject:
    """Describe a labels layer so that `layer_of` makes it again; its scan is looked for among `others`.

    The array that is kept has the layer's axes in the order in which they lie in memory; see `laid_out`.
    """
    order = _order(layer)
    grid = Grid.from_metadata(layer.metadata, tuple(layer.data.shape)) if layer.ndim == 3 else None
    look: dict[str, Any] = {
        "axes": order,
        "scale": _plain(layer.scale),
        "translate": _plain(layer.translate),
        "rotate": _plain(layer.rotate),
        "shear": _plain(layer.shear),
        "affine": _plain(layer.affine.affine_matrix),
        "units": [str(unit) for unit in layer.units],
        "axis_labels": list(layer.axis_labels),
        "opacity": float(layer.opacity),
        "metadata": {} if grid is None else grid.to_metadata(),
    }
    colors = getattr(own_colormap(layer), "color_dict", None)
    if colors is not None and len(colors) <= _MANY:
        look["colors"] = [[value, _plain(color)] for value, color in colors.items()]
    if len(layer.features) <= _MANY and {"index", "name"} <= set(layer.features.columns):
        look["names"] = [[int(i), str(n)] for i, n in zip(layer.features["index"], layer.features["name"], strict=True)]
    shape = tuple(int(n) for n in np.take(layer.data.shape, order))
    affine = None if grid is None else grid.affine.tolist()
    return Subject(layer.name, shape, np.dtype(layer.dtype).name, affine, _source(layer, others), look)


def laid_out(layer: Any, array: Any) -> np.ndarray:
    """Return an array of the layer's shape with its axes as they lie in memory: a view, if it lies there as a whole."""
    found: np.ndarray = np.asarray(array).transpose(_order(layer))
    return found


def layer_of(subject: Subject, restored: Restored) -> Any:
    """Return the labels layer that `subject` describes, with what was painted."""
    look = dict(subject.look)
    back = np.argsort(look.pop("axes")).tolist()
    colors, names = look.pop("colors", None), look.pop("names", None)
    if colors is not None:
        look["colormap"] = DirectLabelColormap(color_dict={value: np.asarray(color) for value, color in colors})
    if names is not None:
        look["features"] = {"index": [i for i, _ in names], "name": [n for _, n in names]}
    layer = Labels(restored.labels.transpose(back), name=subject.name, **look)
    Edits.of(layer).restore(restored.painted.transpose(back))
    return layer


def _order(layer: Any) -> list[int]:
    return memory_order(layer.data) if isinstance(layer.data, np.ndarray) else list(range(layer.ndim))


def _plain(values: Any) -> list[Any]:
    plain: list[Any] = np.asarray(values, dtype=float).tolist()
    return plain


def _source(layer: Any, others: Iterable[Any]) -> str:
    """Return the path of the layer's own file, or of the first image on the same grid."""
    own = layer.metadata.get(METADATA_KEY, {}).get("grid")
    for other in (layer, *others):
        path = getattr(other.source, "path", None)
        if path and (other is layer or (own and other.metadata.get(METADATA_KEY, {}).get("grid") == own)):
            return str(path)
    return ""
