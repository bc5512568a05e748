"""The slice to look at next is the most doubtful one that was not looked at, nor anything next to it."""

from __future__ import annotations

import numpy as np
from napari.layers import Labels

from napari_scse._napari.unsure import Looked, next_slice
from napari_scse.inference.doubt import Doubt
from napari_scse.slices import Plane, cut
from napari_scse.volume import Volume


def test_slices_come_by_doubt() -> None:
    doubts = {number: Doubt(amount, 0, 0) for number, amount in enumerate((0.1, 0.9, 0.5, 0.5, 0.0))}
    looked: set[int] = set()
    order = []
    while (number := next_slice(doubts, frozenset(looked))) is not None:
        looked.add(number)
        order.append(number)
    assert order == [1, 2, 3, 0, 4]
    assert next_slice({}, frozenset()) is None


def test_what_was_looked_at_belongs_to_the_layer_and_the_plane(scan: Volume) -> None:
    layer, other = (Labels(np.zeros(scan.shape, np.uint8)) for _ in range(2))
    coronal, axial = (cut(scan, plane).geometry for plane in (Plane.CORONAL, Plane.AXIAL))
    Looked(layer, coronal).add(10)
    reach = int(3 / coronal.stack_spacing[0])
    assert Looked(layer, coronal).numbers == frozenset(range(10 - reach, 11 + reach))
    assert not Looked(layer, axial).numbers
    assert not Looked(other, coronal).numbers
    Looked(layer, coronal).forget()
    assert not Looked(layer, coronal).numbers
