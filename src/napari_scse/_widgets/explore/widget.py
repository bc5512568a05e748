"""Explore: what a run makes of a scan at every epoch of its training, computed where it is looked at."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox

from napari_scse._napari.links import Links
from napari_scse._napari.maps import EpochCaption
from napari_scse._widgets import choices
from napari_scse._widgets.cards import Catalogue, Choice, RunCard
from napari_scse._widgets.copy_bar import CopyBar
from napari_scse._widgets.copying import as_command, as_python, remember, restore, scan_path
from napari_scse._widgets.dock import DockedWidget
from napari_scse._widgets.explore.comparing import Comparison
from napari_scse._widgets.explore.curves import TrainingCurves
from napari_scse._widgets.explore.filling import FillBar
from napari_scse._widgets.explore.keeping import KeepPanel
from napari_scse._widgets.explore.voxel import VoxelPanel
from napari_scse._widgets.explore.whatif import WhatIfPanel
from napari_scse._widgets.forms import Chips, ChoiceBox, Folded, form, line, scrolled, stacked, until_destroyed
from napari_scse._widgets.layer_picker import LayerPicker
from napari_scse._widgets.opening import Explored, open_films
from napari_scse._widgets.panel import JobPanel
from napari_scse._widgets.player import MapsBar
from napari_scse._widgets.preferences import PreferredComputing, preferred_convention, read_preferences
from napari_scse._widgets.run_picker import RunPicker
from napari_scse._widgets.runner import Hooks, Runner
from napari_scse._widgets.screening import Screening
from napari_scse._widgets.shortcuts import Shortcuts
from napari_scse._widgets.state import ExploreState
from napari_scse._widgets.view_bar import ViewBar
from napari_scse.errors import InputError

if TYPE_CHECKING:
    import napari

    from napari_scse.exploration import Film


class ExploreWidget(DockedWidget):
    """The Explore dock widget."""

    opened = Signal(object)  # a film is shown: its Screening
    closed = Signal()  # its layers are gone, or the dock is

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        preferred = read_preferences()
        self.state = ExploreState(device=preferred.device, precision=preferred.precision)
        self.runner = Runner(self.state, self)
        self.explored: Explored | None = None  # what is shown
        self.screening: Screening | None = None
        self.beside: Screening | None = None  # of the run that it is compared with
        self.comparison: Comparison | None = None
        self._build()
        self._connect()
        until_destroyed(self, EpochCaption(viewer), PreferredComputing(self.state))
        self.render_choices()
        self.render_job()
        self.runs.list_runs()

    def _build(self) -> None:
        self.picker = LayerPicker(self.viewer, self)
        self.runs = RunPicker(need_sites=True)
        self.sites, self.epochs = Chips(4), Chips(7)
        self.other = ChoiceBox()
        self.labels = QCheckBox("labels of every epoch")
        self.labels.setToolTip("Label the slices as well. Without, a forward pass stops at the deepest site.")
        self.winners = QCheckBox("winner maps")
        self.winners.setToolTip(
            "Of scSE blocks that keep the maximum: in which share of the channels it is the spatial gate's product."
        )
        self.device, self.precision = ChoiceBox(), ChoiceBox()
        self.panel = JobPanel("Show the chosen gates at every epoch; they are computed where you look.", "Explore")
        self.fill = FillBar(self.state, self)
        self.maps_bar = MapsBar(self.viewer, self.state)
        self.curves = TrainingCurves(self.viewer)
        self.voxel = VoxelPanel(self.viewer)
        self.what_if = WhatIfPanel(self.viewer)
        self.voxel_fold = Folded("Why this voxel?", stacked(self.voxel))
        self.what_if_fold = Folded("What if?", stacked(self.what_if))
        self.keep = KeepPanel(self.viewer)
        self._followers = (self.voxel, self.what_if, self.keep)
        self.copy = CopyBar()
        self.keep_fold = Folded("Keep", stacked(self.keep, self.copy))
        self.view_bar = ViewBar(self.viewer, preferred_convention())
        self.shortcuts = Shortcuts(self, self.viewer, {"run": self.panel.press, **self.maps_bar.keyed})
        rows, advanced = form(), form()
        self.picker.add_to(rows)
        rows.addRow("Trained run", self.runs)
        rows.addRow("Sites", self.sites)
        rows.addRow("Epochs", self.epochs)
        rows.addRow("", self.labels)
        rows.addRow("", self.winners)
        advanced.addRow("Compare with", self.other)
        advanced.addRow("Device", self.device)
        advanced.addRow("Precision", self.precision)
        scrolled(
            self,
            rows,
            Folded("Advanced", advanced),
            self.panel,
            self.fill,
            line(),
            self.maps_bar,
            self.curves,
            self.voxel_fold,
            self.what_if_fold,
            self.keep_fold,
            line(),
            self.view_bar,
            self.shortcuts.fold,
        )

    def _connect(self) -> None:
        state = self.state
        self.picker.changed.connect(self.render_job)
        self.runs.box.picked.connect(self._on_run)
        self.runs.listed.connect(self._on_catalogue)
        self.runs.opened.connect(self._on_card)
        self.runs.renewed.connect(self._on_renewed)
        self.runs.failed.connect(self.runner.refuse)
        self.sites.picked.connect(partial(setattr, state, "sites"))
        self.epochs.picked.connect(partial(setattr, state, "epochs"))
        self.other.picked.connect(partial(setattr, state, "other"))
        self.labels.toggled.connect(partial(setattr, state, "labels"))
        self.winners.toggled.connect(partial(setattr, state, "winners"))
        self.device.picked.connect(partial(setattr, state, "device"))
        self.precision.picked.connect(partial(setattr, state, "precision"))
        self.copy.pressed.connect(self._on_copy)
        self.panel.run_pressed.connect(self.run)
        self.panel.cancel_pressed.connect(self.runner.cancel)
        self.taken_out.connect(self.runner.cancel)
        self.taken_out.connect(self.runs.fetching.cancel)
        self.taken_out.connect(self.maps_bar.stop)
        self.taken_out.connect(self.leave)
        events = state.events
        until_destroyed(
            self,
            Links(self.render_choices, events.catalogue, events.run, events.other, events.device, events.precision),
            Links(self.render_marks, events.sites, events.epochs, events.labels, events.winners),
            Links(self.render_job, events.job),
            Links(self._on_full_range, events.full_range),
        )

    def render_choices(self, *_: object) -> None:
        """Show what the state says of the run and how to use it."""
        state, card = self.state, self.state.card
        self.runs.box.set_choices(choices.explorable_choices(state.catalogue.cards), state.run)
        self.device.set_choices(state.catalogue.devices, state.device)
        self.precision.set_choices(choices.precision_choices(state.catalogue), state.precision)
        self.other.set_choices(choices.comparable_choices(state.catalogue, card), state.other)
        self.sites.set_choices(choices.site_choices(card), state.sites)
        epochs = [] if card is None else [Choice(e, f"{e}", choices.epoch_tip(card, e)) for e in card.epochs]
        self.epochs.set_choices(epochs, state.epochs)
        self.labels.setChecked(state.labels)
        self.winners.setChecked(state.winners)
        self.winners.setVisible(card is not None and card.excitation == "scse")
        self.render_job()

    def render_marks(self, *_: object) -> None:
        """Show which sites and epochs are chosen."""
        self.sites.show_values(self.state.sites)
        self.epochs.show_values(self.state.epochs)
        self.labels.setChecked(self.state.labels)
        self.winners.setChecked(self.state.winners)
        self.render_job()

    def render_job(self, *_: object) -> None:
        """Show where the job stands, or why there can be none."""
        self.panel.show_job(self.state.job, self.picker.obstacle or self._obstacle())

    def run(self) -> None:
        """Show the chosen gates and labels over the scan, in new layers."""
        card, state = self.state.card, self.state
        if card is None or state.job.is_busy:
            return
        try:
            source = self.picker.input(card.spacing[0])
            source.require_plane(card.plane)
        except InputError as error:
            self.runner.refuse(str(error))
            return
        self.leave()
        explored = Explored.of(state, card, source, scan_path(self.picker.layer))
        hooks = Hooks(_nothing, _nothing, partial(self._on_films, explored), lambda: "Cancelled.", _nothing)
        self.runner.start(f"exploration of {source.name}", partial(open_films, explored), hooks)

    def leave(self) -> None:
        """Stop computing; the layers stay, with what is computed."""
        self.screening, left = None, [one for one in (self.screening, self.beside, self.comparison) if one is not None]
        self.beside = self.comparison = self.explored = None
        for one in left:
            if isinstance(one, Screening):
                one.close()
            one.deleteLater()
        if left:
            self.fill.show_screenings()
            for part in self._followers:
                part.show_screening(None)
            self.curves.show_run(None)
            self.closed.emit()

    # -- the film ------------------------------------------------------------------------------------------------------

    def _on_films(self, explored: Explored, result: tuple[list[Film], tuple[str, ...]]) -> str:
        films, messages = result
        shown = [self._show(film, explored, card) for film, card in zip(films, explored.cards, strict=True)]
        self.explored, self.screening = explored, shown[0]
        if len(shown) > 1:
            self.beside = shown[1]
            self.comparison = Comparison(self.viewer, self.screening, self.beside, self)
        self.fill.show_screenings(*shown)
        for part in self._followers:
            part.show_screening(self.screening)
        self.maps_bar.grid.setChecked(True)
        self.curves.show_run(explored.cards[0], self.screening)
        self.opened.emit(self.screening)
        return " ".join(("Move the sliders: what you look at is computed first.", *messages))

    def _show(self, film: Film, explored: Explored, card: RunCard) -> Screening:
        tag, full = card.name if len(explored.cards) > 1 else "", self.state.full_range
        screening = Screening(self.viewer, film, explored.source, card.classes, full, self, tag)
        for layer in screening.layers:
            remember(layer, explored.choices)
        screening.ended.connect(self._on_ended)
        screening.said.connect(self._on_said)
        return screening

    def _on_ended(self) -> None:
        """The layers of a film are gone."""
        if all(one is None or not one.layers for one in (self.screening, self.beside)):
            self.leave()

    def _on_said(self, sentence: str, failed: bool) -> None:
        if not self.state.job.is_busy:
            self.state.job = self.state.job.end(sentence, failed)

    def _on_full_range(self, on: bool) -> None:
        for screening in (self.screening, self.beside):
            if screening is not None:
                screening.full_range = on

    # -- what the user does --------------------------------------------------------------------------------------------

    def _on_run(self, path: object) -> None:
        self.state.choose(next((card for card in self.state.catalogue.cards if card.path == path), None))

    def _on_catalogue(self, catalogue: Catalogue) -> None:
        self.state.catalogue = catalogue
        self.state.choose(catalogue.first(catalogue.default_explore, need_sites=True))

    def _on_card(self, card: RunCard) -> None:
        self.state.catalogue = self.state.catalogue.with_card(card)
        if card.sites:
            self.state.choose(card)
        else:
            self.runner.refuse(f"The run {card.name} has no spatial gate to look at; it was trained with {card.title}.")

    def _on_renewed(self, card: RunCard) -> None:
        self.state.catalogue = self.state.catalogue.with_card(card)

    def _on_copy(self, what: str) -> None:
        if what == "restore":
            self.copy.tell(restore(self.viewer.layers.selection.active, self.state))
        elif self.screening is None or self.explored is None:
            self.copy.tell("Press Explore first.")
        elif what == "python":
            self.copy.put(as_python(self.explored, self.screening.view.number, self.screening.view.epoch))
        else:
            self.copy.put(as_command(self.explored))

    def _obstacle(self) -> str:
        if not self.state.catalogue.listed:
            return "Looking for trained runs …"
        if self.state.card is None:
            return "No trained run with spatial gates is installed: open a run's folder, or use “napari-scse train”."
        if not self.state.sites:
            return "Choose at least one site."
        return "" if self.state.epochs else "Choose at least one epoch."


def _nothing(*_: object) -> None:
    """Nothing is to be done."""
