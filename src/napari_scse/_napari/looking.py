"""Where the user looks, and which part of a scan is meant: a slice, a slab, what the canvas shows, a shape's box."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Shapes

from napari_scse._napari.inputs import LayerInput
from napari_scse._napari.links import Links
from napari_scse.errors import InputError

if TYPE_CHECKING:
    from napari_scse.inference import Region
    from napari_scse.slices import Plane

Point = tuple[float, float, float]


def shown_voxel(viewer: Any, source: LayerInput) -> np.ndarray | None:
    """Return the index (z, y, x) in the scan's frame of the middle of the view, not rounded; None in a 2-D viewer."""
    leading = viewer.dims.ndim - 3
    if leading < 0 or source.is_slice:
        return None
    world = np.asarray(viewer.dims.point[-3:], dtype=float)
    displayed = [axis - leading for axis in viewer.dims.displayed]
    flat = len(displayed) == 2 and min(displayed) >= 0
    if flat:
        world[displayed] = viewer.scene.camera.center[-2:]
    to_index = np.linalg.inv(source.to_shown @ source.grid.display)
    index = (to_index @ (*world, 1.0))[:3]
    if flat:  # napari leaves a rotation out of the slice away
        (through,) = {0, 1, 2} - set(displayed)
        index[through] = to_index[through, through] * world[through] + to_index[through, 3]
    shape = np.take(source.grid.shape, source.grid.axes)
    inside: np.ndarray = np.clip(index, 0, shape - 1)
    return inside


def shown_point(viewer: Any, source: LayerInput) -> Point | None:
    """Return the middle of the view in RAS mm; None in a 2-D viewer."""
    index = shown_voxel(viewer, source)
    if index is None:
        return None
    superior, anterior, right = (source.grid.display @ (*index, 1.0))[:3].tolist()
    return right, anterior, superior


def sliced_axis(viewer: Any) -> int | None:
    """Return which of z, y, x (0, 1, 2) goes through the shown slice; None where no slice is shown."""
    leading = viewer.dims.ndim - 3
    displayed = {axis - leading for axis in viewer.dims.displayed}
    if leading < 0 or len(displayed) != 2 or min(displayed) < 0:
        return None
    (through,) = {0, 1, 2} - displayed
    return through


def plane_on_screen(viewer: Any, source: LayerInput) -> Plane | None:
    """Return the anatomical plane of the slices of `source` that are shown; None where no slice is."""
    from napari_scse.slices import Plane

    axis = sliced_axis(viewer)
    return None if axis is None else next(plane for plane in Plane if source.axis_through(plane) == axis)


def shown_slice(viewer: Any, source: LayerInput) -> Region | None:
    """Return the slice on screen as a region of the volume; None where there is none."""
    return slab(viewer, source, 0.0)


def slab(viewer: Any, source: LayerInput, millimetres: float) -> Region | None:
    """Return the slices within some mm of the one on screen; None where no slice is shown."""
    axis, index = sliced_axis(viewer), shown_voxel(viewer, source)
    if axis is None or index is None:
        return None
    size = float(np.linalg.norm(source.grid.display[:3, axis]))
    start, stop = _everything(source)
    middle = round(float(index[axis]))
    reach = int(millimetres / size + 1e-6)
    start[axis], stop[axis] = max(0, middle - reach), min(int(stop[axis]), middle + reach + 1)
    return _region(source, start, stop)


def field_of_view(viewer: Any, source: LayerInput, layer: Any) -> Region:
    """Return what the canvas shows of `layer`, in all slices; raises `InputError` where no slice is shown."""
    axis = sliced_axis(viewer)
    if axis is None or source.is_slice:
        raise InputError("The field of view is that of a slice: switch to the 2-D view.")
    start, stop = _everything(source)
    step = layer.downsample_factors[layer.data_level][-3:] if layer.multiscale else np.ones(3)
    low, high = np.asarray(layer.corner_pixels)[:, -3:] * step
    for shown in {0, 1, 2} - {axis}:
        if high[shown] > low[shown]:
            start[shown], stop[shown] = max(0, int(low[shown])), min(int(stop[shown]), int(high[shown]) + 1)
    return _region(source, start, stop)


