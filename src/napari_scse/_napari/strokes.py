"""Look over the shoulder of one labels layer's brush: what it covers, and what is undone and done again.

napari tells of voxels that change. That a user paints a voxel with the value it has ("this is right"), and that a
stroke is undone, it tells nobody. So four methods of the layer *object* (not of its class) go through here; they hold
the layer and its `Edits` weakly, and do what napari does.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from napari_scse._napari.history import Box, Step, Touch

if TYPE_CHECKING:
    from napari_scse._napari.edits import Edits

_REACH = 32  # voxels to each side of a fill that are looked at first: most structures are small, and a head is not


def follow(layer: Any, edits: Edits) -> None:
    """Have `edits` told of what is painted on `layer`, undone and done again, as long as both live."""
    watched, told = ref(layer), ref(edits)
    for name, function in (
        ("undo", partial(_replay, "undo")),
        ("redo", partial(_replay, "redo")),
        ("fill", _fill),
        ("_paint_region_with_mask", _paint),
    ):
        if hasattr(type(layer), name):
            setattr(layer, name, partial(function, watched, told))


def _replay(name: str, watched: Any, told: Any) -> None:
    layer, edits = watched(), told()
    undoing = name == "undo"
    source, target = layer._undo_history, layer._redo_history
    if not undoing:
        source, target = target, source
    if not source:
        return
    step = source[-1]
    if edits is None or not isinstance(step, Step):
        getattr(type(layer), name)(layer)
        return
    with edits.replaying(step, undoing):
        getattr(type(layer), name)(layer)
        target[-1] = step.turned()


def _paint(
    watched: Any,
    told: Any,
    key: Any,
    mask: np.ndarray,
    label: int,
    dims_to_paint: Any,
    *args: Any,
    **kwargs: Any,
) -> None:
    layer, edits = watched(), told()
    paint = partial(type(layer)._paint_region_with_mask, layer, key, mask, label, dims_to_paint, *args, **kwargs)
    if edits is not None:
        edits.note_brush()
    hidden = tuple(dim for dim in range(layer.ndim) if dim not in dims_to_paint)
    confirmed = np.expand_dims(mask, hidden) & (np.asarray(layer.data[key]) == label)
    if edits is None or not _note(layer, edits, Box(key, confirmed), label, paint):
        paint()


def _fill(watched: Any, told: Any, coord: Any, new_label: int, refresh: bool = True) -> None:
    layer, edits = watched(), told()
    seed = tuple(int(np.round(c)) for c in coord)
    inside = all(0 <= n < size for n, size in zip(seed, layer.data.shape, strict=True))
    if edits is None or layer._staged_history or not inside or int(layer.data[seed]) != new_label:
        type(layer).fill(layer, coord, new_label, refresh)
        return
    shown = sorted(layer._get_dims_to_paint())
    key = tuple(slice(None) if dim in shown else slice(n, n + 1) for dim, n in enumerate(seed))
    region = np.asarray(layer.data[key])
    start = tuple(n if dim in shown else 0 for dim, n in enumerate(seed))
    part = tuple(slice(0, size) for size in region.shape)
    if layer.contiguous:
        part, same = _connected(region, start)
    else:
        same = region == new_label
    box = tuple(slice((k.start or 0) + p.start, (k.start or 0) + p.stop) for k, p in zip(key, part, strict=True))
    _note(layer, edits, Box(box, same), new_label)


def _connected(region: np.ndarray, start: tuple[int, ...]) -> tuple[tuple[slice, ...], np.ndarray]:
    """Return what hangs together with the voxel `start` and has its value, as a mask of a box around it."""
    from skimage.segmentation import flood

    reach = _REACH
    while True:
        box = tuple(slice(max(0, s - reach), min(n, s + reach + 1)) for s, n in zip(start, region.shape, strict=True))
        seed = tuple(s - side.start for s, side in zip(start, box, strict=True))
        same: np.ndarray = flood(region[box], seed, connectivity=1)  # type: ignore[no-untyped-call]
        if not any(
            (side.start > 0 and same.take(0, axis).any()) or (side.stop < size and same.take(-1, axis).any())
            for axis, (side, size) in enumerate(zip(box, region.shape, strict=True))
        ):
            return box, same
        reach *= 8


def _note(layer: Any, edits: Edits, box: Box, value: int, then: Any = lambda: None) -> bool:
    """Note that the user painted `box` with the value it has, as part of the stroke; False if it was theirs already."""
    fresh = np.asarray(box.mask) & ~edits.painted[box.key]
    if not fresh.any():
        return False
    with nullcontext() if layer._block_history else layer.block_history():
        layer._save_history(Touch(Box(box.key, fresh), np.asarray(value, layer.data.dtype)))
        then()
    return True
