"""Excitation maps as layers (epoch, z, y, x): one per spatial site, placed by its own affine, never resampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_scse._napari.inputs import LayerInput
from napari_scse._napari.layers import BACKWARDS, METADATA_KEY, UNITS, Grid, LayerData, lead, place
from napari_scse._napari.links import Links
from napari_scse._napari.stored import StoredArray
from napari_scse._napari.view import erase, write
from napari_scse.volume import nearest_axes

if TYPE_CHECKING:
    from napari_scse.exploration import ExcitationMaps

FULL_RANGE = (0.0, 1.0)
COLORMAP = "inferno"
CAPTION = "bottom_left"


class GateArray(StoredArray):
    """A site's stored maps as napari wants them: axes (epoch, z, y, x), float32 gates in 0 … 1.

    Parameters
    ----------
    stored
        (epoch, slice, row, column); uint8 or float32.
    axes
        Which of slice, row, column (0, 1, 2) is shown as z, y and x.
    unit
        The stored number that means 1.
    done
        Which frames are computed, (epoch, slice); the others become NaN, which napari shows as nothing. None: all.
    """

    def __init__(self, stored: Any, axes: Sequence[int], unit: int = 1, done: np.ndarray | None = None) -> None:
        known = () if done is None else (done,)
        super().__init__((stored,), axes, np.float32, _share(unit), known, np.nan)


def _share(unit: int) -> Callable[..., Any]:
    """Return what divides by `unit`."""
    return np.positive if unit == 1 else lambda stored, **keywords: np.divide(stored, np.float32(unit), **keywords)


def map_layers(
    maps: ExcitationMaps,
    prefix: str = "",
    full_range: bool = False,
    source: LayerInput | None = None,
    done: np.ndarray | None = None,
) -> list[LayerData]:
    """Return one image layer per spatial site of `maps`, in their order; channel gates have no picture.

    The epoch axis reads the epochs' own numbers where they are evenly spaced, otherwise their index. Where `source`,
    the layer that the maps were recorded from, does not lie at its anatomical place, the maps go where it lies. Where
    only some frames are `done` (epoch, slice), the others show nothing, and the layers get their limits later.
    """
    to_shown = np.eye(4) if source is None else source.to_shown
    layers: list[LayerData] = []
    for site in maps.sites:
        if maps.record(site).kind != "spatial":
            continue
        grid = map_grid(maps.record(site).shape[1:], maps.affine(site), to_shown)
        labels = [maps.epoch_label(index) for index in range(len(maps.epochs))]
        own = {
            "site": site,
            "run": maps.run_name,
            "labels": labels,
            "limits": FULL_RANGE if done is not None else maps.limits(site),
        }
        limits = FULL_RANGE if full_range else own["limits"]
        look = {"colormap": COLORMAP, "contrast_limits": limits, "blending": "translucent"}
        metadata = grid.to_metadata(maps=own)
        data = GateArray(maps[site], grid.axes, maps.unit, done)
        layers.append(
            (
                data,
                {"name": f"{prefix}{site}", "metadata": metadata, **look, **by_epoch(maps.epochs, grid, source)},
                "image",
            )
        )
    return layers


def by_epoch(epochs: Sequence[int], grid: Grid, source: LayerInput | None) -> dict[str, Any]:
    """Return the keyword arguments that place a layer (epoch, z, y, x) of the maps on `grid`; see `map_layers`."""
    start, step = _even(epochs)
    if source is None:
        return lead(place(grid.display) | {"units": UNITS}, "epoch", start, step)
    units = ("mm", *source.transforms["units"])[-3:]
    return lead(place(source.to_shown @ grid.display) | {"units": units}, "epoch", start, step)


def map_grid(shape: Sequence[int], affine: np.ndarray, to_shown: np.ndarray) -> Grid:
    """Return the grid (slice, row, column) of one epoch of maps, its axes in the order they are shown in."""
    right, anterior, superior = nearest_axes(BACKWARDS @ to_shown @ BACKWARDS @ affine)[0]
    slices, rows, columns = shape
    return Grid((slices, rows, columns), affine, (superior, anterior, right), not np.array_equal(to_shown, np.eye(4)))


def set_limits(layer: Any, limits: tuple[float, float], full_range: bool) -> None:
    """Give a maps layer new display limits."""
    layer.metadata[METADATA_KEY]["maps"]["limits"] = limits
    show_limits(layer, full_range)


def show_limits(layer: Any, full_range: bool) -> None:
    """Show a maps layer from 0 to 1, or between its percentiles."""
    layer.contrast_limits_range = FULL_RANGE
    layer.contrast_limits = FULL_RANGE if full_range else layer.metadata[METADATA_KEY]["maps"]["limits"]


def is_map(layer: Any) -> bool:
    """Whether a layer shows excitation maps."""
    return "maps" in layer.metadata.get(METADATA_KEY, {})


def top_maps(viewer: Any) -> Any:
    """Return the topmost visible layer that has maps of epochs, or None: napari's projections of one have none."""
    shown = [layer for layer in viewer.layers if is_map(layer) and layer.ndim == 4 and layer.visible]
    return shown[-1] if shown else None


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
        layer = top_maps(self._viewer)
        if layer is None:
            return ""
        return str(layer.metadata[METADATA_KEY]["maps"]["labels"][shown_epoch(layer, self._viewer.dims.point)])

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


def show_epoch(viewer: Any, layer: Any, index: int) -> None:
    """Move the epoch slider to where a layer of maps or of a film shows its epoch of that index."""
    axis = viewer.dims.ndim - 4
    if axis >= 0:
        viewer.dims.set_point(axis, float(layer.data_to_world((index, 0, 0, 0))[0]))


def _even(epochs: Sequence[int]) -> tuple[float, float]:
    """Return first and step of evenly spaced epochs; (0, 1) where they are not."""
    steps = set(np.diff(epochs).tolist())
    if len(steps) > 1 or any(step <= 0 for step in steps):
        return 0.0, 1.0
    return float(epochs[0]), float(steps.pop() if steps else 1)
