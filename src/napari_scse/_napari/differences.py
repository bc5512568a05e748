"""Two films of one scan against each other: the difference of their gates, and where their labels disagree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import DirectLabelColormap

from napari_scse._napari.inputs import LayerInput
from napari_scse._napari.layers import LayerData
from napari_scse._napari.maps import by_epoch, map_grid, read

if TYPE_CHECKING:
    from napari_scse.exploration import Film

_COLORS = {None: "transparent", 0: "transparent", 1: "#ff3030"}
_WIDEST = (-0.2, 0.2)  # of the differences that are told apart


class PairArray:
    """Two stored arrays (epoch, slice, row, column) of one shape, joined where they are looked at.

    Parameters
    ----------
    one, other
        What is joined.
    done
        Which frames of each are computed, (epoch, slice).
    axes
        Which of slice, row, column (0, 1, 2) is shown as z, y and x.
    labels
        Whether to say where the two differ (1, elsewhere 0) instead of their difference (NaN where it is not computed).
    """

    ndim = 4

    def __init__(
        self, one: Any, other: Any, done: tuple[np.ndarray, np.ndarray], axes: Sequence[int], labels: bool
    ) -> None:
        everywhere = (np.broadcast_to(there[:, :, None, None], one.shape) for there in done)  # views that stay current
        self._parts = (one, other, *everywhere)
        self._labels = labels
        self._order = (0, *(axis + 1 for axis in axes))
        self.dtype = np.dtype(np.uint8 if labels else np.float32)
        self.shape = tuple(one.shape[axis] for axis in self._order)
        self.size = int(np.prod(self.shape))

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> np.ndarray:
        one, other, there, too = (read(part, self._order, key) for part in self._parts)
        if self._labels:
            differ: np.ndarray = ((one != other) & there & too).astype(np.uint8)
            return differ
        gap: np.ndarray = np.where(there & too, one - other, np.float32(np.nan))
        return gap

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)


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
    labels = site == "labels"
    joined = PairArray(one, other, (done[0][:, mine[0]], done[1][:, theirs[0]]), grid.axes, labels)
    place = by_epoch(epochs, grid, source)
    if labels:
        look: dict[str, Any] = {"colormap": DirectLabelColormap(color_dict=_COLORS), "opacity": 0.8}
        return joined, {"name": f"{source.name} disagreement", **look, **place}, "labels"
    look = {"colormap": "RdBu", "contrast_limits": _WIDEST, "blending": "translucent"}
    return joined, {"name": f"{source.name} {site} difference", **look, **place}, "image"
