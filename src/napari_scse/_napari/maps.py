"""Excitation maps as layers (epoch, z, y, x): one per spatial site, placed by its own affine, never resampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_scse._napari.inputs import LayerInput
from napari_scse._napari.layers import BACKWARDS, METADATA_KEY, UNITS, Grid, LayerData, lead, place
from napari_scse._napari.links import Links
from napari_scse._napari.view import erase, write
from napari_scse.volume import nearest_axes

if TYPE_CHECKING:
    from napari_scse.exploration import ExcitationMaps

FULL_RANGE = (0.0, 1.0)
COLORMAP = "inferno"
CAPTION = "bottom_left"


class GateArray:
    """A site's stored maps as napari wants them: axes (epoch, z, y, x), float32 gates in 0 … 1.

    Nothing is kept or converted ahead: what is indexed is read from the store (an array in memory, or zarr), and what
    is written to the store meanwhile is seen at the next look.

    Parameters
    ----------
    stored
        (epoch, slice, row, column); uint8 or float32.
    axes
        Which of slice, row, column (0, 1, 2) is shown as z, y and x.
    unit
        The stored number that means 1.
    """

    dtype = np.dtype(np.float32)
    ndim = 4

    def __init__(self, stored: Any, axes: Sequence[int], unit: int = 1) -> None:
        self.stored = stored
        self._order = (0, *(axis + 1 for axis in axes))
        self._unit = np.float32(unit)
        self.shape = tuple(stored.shape[axis] for axis in self._order)
        self.size = int(np.prod(self.shape))

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> np.ndarray:
        keys = list(key) if isinstance(key, tuple) else [key]
        if not all(k is Ellipsis or isinstance(k, slice | int | np.integer) for k in keys):
            whole: np.ndarray = np.asarray(self)[key]
            return whole
        if Ellipsis in keys:
            place = keys.index(Ellipsis)
            keys[place : place + 1] = [slice(None)] * (self.ndim + 1 - len(keys))
        keys += [slice(None)] * (self.ndim - len(keys))
        asked: list[Any] = [None] * self.ndim
        for shown, own in enumerate(self._order):
            asked[own] = keys[shown]
        data = np.asarray(self.stored[tuple(asked)])
        kept = [own for own in range(self.ndim) if isinstance(asked[own], slice)]
        wanted = [own for own in self._order if own in kept]
        return data.transpose([kept.index(own) for own in wanted]).astype(np.float32) / self._unit

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)


def map_layers(
    maps: ExcitationMaps, prefix: str = "", full_range: bool = False, source: LayerInput | None = None
) -> list[LayerData]:
    """Return one image layer per spatial site of `maps`, in their order; channel gates have no picture.

    The epoch axis reads the epochs' own numbers where they are evenly spaced, otherwise their index. Where `source`,
    the layer that the maps were recorded from, does not lie at its anatomical place, the maps go where it lies.
    """
    start, step = _even(maps.epochs)
    to_shown = np.eye(4) if source is None else source.to_shown
    units = UNITS if source is None else ("mm", *source.transforms["units"])[-3:]
    layers: list[LayerData] = []
    for site in maps.sites:
        if maps.record(site).kind != "spatial":
            continue
        grid = site_grid(maps, site, to_shown)
        labels = [maps.epoch_label(index) for index in range(len(maps.epochs))]
        own = {"site": site, "run": maps.run_name, "labels": labels, "limits": maps.limits(site)}
        limits = FULL_RANGE if full_range else own["limits"]
        look = {"colormap": COLORMAP, "contrast_limits": limits, "blending": "translucent"}
        metadata = {METADATA_KEY: grid.to_metadata()[METADATA_KEY] | {"maps": own}}
        shown = place(to_shown @ grid.display) | {"units": units}
        data = GateArray(maps[site], grid.axes, maps.unit)
        layers.append(
            (
                data,
                {"name": f"{prefix}{site}", "metadata": metadata, **look, **lead(shown, "epoch", start, step)},
                "image",
            )
        )
    return layers


def site_grid(maps: ExcitationMaps, site: str, to_shown: np.ndarray) -> Grid:
    """Return the grid (slice, row, column) of one epoch of a spatial site, its axes in the order they are shown in."""
    affine = maps.affine(site)
    right, anterior, superior = nearest_axes(BACKWARDS @ to_shown @ BACKWARDS @ affine)[0]
    slices, rows, columns = maps.record(site).shape[1:]
    return Grid((slices, rows, columns), affine, (superior, anterior, right), not np.array_equal(to_shown, np.eye(4)))


def update_limits(layer: Any, maps: ExcitationMaps, epochs: int, full_range: bool) -> None:
    """Take a layer's display limits anew from the first `epochs` epochs of `maps`, which are complete."""
    own = layer.metadata[METADATA_KEY]["maps"]
    site = own["site"]
    own["limits"] = replace(maps, arrays={site: maps[site][:epochs]}).limits(site)
    show_limits(layer, full_range)


def show_limits(layer: Any, full_range: bool) -> None:
    """Show a maps layer from 0 to 1, or between its percentiles."""
    layer.contrast_limits_range = FULL_RANGE
    layer.contrast_limits = FULL_RANGE if full_range else layer.metadata[METADATA_KEY]["maps"]["limits"]


def is_map(layer: Any) -> bool:
    """Whether a layer shows excitation maps."""
    return "maps" in layer.metadata.get(METADATA_KEY, {})


class EpochCaption:
    """Text in the canvas, such as "epoch 3 · loss 0.412", that follows the epoch slider while maps are shown."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        layers = viewer.layers.events
        self._links = Links(self.update, viewer.dims.events.point, layers.inserted, layers.removed)
        self.update()

    @property
    def text(self) -> str:
        """What is to be read at present: of the top visible maps."""
        for layer in reversed(list(self._viewer.layers)):
            if is_map(layer) and layer.visible:
                labels = layer.metadata[METADATA_KEY]["maps"]["labels"]
                return str(labels[shown_epoch(layer, self._viewer.dims.point)])
        return ""

    def update(self, *_: object) -> None:
        """Write the text anew."""
        write(self._viewer, CAPTION, self.text, font_size=13)

    def close(self) -> None:
        """Stop following the viewer and take the text away."""
        self._links.close()
        erase(self._viewer, CAPTION)


def shown_epoch(layer: Any, point: Sequence[float]) -> int:
    """Return the index of the epoch that a maps layer shows while the sliders stand at `point`."""
    index = float(layer.world_to_data(np.asarray(point, dtype=float)[-4:])[0])
    return int(np.clip(round(index), 0, layer.data.shape[0] - 1))


def _even(epochs: Sequence[int]) -> tuple[float, float]:
    """Return first and step of evenly spaced epochs; (0, 1) where they are not."""
    steps = set(np.diff(epochs).tolist())
    if len(steps) > 1 or any(step <= 0 for step in steps):
        return 0.0, 1.0
    return float(epochs[0]), float(steps.pop() if steps else 1)
