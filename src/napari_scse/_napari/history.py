"""What the undo history of a napari labels layer is made of, and a step of ours for it.

napari keeps a list of *atoms* for every step: ``(box, mask, old values, new label)`` for what is painted, filled or
erased, and ``(indices, old values, new values)`` for what is set by index, taken back by ``data[indices] = values``. A
`Change` of ours is of the second kind, with a box for the indices and values that are packed small and unpacked when
napari asks for them: a whole head is one step of a few hundred kilobytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import ref

import numpy as np

from napari_scse._napari.packed import Index, Packed, memory_order


@dataclass(frozen=True, eq=False)
class Box:
    """Voxels in a box: those of `mask`, or all."""

    key: tuple[slice, ...]
    mask: Any = None  # bool, of the box's shape; an array or a `Packed`

    def read(self, array: Any) -> np.ndarray:
        """Return a copy of the values of `array` here."""
        region = np.asarray(array[self.key])
        return np.array(region) if self.mask is None else region[np.asarray(self.mask)]

    def put(self, array: Any, values: Any) -> None:
        """Set `array` here."""
        if self.mask is None:
            array[self.key] = values
            return
        region, mask = np.asarray(array[self.key]), np.asarray(self.mask)
        if np.ndim(values):
            region[mask] = values
        else:
            np.copyto(region, values, where=mask)  # many times faster
        array[self.key] = region

    def where(self, flags: np.ndarray) -> Box:
        """Return the voxels at which `flags`, arranged as the result of `read`, is set."""
        if self.mask is None:
            return Box(self.key, flags)
        mask = np.zeros(self.mask.shape, bool)
        mask[np.asarray(self.mask)] = flags
        return Box(self.key, mask)

    def slabs(self, axis: int) -> Any:
        """Return an index of the slabs along `axis` that are touched."""
        return self.key[axis]


@dataclass(frozen=True, eq=False)
class Points:
    """Voxels by their indices."""

    indices: tuple[np.ndarray, ...]

    def read(self, array: Any) -> np.ndarray:
        """Return a copy of the values of `array` here."""
        return np.array(array[self.indices])

    def put(self, array: Any, values: Any) -> None:
        """Set `array` here."""
        array[self.indices] = values

    def where(self, flags: np.ndarray) -> Points:
        """Return the voxels at which `flags` is set."""
        return Points(tuple(index[flags] for index in self.indices))

    def slabs(self, axis: int) -> Any:
        """Return an index of the slabs along `axis` that are touched."""
        return np.unique(self.indices[axis])


Place = Box | Points


class Change(tuple[Any, Any, Any]):
    """An atom: the voxels of a box at which two arrays differ go from one to the other, all others stay.

    Parameters
    ----------
    layer
        Its labels layer, held weakly.
    key
        The box in the layer's data.
    before, after
        The box's values.
    """

    key: tuple[slice, ...]

    def __new__(cls, layer: Any, key: tuple[slice, ...], before: np.ndarray, after: np.ndarray) -> Change:
        """Make the three parts that napari's replay takes."""
        axes = memory_order(before)
        sides = Packed(before, axes), Packed(after, axes)
        atom = super().__new__(cls, (key, _Side(layer, key, sides), _Side(layer, key, sides[::-1])))
        atom.key = key
        return atom

    @property
    def place(self) -> Box:
        """The voxels that change."""
        before = self[1].sides[0]
        mask = before.empty(bool)
        for index, differ in self[1].differences():
            mask[index] = differ
        return Box(self.key, mask)

    @property
    def changed(self) -> int:
        """How many voxels change."""
        return sum(int(np.count_nonzero(differ)) for _, differ in self[1].differences())

    @property
    def nbytes(self) -> int:
        """Bytes held at present."""
        return sum(side.nbytes for side in self[1].sides)

    def apply(self, array: Any, undoing: bool) -> None:
        """Go back (or forth again) in `array`."""
        array[self.key] = self[1 if undoing else 2].over(np.asarray(array[self.key]))


