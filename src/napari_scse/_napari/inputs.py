"""Any image layer as the input of a run: what is refused, which frame is taken, and what is assumed of its anatomy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_scse._napari.layers import (
    BACKWARDS,
    METADATA_KEY,
    Grid,
    grid_of,
    layer_affine,
    layer_volume,
    place,
    world_affine,
)
from napari_scse.errors import InputError
from napari_scse.slices import Plane
from napari_scse.volume import Volume, nearest_axes, orientation_of

_CHANNEL_LABELS = {"c", "ch", "channel", "channels", "color", "colour", "rgb"}
_SMALLEST, _LARGEST = 1e-6, 1000.0  # mm, of a voxel
_OPPOSITE = {"S": "I", "I": "S", "A": "P", "P": "A", "R": "L", "L": "R"}
_DIRECTION = {
    "R": (2, 1.0),
    "L": (2, -1.0),
    "A": (1, 1.0),
    "P": (1, -1.0),
    "S": (0, 1.0),
    "I": (0, -1.0),
}  # in (S, A, R)


@dataclass(frozen=True)
class Anatomy:
    """What is assumed of a layer that does not know its own anatomy.

    Attributes
    ----------
    orientation
        Where the layer's last three axes point, such as "SAR": three letters of S/I, A/P and R/L, one of each pair. A
        2-D layer's rows and columns are the last two; the first is the direction through the slice.
    spacing
        Voxel size in mm along the same axes.
    """

    orientation: str
    spacing: tuple[float, float, float]

    def __post_init__(self) -> None:
        pairs = sorted("".join(sorted((letter, _OPPOSITE.get(letter, "?")))) for letter in self.orientation)
        if pairs != ["AP", "IS", "LR"]:
            raise InputError(
                f"An orientation has one letter each of S or I, A or P, R or L; {self.orientation!r} has not."
            )
        if not all(0 < size < _LARGEST for size in self.spacing):
            raise InputError(f"A voxel is between 0 and 1000 mm long along each axis, not {self.spacing}.")

    def display(self, shown: tuple[int, int, int]) -> np.ndarray:
        """Return the affine (z, y, x) index -> (S, A, R) mm of an array of shape `shown`, its middle at 0 mm."""
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for axis, (letter, size) in enumerate(zip(self.orientation, self.spacing, strict=True)):
            world, sign = _DIRECTION[letter]
            matrix[world, axis] = sign * size
        matrix[:3, 3] = -matrix[:3, :3] @ ((np.asarray(shown) - 1) / 2)
        return matrix


@dataclass(frozen=True, eq=False)
class LayerInput:
    """What a run reads of a layer: made at once, without touching the voxels; `volume` fetches them.

    Attributes
    ----------
    name
        The layer's name.
    data
        The layer's array: NumPy, dask, zarr …; level 0 of a multiscale layer.
    frame
        Index of the frame of a 4-D layer.
    grid
        The voxel grid of the frame.
    transforms
        The keyword arguments that put another layer over this one (scale, affine, units, axis_labels).
    """

    name: str
    data: Any
    frame: int | None
    grid: Grid
    transforms: dict[str, Any]

    @property
    def to_shown(self) -> np.ndarray:
        """From anatomical (S, A, R) mm to where the layer lies in napari's world: identity unless assumed; (4, 4)."""
        if not self.grid.assumed:
            return np.eye(4)
        world = np.eye(4)
        count = len(self.transforms["scale"])
        world[3 - count : 3, 3 - count : 3] = (self.transforms["affine"] @ np.diag([*self.transforms["scale"], 1]))[
            :-1, :-1
        ]
        world[3 - count : 3, 3] = self.transforms["affine"][:-1, -1]
        shown: np.ndarray = world @ np.linalg.inv(self.grid.display)
        return shown

    @property
    def is_slice(self) -> bool:
        """Whether the layer is 2-D: a single slice."""
        return len(self.data.shape) == 2

    def axis_through(self, plane: Plane) -> int:
        """Return the axis of the layer's frame (0, 1, 2 for z, y, x) that goes through slices of `plane`."""
        right, anterior, superior = nearest_axes(self.grid.affine)[0]
        through = {Plane.CORONAL: anterior, Plane.AXIAL: superior, Plane.SAGITTAL: right}[plane]
        return self.grid.axes.index(through)

    def require_plane(self, plane: Plane) -> None:
        """Raise `InputError` if the layer is a single slice of another plane."""
        own = next(p for p in Plane if self.axis_through(p) == 0)
        if self.is_slice and own is not plane:
            raise InputError(
                f"“{self.name}” is taken for {own} and the run reads {plane} slices: "
                "set where its rows and columns point, or choose another plane or run."
            )

    def volume(self) -> Volume:
        """Read the voxels (this may take long for lazy data) and return them on the grid."""
        data = self.data if self.frame is None else self.data[self.frame]
        array = np.asarray(data)
        return layer_volume(array[None] if self.is_slice else array, self.grid)

    def overlay(self, labels: np.ndarray) -> np.ndarray:
        """Return labels (I, J, K) in the axes of the layer's frame: a view, 2-D for a 2-D layer."""
        shown: np.ndarray = self.grid.show(labels)
        return shown[0] if self.is_slice else shown


