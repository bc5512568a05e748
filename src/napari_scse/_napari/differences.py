"""Two films of one scan against each other: the difference of their gates, and where their labels disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import DirectLabelColormap

from napari_scse._napari.inputs import LayerInput
from napari_scse._napari.layers import LayerData
from napari_scse._napari.maps import by_epoch, map_grid
from napari_scse._napari.stored import StoredArray

if TYPE_CHECKING:
    from napari_scse.exploration import Film

_COLORS = {None: "transparent", 0: "transparent", 1: "#ff3030"}
_WIDEST = (-0.2, 0.2)  # of the differences that are told apart


def difference_layers(one: Film, other: Film, source: LayerInput) -> list[LayerData]:
    """Return a layer of differences for each site that both films hold on the same pixels, and one of disagreement.

    Films of the same epochs, of one scan. Where the windows of the two runs differ, only what both see is compared;
    sites whose pixels do not lie on each other are left out.
    """
    shared = [site for site in one.maps.sites if site in other.maps.sites and not site.startswith("c")]
    pairs = {site: [(film.maps[site], film.maps.affine(site)) for film in (one, other)] for site in shared}
    if one.labels is not None and other.labels is not None and np.array_equal(one.classes, other.classes):
        pairs["labels"] = [(one.labels, one.labels_affine), (other.labels, other.labels_affine)]
    made = (_difference(site, pair, (one.done, other.done), one.epochs, source) for site, pair in pairs.items())
    return [layer for layer in made if layer is not None]


def _difference(
    site: str,
    pair: list[tuple[Any, np.ndarray]],
    done: tuple[np.ndarray, np.ndarray],
    epochs: tuple[int, ...],
    source: LayerInput,
) -> LayerData | None:
    from napari_scse.exploration.overlap import overlap

    (one, affine), (other, other_affine) = pair
    common = overlap(one.shape[1:], affine, other.shape[1:], other_affine)
    if common is None:
        return None
    mine, theirs = common
    moved = affine.copy()
    moved[:3, 3] = (affine @ [*(part.start for part in mine), 1])[:3]
    one, other = one[:, *mine], other[:, *theirs]
    grid = map_grid(one.shape[1:], moved, source.to_shown)
    known = done[0][:, mine[0]], done[1][:, theirs[0]]
    place, metadata = by_epoch(epochs, grid, source), grid.to_metadata(difference=site)
    if site == "labels":
        differ = StoredArray([one, other], grid.axes, np.uint8, np.not_equal, known)
        look: dict[str, Any] = {"colormap": DirectLabelColormap(color_dict=_COLORS), "opacity": 0.8}
        return differ, {"name": f"{source.name} disagreement", "metadata": metadata, **look, **place}, "labels"
    look = {"colormap": "RdBu", "contrast_limits": _WIDEST, "blending": "translucent"}
    gap = StoredArray([one, other], grid.axes, np.float32, np.subtract, known, np.nan)
    return gap, {"name": f"{source.name} {site} difference", "metadata": metadata, **look, **place}, "image"
