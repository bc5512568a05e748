"""Which slice to look at next: the one that the network is least sure of among those not yet looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari_scse._napari.edits import unwrapped

if TYPE_CHECKING:
    from napari_scse.inference import Session
    from napari_scse.inference.doubt import Doubt
    from napari_scse.slices import Plane, SliceGeometry
    from napari_scse.volume import Volume

_NEAR = 3.0  # mm: so near a slice shows what its neighbour shows

_LOOKED: WeakKeyDictionary[Any, dict[Plane, set[int]]] = WeakKeyDictionary()


class Looked:
    """The slices of a labels layer that the user has looked at, in one plane; it goes with the layer.

    Parameters
    ----------
    layer
        The labels layer.
    geometry
        Of the slices.
    """

    def __init__(self, layer: Any, geometry: SliceGeometry) -> None:
        self._numbers = _LOOKED.setdefault(unwrapped(layer), {}).setdefault(geometry.plane, set())
        self._reach = int(_NEAR / geometry.stack_spacing[0])

    @property
    def numbers(self) -> frozenset[int]:
        """Slice numbers, those nearby included."""
        return frozenset(self._numbers)

    def add(self, number: int) -> None:
        """Note that a slice is looked at."""
        self._numbers.update(range(number - self._reach, number + self._reach + 1))

    def forget(self) -> None:
        """Begin anew."""
        self._numbers.clear()


def next_slice(doubts: Mapping[int, Doubt], looked: frozenset[int]) -> int | None:
    """Return the slice of the largest doubt that is not among those `looked` at; None if there is none."""
    left = [number for number in doubts if number not in looked]
    return max(left, key=lambda number: (doubts[number].amount, -number), default=None)


def doubts_of(session: Session | None, volume_shape: tuple[int, int, int], affine: Any) -> Mapping[int, Doubt]:
    """Return what a session knows of a scan's slices at present; nothing if it is for another scan."""
    if session is None or not _is_of(session.volume, volume_shape, affine):
        return {}
    return dict(session.doubts)  # while another thread adds to it


def _is_of(volume: Volume, shape: tuple[int, int, int], affine: Any) -> bool:
    return volume.shape == shape and bool((volume.affine == affine).all())