@dataclass(frozen=True)
class Refusal:
    """Why a layer cannot be a run's input: in two or three words, and in a sentence that says what to do."""

    brief: str
    sentence: str


def refuse(layer: Any) -> Refusal | None:
    """Say why a layer cannot be a run's input; None if it can."""
    name = f"“{layer.name}”"
    if layer.rgb:
        return Refusal(
            "colour image",
            f"{name} is a colour image; a run reads one number per voxel. "
            "Right-click it, choose Split RGB, and take one of the channels.",
        )
    channel = _channel_axis(layer)
    if channel is not None:
        return Refusal(
            "several channels",
            f"{name} has several channels (its axis “{channel}”); a run reads one. "
            "Right-click it, choose Split Stack, and take one of the channels.",
        )
    if layer.ndim > 4:
        return Refusal(
            f"{layer.ndim} axes",
            f"{name} has {layer.ndim} axes; a run reads a volume, the shown frame of a series, or a slice. "
            "Right-click it and choose Split Stack.",
        )
    if "maps" in layer.metadata.get(METADATA_KEY, {}):
        return Refusal("excitation maps", f"{name} shows excitation maps; choose the scan they were made from.")
    if 0 in _level(layer).shape:
        return Refusal("empty", f"{name} is empty.")
    sizes = np.linalg.norm(world_affine(layer)[:3, :3], axis=0)[-min(layer.ndim, 3) :]
    if anatomical_grid(layer) is None and not all(_SMALLEST <= size < _LARGEST for size in sizes):
        return Refusal(
            "voxel size",
            f"{name} has voxels of {' × '.join(f'{size:.3g}' for size in sizes)} mm, and a run reads those between a "
            "nanometre and a metre: give the layer its scale and its units.",
        )
    kind = np.dtype(_level(layer).dtype)
    return (
        None if kind.kind in "biuf" else Refusal(str(kind), f"{name} holds {kind} numbers; a run reads real numbers.")
    )


def anatomical_grid(layer: Any) -> Grid | None:
    """Return the grid of a layer that knows its anatomy; None for one that does not."""
    shape = tuple(int(n) for n in _level(layer).shape[-3:])
    return grid_of(layer, (shape[0], shape[1], shape[2])) if len(shape) == 3 else None


def assumed_anatomy(layer: Any, through: float = 1.0) -> Anatomy:
    """Return what to assume of a layer that does not know its anatomy.

    3-D: napari's axes z, y, x point to superior, anterior, right, unless the layer's own transform turns them; the
    spacing is the layer's scale. 2-D: a coronal slice as radiologists look at it, rows towards inferior and columns
    towards the subject's left, `through` mm thick.
    """
    matrix = world_affine(layer)
    z, y, x = (round(float(size), 6) for size in np.linalg.norm(matrix[:3, :3], axis=0))
    if layer.ndim == 2:
        return Anatomy("AIL", (through, y, x))
    return Anatomy(orientation_of(BACKWARDS @ matrix), (z, y, x))


def layer_input(layer: Any, point: tuple[float, ...], anatomy: Anatomy | None = None) -> LayerInput:
    """Return what a run reads of `layer` while the viewer's sliders stand at `point` (world coordinates).

    Parameters
    ----------
    layer
        An image layer.
    point
        ``viewer.dims.point``.
    anatomy
        Used for a layer that does not know its own anatomy; None: `assumed_anatomy`.

    Raises
    ------
    InputError
        If the layer is refused; see `refuse`.
    """
    refusal = refuse(layer)
    if refusal is not None:
        raise InputError(refusal.sentence)
    data = _level(layer)
    spatial = tuple(int(n) for n in data.shape[-3:])
    z, y, x = spatial if len(spatial) == 3 else (1, *spatial)
    grid = anatomical_grid(layer)
    if grid is None:
        chosen = anatomy or assumed_anatomy(layer)
        grid = Grid.from_display((z, y, x), chosen.display((z, y, x)), assumed=True)
    return LayerInput(layer.name, data, shown_frame(layer, point), grid, _transforms(layer))


def _level(layer: Any) -> Any:
    return layer.data[0] if layer.multiscale else layer.data


def _channel_axis(layer: Any) -> str | None:
    spatial = min(layer.ndim, 3)
    for position, label in enumerate(layer.axis_labels):
        if label.lower() in _CHANNEL_LABELS and (position < layer.ndim - spatial or layer.ndim == 3):
            return str(label)
    return None


def shown_frame(layer: Any, point: Sequence[float]) -> int | None:
    """Return the frame of a 4-D layer where the sliders stand (``viewer.dims.point``); None for any other layer."""
    if layer.ndim != 4:
        return None
    where = np.zeros(4)
    known = np.asarray(point, dtype=float)[-4:]
    where[4 - len(known) :] = known
    return int(np.clip(round(float(layer.world_to_data(where)[0])), 0, _level(layer).shape[0] - 1))


def _transforms(layer: Any) -> dict[str, Any]:
    """Copy the place of the last three (or two) axes of a layer."""
    count = min(layer.ndim, 3)
    placed = place(layer_affine(layer))
    return {
        "scale": placed["scale"][-count:],
        "affine": placed["affine"][-count - 1 :, -count - 1 :],
        "units": layer.units[-count:],
        "axis_labels": layer.axis_labels[-count:],
    }
