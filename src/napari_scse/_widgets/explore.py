"""Explore: record where a run looked at every epoch of its training, and replay it with an epoch slider."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image
from qtpy.QtCore import Signal

from napari_scse._napari.inputs import LayerInput
from napari_scse._napari.links import Links
from napari_scse._napari.maps import EpochCaption, map_layers, update_limits
from napari_scse._widgets import choices
from napari_scse._widgets.cards import Catalogue, Choice, RunCard
from napari_scse._widgets.dock import DockedWidget
from napari_scse._widgets.forms import Chips, ChoiceBox, Folded, column, form, line, until_destroyed
from napari_scse._widgets.layer_picker import LayerPicker
from napari_scse._widgets.panel import JobPanel
from napari_scse._widgets.player import MapsBar
from napari_scse._widgets.preferences import preferred_convention, preferred_device
from napari_scse._widgets.recording import record
from napari_scse._widgets.run_picker import RunPicker
from napari_scse._widgets.runner import Hooks, Runner
from napari_scse._widgets.slab import SlabPicker
from napari_scse._widgets.state import ExploreState, duration
from napari_scse._widgets.view_bar import ViewBar
from napari_scse.errors import InputError
from napari_scse.events import Event, MapDone

if TYPE_CHECKING:
    import napari

    from napari_scse.exploration import ExcitationMaps


@dataclass
class _Growing:
    """The maps layers that a job fills, and how far it is."""

    source: LayerInput
    started: float
    maps: ExcitationMaps | None = None
    layers: list[Image] = field(default_factory=list)
    limited: int = 0  # epochs the display limits were taken from
    done: int = 0
    total: int = 0


class ExploreWidget(DockedWidget):
    """The Explore dock widget."""

    recording = Signal(object)  # the layers are there, to be filled: the ExcitationMaps
    recorded = Signal(object)  # a run went to its end: the ExcitationMaps

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.state = ExploreState(device=preferred_device())
        self.runner = Runner(self.state, self)
        self._growing: _Growing | None = None
        self._build()
        self._connect()
        until_destroyed(self, EpochCaption(viewer))
        self.render_choices()
        self.render_job()
        self.runs.list_runs()

    def _build(self) -> None:
        self.picker = LayerPicker(self.viewer, self)
        self.runs = RunPicker(need_sites=True)
        self.sites, self.epochs = Chips(4), Chips(7)
        self.slab = SlabPicker()
        self.device, self.precision = ChoiceBox(), ChoiceBox()
        self.panel = JobPanel("Record the chosen gates; each becomes a new layer with an epoch slider.")
        self.maps_bar = MapsBar(self.viewer, self.state)
        self.view_bar = ViewBar(self.viewer, preferred_convention())
        rows, advanced = form(), form()
        self.picker.add_to(rows)
        rows.addRow("Trained run", self.runs)
        rows.addRow("Sites", self.sites)
        rows.addRow("Epochs", self.epochs)
        rows.addRow("Extent", self.slab)
        rows.addRow("Device", self.device)
        advanced.addRow("Precision", self.precision)
        column(self, rows, Folded("Advanced", advanced), self.panel, line(), self.maps_bar, line(), self.view_bar)

    def _connect(self) -> None:
        state = self.state
        self.picker.changed.connect(self.render_job)
        self.runs.box.picked.connect(self._on_run)
        self.runs.listed.connect(self._on_catalogue)
        self.runs.opened.connect(self._on_card)
        self.runs.failed.connect(self.runner.refuse)
        self.sites.picked.connect(partial(setattr, state, "sites"))
        self.epochs.picked.connect(partial(setattr, state, "epochs"))
        self.slab.picked.connect(partial(setattr, state, "slab"))
        self.device.picked.connect(partial(setattr, state, "device"))
        self.precision.picked.connect(partial(setattr, state, "precision"))
        self.panel.run_pressed.connect(self.run)
        self.panel.cancel_pressed.connect(self.runner.cancel)
        self.taken_out.connect(self.runner.cancel)
        self.taken_out.connect(self.runs.fetching.cancel)
        events = state.events
        until_destroyed(
            self,
            Links(self.render_choices, events.catalogue, events.run, events.device, events.precision, events.slab),
            Links(self.render_marks, events.sites, events.epochs),
            Links(self.render_job, events.job),
            Links(self._on_removed, self.viewer.layers.events.removed),
        )

    def render_choices(self, *_: object) -> None:
        """Show what the state says of the run and how to use it."""
        state, card = self.state, self.state.card
        self.runs.box.set_choices(choices.explorable_choices(state.catalogue.cards), state.run)
        self.device.set_choices(state.catalogue.devices, state.device)
        self.precision.set_choices(choices.precision_choices(state.catalogue), state.precision)
        self.slab.show_value(state.slab)
        self.sites.set_choices(choices.site_choices(card), state.sites)
        epochs = [] if card is None else [Choice(e, f"{e}", choices.epoch_tip(card, e)) for e in card.epochs]
        self.epochs.set_choices(epochs, state.epochs)
        self.render_job()

    def render_marks(self, *_: object) -> None:
        """Show which sites and epochs are chosen."""
        self.sites.show_values(self.state.sites)
        self.epochs.show_values(self.state.epochs)
        self.render_job()

    def render_job(self, *_: object) -> None:
        """Show where the job stands, or why there can be none."""
        self.panel.show_job(self.state.job, self.picker.obstacle or self._obstacle())

    def run(self) -> None:
        """Record the chosen gates into new layers."""
        card, state = self.state.card, self.state
        if card is None or state.job.is_busy:
            return
        try:
            source = self.picker.input(card.spacing[0])
            source.require_plane(card.plane)
        except InputError as error:
            self.runner.refuse(str(error))
            return
        centre = None if state.slab is None else self._shown_slice(source, card)
        self._growing = _Growing(source, time.monotonic())
        work = partial(
            record,
            source,
            card,
            sites=state.sites,
            epochs=state.epochs,
            slab=state.slab,
            centre=centre,
            device=state.device,
            precision=state.precision,
        )
        hooks = Hooks(self._on_event, self._refresh, self._on_result, self._on_cancelled, self._on_failed)
        self.runner.start(f"exploration of {source.name}", work, hooks)

    # -- the course of a job -------------------------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        from napari_scse.exploration import MapsStarted

        growing = self._growing
        if growing is None:
            return
        if isinstance(event, MapsStarted):
            growing.maps = event.maps
            self._add_layers(growing, event.maps)
        elif isinstance(event, MapDone):
            growing.done, growing.total = event.done, event.total

    def _add_layers(self, growing: _Growing, maps: ExcitationMaps) -> None:
        for data, keywords, _ in map_layers(maps, f"{growing.source.name} ", True, growing.source):
            layer = Image(data, **keywords)
            growing.layers.append(layer)
            self.viewer.add_layer(layer)
            layer.colorbar.visible = True
        self.recording.emit(maps)

    def _refresh(self) -> None:
        growing = self._growing
        if growing is None or growing.maps is None:
            return
        complete = growing.done * len(growing.maps.epochs) // growing.total if growing.total else 0
        for layer in growing.layers:
            layer.refresh(extent=False)
            if complete > growing.limited:
                update_limits(layer, growing.maps, complete, self.state.full_range)
        growing.limited = complete

    def _on_result(self, messages: tuple[str, ...]) -> str:
        growing = self._release()
        if growing is None:
            return ""
        took = duration(time.monotonic() - growing.started)
        self.recorded.emit(growing.maps)
        return " ".join((f"{growing.total} maps of {len(growing.layers)} sites recorded in {took}.", *messages))

    def _on_cancelled(self) -> str:
        growing = self._release()
        if growing is None:
            return "Stopped: the layers were removed."
        if not growing.done:
            return "Cancelled before the first map was recorded."
        return f"Cancelled: {growing.done} of {growing.total} maps are recorded, and the layers keep them."

    def _on_failed(self) -> None:
        self._release()

    def _release(self) -> _Growing | None:
        """Let go of the job's layers: complete, or with what is finished; empty ones are taken away."""
        growing, self._growing = self._growing, None
        if growing is not None and not growing.done:
            for layer in growing.layers:
                if layer in self.viewer.layers:
                    self.viewer.layers.remove(layer)
        return growing

    # -- what the user does --------------------------------------------------------------------------------------------

    def _shown_slice(self, source: LayerInput, card: RunCard) -> int:
        """Return the slice that is shown, as an index along the volume's axis through the run's plane."""
        axis = source.axis_through(card.plane)
        layer = self.picker.layer
        where = np.zeros(layer.ndim)
        point = np.asarray(self.viewer.dims.point, dtype=float)[-layer.ndim :]
        where[layer.ndim - len(point) :] = point
        index = np.asarray(layer.world_to_data(where))[-3:][axis] if layer.ndim > 2 else 0
        return int(np.clip(round(float(index)), 0, source.grid.shape[source.grid.axes[axis]] - 1))

    def _on_removed(self, *_: object) -> None:
        growing = self._growing
        if growing is None or not growing.layers:
            return
        growing.layers = [layer for layer in growing.layers if layer in self.viewer.layers]
        if not growing.layers:
            self._growing = None
            self.runner.cancel()

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

    def _obstacle(self) -> str:
        if not self.state.catalogue.listed:
            return "Looking for trained runs …"
        if self.state.card is None:
            return "No trained run with spatial gates is installed: open a run's folder, or use “napari-scse train”."
        if not self.state.sites:
            return "Choose at least one site."
        return "" if self.state.epochs else "Choose at least one epoch."