def box_of_shapes(viewer: Any, source: LayerInput) -> Region:
    """Return the box around the selected shapes, or all shapes, of the active (or topmost) Shapes layer.

    Along an axis in which the shapes are flat it goes through the whole scan.

    Raises
    ------
    InputError
        If there is no shape, or no scan where it is.
    """
    layers = [getattr(layer, "__wrapped__", layer) for layer in reversed(list(viewer.layers))]
    active = getattr(viewer.layers.selection.active, "__wrapped__", viewer.layers.selection.active)
    there = [layer for layer in (active, *layers) if isinstance(layer, Shapes) and len(layer.data)]
    if not there or source.is_slice:
        raise InputError("There is no shape: draw a rectangle in a Shapes layer around what is to be segmented.")
    shapes = there[0]
    chosen = sorted(shapes.selected_data) or range(len(shapes.data))
    corners = np.concatenate([np.asarray(shapes.data[n], dtype=float) for n in chosen])
    if corners.shape[1] < 3:
        raise InputError(f"“{shapes.name}” has {corners.shape[1]} axes: draw in a Shapes layer with three.")
    world = np.array([shapes.data_to_world(corner) for corner in corners])[:, -3:]
    to_index = np.linalg.inv(source.to_shown @ source.grid.display)
    index = world @ to_index[:3, :3].T + to_index[:3, 3]
    start, stop = _everything(source)
    for axis, (low, high) in enumerate(zip(index.min(0), index.max(0), strict=True)):
        if high - low > 0.5:
            start[axis], stop[axis] = round(float(low)), round(float(high)) + 1
    return _region(source, start, stop).within(source.grid.shape)


class Front:
    """Follows where the user looks; a job's thread may read `point`, `plane` and `slice` at any time.

    Attributes
    ----------
    point
        The middle of the view in RAS mm, or None.
    plane
        The anatomical plane that is shown, or None.
    slice
        The slice on screen; None where none is.
    frame
        Where the sliders of further axes stand, such as that of time.
    """

    def __init__(self, viewer: Any, moved: Callable[[], None]) -> None:
        self.point: Point | None = None
        self.plane: Plane | None = None
        self.slice: Region | None = None
        self.frame: tuple[float, ...] = ()
        self._viewer, self._moved = viewer, moved
        self._source: LayerInput | None = None
        dims = viewer.dims.events
        self._links = Links(self.update, dims.point, dims.order, dims.ndisplay, viewer.scene.camera.events.center)

    def look_at(self, source: LayerInput | None) -> None:
        """Follow where `source` is looked at; None: nowhere."""
        self._source = source
        self.update()

    def update(self, *_: object) -> None:
        """Read the viewer."""
        source = self._source
        if source is None:
            return
        before = self.slice, self.frame
        self.point, self.plane = shown_point(self._viewer, source), plane_on_screen(self._viewer, source)
        self.slice, self.frame = shown_slice(self._viewer, source), tuple(self._viewer.dims.point[:-3])
        if (self.slice, self.frame) != before:
            self._moved()

    def close(self) -> None:
        """Stop following."""
        self._links.close()


def _everything(source: LayerInput) -> tuple[list[int], list[int]]:
    return [0, 0, 0], [source.grid.shape[axis] for axis in source.grid.axes]


def _region(source: LayerInput, start: list[int], stop: list[int]) -> Region:
    """From (z, y, x) of the layer's frame to the axes of the volume."""
    from napari_scse.inference import Region

    order = np.argsort(source.grid.axes)
    (i, j, k), (p, q, r) = (tuple(int(corner[n]) for n in order) for corner in (start, stop))
    return Region((i, j, k), (p, q, r))
