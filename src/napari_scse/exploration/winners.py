"""Which of the two gates of an scSE block lets more through, where (max-out, equation 4 of the paper).

Max-out keeps the larger of u times the channel gate and u times the spatial gate. Features are not negative after a
ReLU, so the larger gate wins: a pixel's value here is the share of channels in which that is the spatial one.
"""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np

from napari_scse.errors import InputError
from napari_scse.exploration.maps import ExcitationMaps


def winner_map(spatial: np.ndarray, channel: np.ndarray) -> np.ndarray:
    """Return the share of channels where the spatial gate is larger than the channel gate.

    Parameters
    ----------
    spatial
        (h, w), or any shape.
    channel
        (C,), C at least 1.

    Returns
    -------
    numpy.ndarray
        float32 of the shape of `spatial`, 0 … 1. Where both gates are equal, the spatial one does not win.

    Raises
    ------
    InputError
        If `channel` is not a vector of at least one number.
    """
    channel = np.asarray(channel)
    if channel.ndim != 1 or not channel.size:
        raise InputError(f"Channel gates are one number a channel; got an array of shape {channel.shape}.")
    beaten = np.searchsorted(np.sort(channel), spatial, side="left")
    return (beaten / np.float32(channel.size)).astype(np.float32)


def winners(maps: ExcitationMaps, place: str) -> Any:
    """Return the winner maps of one block: a lazy dask array of float32, (epoch, slice, row, column).

    One epoch of one slice is a chunk, as in `ExcitationMaps.values`; they lie where the spatial gate's maps lie. Of
    8-bit maps, gates within the same 255th count as equal.

    Parameters
    ----------
    maps
        With both gates of the block.
    place
        The block, as sites name it without their first letter: ``"E-1"``, ``"B"``, ``"D-4"``, ``"C"``.

    Raises
    ------
    RunError
        If one of the two gates was not recorded.
    """
    spatial, channel = (maps.values(f"{kind}{place}") for kind in "sc")
    return da.blockwise(  # type: ignore[no-untyped-call]
        *(_winners, "esrc", spatial, "esrc", channel, "esk"),
        concatenate=True,
        dtype=np.float32,
        meta=np.empty((0,) * 4, np.float32),
    )


def _winners(spatial: np.ndarray, channel: np.ndarray) -> np.ndarray:
    """(1, 1, h, w) and (1, 1, C) -> (1, 1, h, w)."""
    return winner_map(spatial, channel[0, 0])
