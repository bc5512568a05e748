"""Jump: to where the network is least sure, slice after slice."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_scse._napari.going import go_to
from napari_scse._napari.unsure import Looked, doubts_of, next_slice
from napari_scse._widgets.layer_picker import LayerPicker
from napari_scse._widgets.segment.learning import Learning
from napari_scse._widgets.segment.segmenting import Segmenting
from napari_scse._widgets.state import SegmentState
from napari_scse.errors import InputError

_NOTHING = "Nothing is labelled that the network could be unsure of: press Run, or Live, first."


class Jumping(QObject):
    """Goes through the slices by doubt; those that were jumped to, or on screen at a jump, are looked at."""

    said = Signal(str)

    def __init__(
        self, viewer: Any, state: SegmentState, picker: LayerPicker, work: Segmenting, learning: Learning
    ) -> None:
        super().__init__(work)
        self._viewer, self._state, self._picker, self._work, self._learning = viewer, state, picker, work, learning

    def jump(self) -> None:
        """Show the slice that the network is least sure of, among those not yet looked at; `said` follows."""
        session, layer, card = self._work.opened.session, self._learning.layer, self._state.card
        if session is None or layer is None or card is None:
            self.said.emit(_NOTHING)
            return
        try:
            source = self._picker.input(card.spacing[0])
        except InputError as error:
            self.said.emit(str(error))
            return
        grid = source.grid
        doubts = doubts_of(session, grid.shape, grid.affine)
        if not doubts or source.is_slice:
            self.said.emit("There is only one slice to look at." if source.is_slice else _NOTHING)
            return
        geometry = session.geometry(session.order[0])
        looked = Looked(layer, geometry)
        front = self._work.front
        front.look_at(source)
        if front.slice is not None and len(front.slice.numbers(geometry)) == 1:
            looked.add(front.slice.numbers(geometry).start)
        number, anew = next_slice(doubts, looked.numbers), ""
        if number is None:
            looked.forget()
            number, anew = (
                max(doubts, key=lambda n: doubts[n].amount),
                "All were looked at, from the least sure again. ",
            )
        looked.add(number)
        doubt = doubts[number]
        voxel = geometry.voxel(number, doubt.row, doubt.column)
        go_to(self._viewer, layer, [voxel[axis] for axis in grid.axes])
        left = len(doubts.keys() - looked.numbers)
        self.said.emit(
            f"{anew}Here the network is unsure (entropy {doubt.amount:.0%}). "
            f"Of {len(doubts)} labelled slices {left} are not looked at."
        )
