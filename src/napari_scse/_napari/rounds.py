"""What was learnt from strokes on a scan, round by round, and the labels as they were before each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

import numpy as np

from napari_scse._napari.edits import Edits, unwrapped
from napari_scse._napari.packed import Packed

if TYPE_CHECKING:
    from torch import nn

    from napari_scse.refinement import Refined
    from napari_scse.slices import Plane


class Before:
    """A labels layer as it was: its labels, and what was painted, as copies.

    Parameters
    ----------
    layer
        The labels layer; held weakly.
    """

    def __init__(self, layer: Any) -> None:
        layer = unwrapped(layer)
        self._layer = ref(layer)
        self._labels = Packed(np.array(layer.data))
        self._painted = Packed(np.array(Edits.of(layer).painted))

    @property
    def layer(self) -> Any:
        """The layer; None if it is gone."""
        return self._layer()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its data."""
        return self._labels.shape

    @property
    def labels(self) -> np.ndarray:
        """Labels in the axes of the layer, unpacked."""
        return np.asarray(self._labels)

    @property
    def painted(self) -> np.ndarray:
        """Which voxels were the user's, unpacked."""
        return np.asarray(self._painted)


@dataclass(frozen=True, eq=False)
class Round:
    """One time that a network has learnt.

    Attributes
    ----------
    refined
        What came out.
    plane
        Whose network it was.
    before
        The labels layer before it.
    """

    refined: Refined
    plane: Plane
    before: Before


class Rounds:
    """The rounds of each scan, run and epoch: choosing another run loses none, and coming back finds them."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Any, dict[tuple[Path, int | str], list[Round]]] = WeakKeyDictionary()

    def of(self, scan: Any, run: Path, epoch: int | str) -> tuple[Round, ...]:
        """Return the rounds of a run at an epoch, taught on the image layer `scan`; the first one first."""
        return () if scan is None else tuple(self._known.get(unwrapped(scan), {}).get((run, epoch), ()))

    def networks(self, scan: Any, run: Path, epoch: int | str) -> dict[Plane, nn.Module]:
        """Return the networks that have learnt, by plane."""
        return {one.plane: one.refined.network for one in self.of(scan, run, epoch)}

    def add(self, scan: Any, run: Path, epoch: int | str, one: Round) -> None:
        """Add a round."""
        self._known.setdefault(unwrapped(scan), {}).setdefault((run, epoch), []).append(one)

    def pop(self, scan: Any, run: Path, epoch: int | str) -> None:
        """Forget the last round."""
        self._known[unwrapped(scan)][run, epoch].pop()

    def clear(self, scan: Any, run: Path, epoch: int | str) -> None:
        """Forget all of them."""
        self._known.get(unwrapped(scan), {}).pop((run, epoch), None)
