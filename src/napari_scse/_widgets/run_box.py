"""A combo box of runs: those that are here, and below them those that can be fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_scse._widgets.cards import EXCITATIONS, NETWORKS, Choice
from napari_scse._widgets.forms import ChoiceBox

if TYPE_CHECKING:
    from napari_scse.runs.registry import RegisteredRun


class RunBox(ChoiceBox):
    """A `ChoiceBox` that offers runs to be fetched too; picking one of these asks for it and changes no choice.

    Parameters
    ----------
    need_sites
        Whether runs without a spatial gate are greyed out.
    """

    wanted = Signal(object)  # a RegisteredRun that was picked

    def __init__(self, empty: str = "", need_sites: bool = False, parent: QWidget | None = None) -> None:
        self._fetchable: tuple[RegisteredRun, ...] = ()
        self._installed: list[Choice] = []
        self._shown: Any = None
        self._need_sites = need_sites
        super().__init__(empty, parent)

    def set_choices(self, choices: Iterable[Choice], value: Any) -> None:
        """Offer the runs that are here, and show `value`, without a signal."""
        self._installed = list(choices)
        to_fetch = [fetch_choice(run, self._need_sites) for run in self._fetchable]
        super().set_choices([*self._installed, *to_fetch], value)

    def set_fetchable(self, runs: Sequence[RegisteredRun]) -> None:
        """Offer `runs` below those that are here."""
        self._fetchable = tuple(runs)
        self.set_choices(self._installed, self._shown)

    def show_value(self, value: Any) -> None:
        """Show `value` without a signal."""
        self._shown = value
        super().show_value(value)

    def _on_index(self, index: int) -> None:
        picked = self.value
        if any(picked is run for run in self._fetchable):
            self.show_value(self._shown)
            self.wanted.emit(picked)
            return
        self._shown = picked
        super()._on_index(index)


def fetch_choice(run: RegisteredRun, need_sites: bool) -> Choice:
    """Return the choice of a run that can be fetched."""
    what = f"{NETWORKS.get(run.network, run.network)} with {EXCITATIONS[run.excitation][0]}, {run.plane} slices"
    tip = f"{run.description}\n{what}, {run.classes} structures, {len(run.epochs)} epochs.\n"
    tip += f"Not on this computer: {run.megabytes} to fetch. Licence: {run.licence}."
    blind = need_sites and not run.has_spatial_gates
    reason = f"{EXCITATIONS[run.excitation][0]}: no spatial gates" if blind else ""
    return Choice(run, run.name if blind else f"{run.name}  –  fetch · {run.megabytes}", tip, reason)
