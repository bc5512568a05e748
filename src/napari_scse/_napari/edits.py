"""What a user painted on a labels layer, and how we write around it: nothing painted is lost, all of ours is undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from psygnal import Signal

from napari_scse._napari.history import Box, Change, Step, place_of
from napari_scse._napari.links import Links
from napari_scse._napari.operation import Operation
from napari_scse._napari.packed import Packed, bounds
from napari_scse._napari.strokes import follow
from napari_scse.errors import InputError


class Edits:
    """What the user painted on one labels layer, and the way to write labels around it; get it with `of`.

    A voxel that is painted, erased or filled is the user's, also where that left its value as it was, until the stroke
    is undone or the voxel is unlocked; what was painted before is found in the layer's undo history. All indices and
    shapes are those of ``layer.data``. Everything here is called in the GUI thread.

    An operation, from `begin` to `commit`, is one step of the layer's own history. The user may paint and undo
    meanwhile: strokes stay steps of their own, under that of the operation, and are as if painted before it began. So
    undoing the operation never undoes a stroke, and undoing everything gives what was there at first.
    """

    changed = Signal()  # other voxels are painted than before
    saved = Signal()  # what the user did is in a file

    def __init__(self, layer: Any) -> None:
        self._layer = ref(layer)
        self._shape = tuple(layer.data.shape)
        self._painted = _no_voxels(layer.data)
        self._operation: Operation | None = None
        self._serials = count()
        self.revision = 0  # more than before whenever labels or painted voxels may have changed
        self._unsaved = False
        history = layer._undo_history
        for place, item in enumerate(history):
            history[place] = self._own(item)
        follow(layer, self)
        self._links = Links(self._on_paint, layer.events.paint), Links(self._on_data, layer.events.data)

    @classmethod
    def of(cls, layer: Any) -> Edits:
        """Return the edits of a labels layer, made when first asked for; they go with the layer."""
        real = unwrapped(layer)
        known = _KNOWN.get(real)
        if known is None:
            if real.multiscale:
                raise InputError(f"“{real.name}” has several resolutions: nobody can paint on it; take a single one.")
            known = _KNOWN[real] = cls(real)
        return known

    @property
    def painted(self) -> np.ndarray:
        """Which voxels are the user's: bool, of the shape of ``layer.data``; it follows, and cannot be written to."""
        view = self._painted.view()
        view.flags.writeable = False
        return view

    @classmethod
    def known(cls, layer: Any) -> Edits | None:
        """Return the edits of a layer if somebody asked for them before."""
        return _KNOWN.get(unwrapped(layer))

    @property
    def is_unsaved(self) -> bool:
        """Whether the user painted, erased, filled, locked or undid anything since the layer was last saved."""
        return self._unsaved

    def mark_saved(self) -> None:
        """Note that the labels are in a file now."""
        self._unsaved = False
        self.saved.emit()

    def restore(self, painted: Any) -> None:
        """Make exactly the voxels of `painted` the user's, unsaved, without a step of the history: after a crash."""
        self._painted[...] = painted
        self._touched()

    def note_brush(self) -> None:
        """Note that a stroke is being painted."""
        self._unsaved = True
        self.revision += 1

    @property
    def is_writing(self) -> bool:
        """Whether an operation has begun and not ended."""
        return self._operation is not None

    def write(self, index: Any, labels: Any) -> int:
        """Put labels where nothing is painted; the layer is not refreshed.

        Parameters
        ----------
        index
            An index into ``layer.data``, such as ``(slice(None), 5)``.
        labels
            Labels of the shape of ``layer.data[index]``, or one for all.

        Returns
        -------
        int
            How many voxels changed.

        Raises
        ------
        InputError
            If the layer's numbers cannot hold the labels.
        """
        layer = self._layer()
        if layer is None:
            return 0
        if self._operation is None:
            self.begin()
            changed = self.write(index, labels)
            self.commit()
            return changed
        now = np.asarray(layer.data[index])
        values = _fitting(labels, now.dtype, layer.name)
        differ: np.ndarray = (now != values) & ~self._held(layer, index)
        changed = int(np.count_nonzero(differ))
        if changed:
            self._operation.keep(index)
            self.revision += 1
            layer.data[index] = np.where(differ, values, now)
        return changed

    def begin(self) -> None:
        """Begin an operation; one that runs already is committed."""
        self.commit()
        layer = self._layer()
        if layer is not None:
            self._operation = Operation(layer, next(self._serials))

    def commit(self) -> int:
        """End the operation: what it wrote is one step of the layer's history; returns how many voxels changed."""
        operation, self._operation = self._operation, None
        layer = self._layer()
        if operation is None or layer is None:
            return 0
        change, changed = operation.change()
        if change is not None:
            layer._redo_history.clear()
            layer._append_to_undo_history(Step([change]))
        return changed

    def rollback(self) -> None:
        """End the operation and take back what it wrote; strokes stay. The layer is not refreshed."""
        operation, self._operation = self._operation, None
        if operation is not None:
            operation.restore()
            self.revision += 1

    def lock(self, mask: Any, box: tuple[slice, ...] | None = None) -> None:
        """Make the voxels of `mask` the user's, with the values they have: one step of the layer's history.

        Parameters
        ----------
        mask
            bool, of the shape of ``layer.data[box]``.
        box
            Where it lies; None: it is one of the whole layer.
        """
        key = self._whole if box is None else box
        flags, painted = self._laid_out(mask, key), self._painted[key]
        self._lock(np.greater(flags, painted, out=flags), key, True)

    def unlock(self, mask: Any = None, box: tuple[slice, ...] | None = None) -> None:
        """Give the voxels of `mask` free, or all of the box: one step of the layer's history."""
        key = self._whole if box is None else box
        flags = painted = self._painted[key]
        if mask is not None:
            flags = self._laid_out(mask, key)
            flags &= painted
        self._lock(flags, key, False)

    # -- what the layer and its strokes tell ---------------------------------------------------------------------------

    @contextmanager
    def replaying(self, step: Step, undoing: bool) -> Iterator[None]:
        """Follow napari's undo or redo of `step`, which happens inside."""
        operation = self._operation
        with nullcontext() if operation is None else operation.replaying(step, undoing, self._painted):
            yield
            for place in step.flips:
                place.put(self._painted, step.paints is not undoing)
        self._touched(bool(step.flips))

    def _on_paint(self, event: Any) -> None:
        layer, item = self._layer(), event.value
        if layer is None or isinstance(item, Step):
            return
        step = self._own(item)
        if layer._undo_history and layer._undo_history[-1] is item:
            layer._undo_history[-1] = step
        self._touched(bool(step.flips))

    def _on_data(self, _: object = None) -> None:
        """Start anew on other data: what an operation wrote to the old is no part of its step."""
        layer = self._layer()
        if layer is not None:
            if self._operation is not None:
                self._operation = Operation(layer, self._operation.serial)
            self.revision += 1
            if tuple(layer.data.shape) != self._shape:
                self._shape = tuple(layer.data.shape)
                self._painted = _no_voxels(layer.data)
                self.changed.emit()

    def _touched(self, painted_changed: bool = True) -> None:
        self.note_brush()
        if painted_changed:
            self.changed.emit()

    def _own(self, item: list[Any]) -> Step:
        """Return a stroke as a step that knows which voxels became the user's with it."""
        step, operation = Step([]), self._operation
        for atom in item:
            if isinstance(atom, Change):  # it came with a rollback, and goes with the next operation
                step.extend([atom] if operation is None else [])
                continue
            under, before = (None, []) if operation is None else operation.adopt(atom)
            step.extend([*before, atom])
            place = place_of(atom)
            fresh = ~place.read(self._painted)
            if fresh.any():
                step.flips.append(place.where(fresh))
                place.put(self._painted, True)
                if under is not None:
                    step.under.append(under[fresh])
        step.operation = -1 if operation is None else operation.serial
        return step

    def _held(self, layer: Any, index: Any) -> np.ndarray:
        """Return which voxels at `index` are painted, those of the stroke in progress included."""
        held: np.ndarray = self._painted[index]
        if layer._staged_history:
            stroke = np.zeros_like(self._painted)
            for atom in layer._staged_history:
                place_of(atom).put(stroke, True)
            held = held | stroke[index]
        return held

    @property
    def _whole(self) -> tuple[slice, ...]:
        return tuple(slice(0, size) for size in self._shape)

    def _laid_out(self, mask: Any, key: tuple[slice, ...]) -> np.ndarray:
        """Return `mask`, which lies at `key`, in the memory order of the layer."""
        flags = np.empty_like(self._painted[key])
        flags[...] = mask
        return flags

    def _lock(self, mask: np.ndarray, key: tuple[slice, ...], on: bool) -> None:
        layer = self._layer()
        inner = bounds(mask)
        if layer is None or inner is None:
            return
        box = tuple(slice(k.start + n.start, k.start + n.stop) for k, n in zip(key, inner, strict=True))
        place = Box(box, Packed(mask[inner].copy(order="K")))
        step = Step([], paints=on)
        if self._operation is not None and on:
            step.under, step.operation = [place.read(layer.data)], self._operation.serial
            step.extend(self._operation.take_in(place))
        step.flips.append(place)
        place.put(self._painted, on)
        layer._redo_history.clear()
        layer._append_to_undo_history(step)
        self._touched()


def unwrapped(thing: Any) -> Any:
    """Return what a viewer hands to plugins in a wrapper: the same object every time."""
    return getattr(thing, "__wrapped__", thing)


_KNOWN: WeakKeyDictionary[Any, Edits] = WeakKeyDictionary()


def _no_voxels(data: Any) -> np.ndarray:
    """Return a mask of no voxel, in the memory order of `data`."""
    return np.zeros_like(data, bool) if isinstance(data, np.ndarray) else np.zeros(data.shape, bool)


def _fitting(labels: Any, dtype: np.dtype[Any], name: str) -> np.ndarray:
    values = np.asarray(labels)
    if not np.can_cast(values.dtype, dtype) and values.size:
        limits = np.iinfo(dtype)
        if values.min() < limits.min or values.max() > limits.max:
            raise InputError(f"“{name}” holds {dtype} numbers, up to {limits.max}; the label {values.max()} is more.")
    return values.astype(dtype, copy=False)
