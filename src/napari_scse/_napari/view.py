"""How a head stands in the window: plane, convention, and letters at the edges that say so.

napari's vertical axis points down, so a head opened in it stands on its head. World coordinates are (S, A, R);
turning the camera's axes sets it upright, in the convention of radiologists (the subject's right on the left of the
picture, as seen from the feet or the face) or of neurologists (right on the right).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from napari.components.overlays import TextOverlay
from napari.layers import Image, Labels

from napari_scse._napari.inputs import anatomical_grid
from napari_scse._napari.links import Links
from napari_scse.slices import Plane


class Convention(StrEnum):
    """Which side of the picture is the subject's right."""

    RADIOLOGICAL = "radiological"
    NEUROLOGICAL = "neurological"

    @property
    def sentence(self) -> str:
        """What it means."""
        side = "left" if self is Convention.RADIOLOGICAL else "right"
        return f"{self.value}: the subject's right is on the {side}"


_ORDERS = {
    Plane.CORONAL: (1, 0, 2),
    Plane.AXIAL: (0, 1, 2),
    Plane.SAGITTAL: (2, 0, 1),
}  # of z, y, x: the first is sliced
_LETTERS = (("I", "S"), ("P", "A"), ("L", "R"))  # towards smaller and larger z, y, x
_PREFIX = "scse_"
LEFT, RIGHT = "middle_left", "middle_right"


def show_plane(viewer: Any, plane: Plane) -> None:
    """Show slices of `plane` in 2-D; axes before the last three stay sliders."""
    leading = viewer.dims.ndim - 3
    if leading < 0:
        return
    viewer.dims.ndisplay = 2
    viewer.dims.order = (*range(leading), *(leading + axis for axis in _ORDERS[plane]))


def shown_plane(viewer: Any) -> Plane | None:
    """Return the plane that is shown, None for 3-D, transposed or rolled views."""
    leading = viewer.dims.ndim - 3
    if leading < 0 or viewer.dims.ndisplay != 2:
        return None
    order = tuple(axis - leading for axis in viewer.dims.order[-3:])
    return next((plane for plane, known in _ORDERS.items() if known == order), None)


def stand_upright(viewer: Any, convention: Convention) -> None:
    """Turn the camera so that superior (in axial slices anterior) is up, in `convention`."""
    horizontal = "left" if convention is Convention.RADIOLOGICAL else "right"
    viewer.scene.camera.orientation2d = ("up", horizontal)


def shown_convention(viewer: Any) -> Convention | None:
    """Return the convention the camera is in; None where heads do not stand upright."""
    vertical, horizontal = (str(direction) for direction in viewer.scene.camera.orientation2d)
    if vertical != "up":
        return None
    return Convention.RADIOLOGICAL if horizontal == "left" else Convention.NEUROLOGICAL


def edge_letters(viewer: Any) -> tuple[str, str]:
    """Return the anatomical letters at the left and the right edge of a 2-D view; empty where they are not known."""
    across = viewer.dims.order[-1] - (viewer.dims.ndim - 3)
    if viewer.dims.ndisplay != 2 or across < 0 or not knows_anatomy(viewer):
        return "", ""
    low, high = _LETTERS[across]
    return (low, high) if str(viewer.scene.camera.orientation2d[1]) == "right" else (high, low)


def toggle_labels(viewer: Any) -> None:
    """Hide all labels layers that can be seen; show all of them where none can."""
    labels = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    seen = any(layer.visible for layer in labels)
    for layer in labels:
        layer.visible = not seen


def knows_anatomy(viewer: Any) -> bool:
    """Whether every image in the viewer has an anatomical affine: only then are world axes anatomical directions."""
    grids = [anatomical_grid(layer) for layer in viewer.layers if isinstance(layer, Image)]
    return bool(grids) and all(grid is not None and not grid.assumed for grid in grids)


class Compass:
    """Letters at the left and right edge of the canvas (R and L, A and P) that follow the camera and the shown plane.

    There are none while the viewer holds an image whose anatomy is not known.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        layers, dims = viewer.layers.events, viewer.dims.events
        turned = (dims.order, dims.ndisplay, dims.ndim, viewer.scene.camera.events.orientation)
        self._links = Links(self.update, layers.inserted, layers.removed, *turned)
        self.update()

    @staticmethod
    def is_on(viewer: Any) -> bool:
        """Whether a viewer has a compass already."""
        return _PREFIX + LEFT in viewer.canvas.overlays

    def update(self, *_: object) -> None:
        """Write the letters anew."""
        for position, letter in zip((LEFT, RIGHT), edge_letters(self._viewer), strict=True):
            write(self._viewer, position, letter, font_size=14, gridded=True)

    def close(self) -> None:
        """Stop following the viewer and take the letters away."""
        self._links.close()
        for position in (LEFT, RIGHT):
            erase(self._viewer, position)


def write(viewer: Any, position: str, text: str, font_size: float = 11, gridded: bool = False) -> None:
    """Show `text` at `position` of the canvas in an overlay of our own; an empty text hides it."""
    overlays = viewer.canvas.overlays
    key = _PREFIX + position
    if key not in overlays:
        overlays[key] = TextOverlay(position=position, font_size=font_size, gridded=gridded)
    overlay = overlays[key]
    overlay.text = text
    overlay.visible = bool(text)


def erase(viewer: Any, position: str) -> None:
    """Remove what `write` shows at `position`."""
    viewer.canvas.overlays.pop(_PREFIX + position, None)
