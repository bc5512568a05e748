"""One operation that writes labels into a layer while its user paints: what the layer would be without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import ref

import numpy as np

from napari_scse._napari.history import Box, Change, Step, Touch, new_of, old_of, place_of


class Operation:
    """The layer's data as it would be had the operation not written: `base`, kept slab by slab when first written to.

    The layer's undo history always is one of `base`: the old values of a stroke over a label of the operation are those
    of `base`, and the label is noted beside it (`Step.under`), for an undo while the operation runs. Where something is
    painted, `base` equals the data.

    Parameters
    ----------
    layer
        The labels layer.
    serial
        A number of its own.
    """

    def __init__(self, layer: Any, serial: int) -> None:
        self.serial = serial
        self._held = ref(layer)
        data = layer.data
        is_array = isinstance(data, np.ndarray)
        self._base = np.empty_like(data) if is_array else np.empty(data.shape, data.dtype)
        self._axis = int(np.argmax(np.abs(data.strides))) if is_array else 0  # its slabs are contiguous in memory
        self._taken = np.zeros(data.shape[self._axis], bool)

    @property
    def _layer(self) -> Any:
        return self._held()

    def keep(self, index: Any) -> None:
        """Keep the slabs that ``data[index]`` touches; call it before writing there."""
        parts = index if isinstance(index, tuple) else (index,)
        plain = all(isinstance(part, int | np.integer | slice) for part in parts)
        self._keep(parts[self._axis] if plain and len(parts) > self._axis else slice(None))

    def change(self) -> tuple[Change | None, int]:
        """Return the step from `base` to the data, and how many voxels it changes; None if there are none."""
        key = self._range()
        if key is None:
            return None, 0
        now = np.array(self._without_stroke()[key])
        change = Change(self._layer, key, self._base[key], now)
        changed = change.changed
        return (change if changed else None), changed

    def restore(self) -> None:
        """Put `base` back; what is painted stays, and so does the stroke in progress."""
        data, staged = self._layer.data, self._layer._staged_history
        for atom in staged:
            self._keep(place_of(atom).slabs(self._axis))
        key = self._range()
        if key is None:
            return
        data[key] = self._base[key]
        stroke = [atom for atom in staged if not isinstance(atom, Change)]  # which are made anew
        staged.clear()
        for atom in stroke:
            place = place_of(atom)
            now = place.read(data)
            if isinstance(atom, Touch):
                staged.extend(self._confirmed(atom, now))
            else:
                old_of(atom)[...] = now
            staged.append(atom)
            place.put(data, atom.value if isinstance(atom, Touch) else new_of(atom))

    # -- strokes and locks ---------------------------------------------------------------------------------------------

    def adopt(self, atom: Any) -> tuple[np.ndarray, list[Any]]:
        """Make an atom of a new stroke one over `base`, and paint it there too.

        Returns
        -------
        tuple
            What lay under the stroke in the data, and atoms that the step needs before this one.
        """
        place = place_of(atom)
        self._keep(place.slabs(self._axis))
        base = place.read(self._base)
        if isinstance(atom, Touch):
            place.put(self._base, atom.value)
            return np.full_like(base, atom.value), self._confirmed(atom, base)
        under = old_of(atom).copy()
        old_of(atom)[...] = base
        place.put(self._base, new_of(atom))
        return under, []

    def take_in(self, place: Box) -> list[Any]:
        """Have the user keep what the data holds at `place`; returns the atoms of that in the history."""
        self._keep(place.slabs(self._axis))
        before = np.array(self._base[place.key])
        place.put(self._base, place.read(self._layer.data))
        after = np.array(self._base[place.key])
        return [Change(self._layer, place.key, before, after)] if (before != after).any() else []

    @contextmanager
    def replaying(self, step: Step, undoing: bool, painted: np.ndarray) -> Iterator[None]:
        """Follow napari's undo or redo of `step`, which happens inside with the change of `painted`, in `base` too."""
        data, above = self._layer.data, []
        gains = step.paints is not undoing
        for place in (*map(place_of, step), *step.flips):
            self._keep(place.slabs(self._axis))
            differ = place.read(self._base) != place.read(data)
            if differ.any():  # the operation wrote here
                above.append((place.where(differ), place.read(data)[differ]))
        if not undoing:
            step.under, step.operation = [place.read(data) for place in step.flips], self.serial
        yield
        for atom in reversed(step):
            self._replay(atom, undoing)
        for place, values in above:
            free = ~place.read(painted)
            place.where(free).put(data, values[free])
        if gains:
            for place in step.flips:
                place.put(data, place.read(self._base))
        elif step.paints and step.operation == self.serial:
            for place, values in zip(step.flips, step.under, strict=True):
                place.put(data, values)
        self._layer.refresh(extent=False)

    def _replay(self, atom: Any, undoing: bool) -> None:
        if isinstance(atom, Change):
            atom.apply(self._base, undoing)
        elif not isinstance(atom, Touch):
            place_of(atom).put(self._base, old_of(atom) if undoing else new_of(atom))

    def _confirmed(self, atom: Touch, base: np.ndarray) -> list[Any]:
        """Return the atom by which voxels become the user's that were painted as the operation had labelled them."""
        differ = base != atom.value
        if not differ.any():
            return []
        before = np.array(self._layer.data[atom.box.key])
        after = before.copy()
        before[np.asarray(atom.box.mask)] = base
        after[np.asarray(atom.box.mask)] = atom.value
        return [Change(self._layer, atom.box.key, before, after)]

    # -- slabs ---------------------------------------------------------------------------------------------------------

    def _keep(self, along: Any) -> None:
        missing = np.zeros_like(self._taken)
        missing[along] = True
        missing &= ~self._taken
        if not missing.any():
            return
        source = self._without_stroke()
        if missing.all():
            self._base[...] = source[...]
        else:
            for slab in np.flatnonzero(missing).tolist():
                self._base[self._slab(slab, slab + 1)] = source[self._slab(slab, slab + 1)]
        self._taken |= missing

    def _slab(self, start: int, stop: int) -> tuple[slice, ...]:
        shape = self._base.shape
        return tuple(slice(start, stop) if n == self._axis else slice(0, shape[n]) for n in range(len(shape)))

    def _range(self) -> tuple[slice, ...] | None:
        """Return the box of all slabs from the first to the last that was written to; None if none was."""
        taken = np.flatnonzero(self._taken)
        if not taken.size:
            return None
        start, stop = int(taken[0]), int(taken[-1]) + 1
        self._keep(slice(start, stop))
        return self._slab(start, stop)

    def _without_stroke(self) -> Any:
        """Return the data; a copy without the stroke in progress, if there is one."""
        staged = self._layer._staged_history
        if not staged:
            return self._layer.data
        data = np.array(self._layer.data)
        for atom in reversed(staged):
            if isinstance(atom, Change):
                atom.apply(data, undoing=True)
            elif not isinstance(atom, Touch):
                place_of(atom).put(data, old_of(atom))
        return data