class _Side:
    """The values of a box on one side of a change; where nothing changed, what the layer's array has there now."""

    def __init__(self, layer: Any, key: tuple[slice, ...], sides: tuple[Packed, ...]) -> None:
        self._layer, self._key, self.sides = ref(layer), key, sides
        self.shape, self.dtype, self.ndim = sides[0].shape, sides[0].dtype, len(sides[0].shape)

    def over(self, now: np.ndarray) -> np.ndarray:
        """Return `now` with this side's values where the sides differ."""
        out = now.copy(order="K")
        for (index, own), (_, differ) in zip(self.sides[0].slabs(), self.differences(), strict=True):
            np.copyto(out[index], own, where=differ)
        return out

    def differences(self) -> Iterator[tuple[Index, np.ndarray]]:
        """Yield slab by slab where the sides differ."""
        for (index, own), (_, other) in zip(*(side.slabs() for side in self.sides), strict=True):
            yield index, own != other

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        layer, own = self._layer(), np.asarray(self.sides[0])
        if layer is not None and isinstance(layer.data, np.ndarray):  # a store cannot be read while it is written
            own = self.over(layer.data[self._key])
        return own.astype(dtype or self.dtype, copy=bool(copy))

    def __getitem__(self, index: Any) -> np.ndarray:  # zarr cuts what it is given into chunks
        part: np.ndarray = np.asarray(self)[index]
        return part


class Touch(tuple[Any, Any, Any]):
    """An atom that changes nothing: it says that the user painted `box` with the value that was there."""

    box: Box
    value: Any

    def __new__(cls, box: Box, value: Any) -> Touch:
        """Set the first of the voxels to the value that it has here: all that napari's replay does with it."""
        first = np.argwhere(np.asarray(box.mask))[0]
        index = tuple(np.array([key.start + n]) for key, n in zip(box.key, first.tolist(), strict=True))
        values = np.full(1, value)
        atom = super().__new__(cls, (index, values, values.copy()))
        atom.box, atom.value = box, value
        return atom


class Step(list[Any]):
    """A step of the history: its atoms, and what came or went with it.

    Attributes
    ----------
    flips
        Voxels that became the user's with it, or, where `paints` is False, that were given back.
    under
        For each of `flips`, what lay there before in the eyes of the operation that ran; see `Operation`.
    operation
        The number of that operation.
    """

    def __init__(self, atoms: Iterable[Any], paints: bool = True) -> None:
        super().__init__(atoms)
        self.paints = paints
        self.flips: list[Place] = []
        self.under: list[Any] = []
        self.operation = -1

    def turned(self) -> Step:
        """Return the same step with its atoms the other way round, as napari keeps it after an undo or a redo."""
        step = Step(reversed(self), self.paints)
        step.flips, step.under, step.operation = self.flips, self.under, self.operation
        return step


def place_of(atom: Any) -> Place:
    """Return the voxels of an atom."""
    if isinstance(atom, Touch):
        return atom.box
    if isinstance(atom, Change):
        return atom.place
    return Box(atom[0], atom[1]) if len(atom) == 4 else Points(atom[0])


def box_around(places: Sequence[Place], shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the smallest box of an array of `shape` with all of `places` in it; there must be one."""
    lows, highs = [], []
    for place in places:
        if isinstance(place, Box):
            spans = [key.indices(size)[:2] for key, size in zip(place.key, shape, strict=True)]
        else:
            spans = [(int(np.min(index)), int(np.max(index)) + 1) for index in place.indices]
        lows.append([low for low, _ in spans])
        highs.append([high for _, high in spans])
    low, high = np.min(lows, axis=0).tolist(), np.max(highs, axis=0).tolist()
    return tuple(map(slice, low, high))


def old_of(atom: Any) -> np.ndarray:
    """Return the values of an atom's voxels before it: napari's own array, for one that napari made."""
    values: np.ndarray = atom[2] if len(atom) == 4 else atom[1]
    return values


def new_of(atom: Any) -> Any:
    """Return the value or values of an atom's voxels after it."""
    return atom[3] if len(atom) == 4 else atom[2]
