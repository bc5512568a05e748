"""Move the sliders, and where needed the camera, to a voxel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def go_to(viewer: Any, layer: Any, index: Sequence[int]) -> None:
    """Show the voxel `index` of `layer`: its slices in 2-D, in whatever plane; the middle of the view in 3-D.

    In 2-D the camera stays, unless the voxel is out of view.
    """
    world = np.asarray(layer.data_to_world(np.asarray(index, float)), float)
    count = min(len(world), viewer.dims.ndim)
    axes = range(viewer.dims.ndim - count, viewer.dims.ndim)
    viewer.dims.set_point(tuple(axes), tuple(world[-count:].tolist()))
    displayed = [axis - (viewer.dims.ndim - len(world)) for axis in viewer.dims.displayed]
    if min(displayed) < 0 or (viewer.dims.ndisplay == 2 and _is_in_view(layer, index, displayed)):
        return
    centre = world[displayed].tolist()
    viewer.scene.camera.center = (0.0, *centre) if len(centre) == 2 else tuple(centre)


def _is_in_view(layer: Any, index: Sequence[int], displayed: Sequence[int]) -> bool:
    first, last = (np.asarray(corner) for corner in layer.corner_pixels)
    if not np.any(last > first):  # nothing has been drawn yet
        return True
    return all(first[axis] <= index[axis] <= last[axis] for axis in displayed)
