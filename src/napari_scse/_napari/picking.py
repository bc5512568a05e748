"""Clicks in the canvas as places in the head."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any
from weakref import WeakMethod

import numpy as np

from napari_scse._napari.inputs import LayerInput
from napari_scse._napari.layers import BACKWARDS


class Clicks:
    """Calls a method with (S, A, R) world coordinates at every click that is no drag, until `close`."""

    def __init__(self, viewer: Any, callback: Callable[[np.ndarray], None]) -> None:
        self._viewer = viewer
        self._callback = WeakMethod(callback)
        viewer.mouse_drag_callbacks.append(self._on_press)

    def _on_press(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        if event.button != 1:
            return
        dragged = False
        yield
        while event.type == "mouse_move":
            dragged = True
            yield
        callback = self._callback()
        if not dragged and callback is not None and viewer.dims.ndisplay == 2:
            callback(np.asarray(event.position, dtype=float)[-3:])

    def close(self) -> None:
        """Stop listening; a second time does nothing."""
        if self._on_press in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_press)


def anatomical_point(source: LayerInput, world: np.ndarray) -> np.ndarray:
    """Turn a place in napari's world, where `source` is shown, into RAS+ mm; (3,)."""
    point: np.ndarray = (BACKWARDS @ np.linalg.inv(source.to_shown) @ [*world, 1.0])[:3]
    return point
