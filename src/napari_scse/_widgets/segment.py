"""Segment: choose a layer and a run, and watch labels grow over it."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox

from napari_scse._napari.inputs import LayerInput
from napari_scse._napari.links import Links
from napari_scse._widgets import choices
from napari_scse._widgets.cards import Catalogue, RunCard
from napari_scse._widgets.dock import DockedWidget
from napari_scse._widgets.forms import ChoiceBox, Folded, column, form, line, until_destroyed
from napari_scse._widgets.growing import Growing
from napari_scse._widgets.layer_picker import LayerPicker
from napari_scse._widgets.panel import JobPanel
from napari_scse._widgets.preferences import preferred_convention, preferred_device
from napari_scse._widgets.run_picker import RunPicker
from napari_scse._widgets.runner import Hooks, Runner
from napari_scse._widgets.state import SegmentState, duration
from napari_scse._widgets.view_bar import ViewBar
from napari_scse.errors import InputError
from napari_scse.events import Event, SliceDone

if TYPE_CHECKING:
    import napari


@dataclass(frozen=True)
class _Outcome:
    """What the thread tells at the end; the labels themselves came with the events."""

    found: int
    messages: tuple[str, ...]


class SegmentWidget(DockedWidget):
    """The Segment dock widget."""

    labelled = Signal(object)  # a run went to its end: the LabelVolume

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.state = SegmentState(device=preferred_device())
        self.runner = Runner(self.state, self)
        self._growing: Growing | None = None
        self._build()
        self._connect()
        self.render_choices()
        self.render_job()
        self.runs.list_runs()

    def _build(self) -> None:
        self.picker = LayerPicker(self.viewer, self)
        self.network, self.excitation, self.planes = ChoiceBox(), ChoiceBox(), ChoiceBox()
        self.epoch, self.device, self.precision = ChoiceBox(), ChoiceBox(), ChoiceBox()
        self.runs = RunPicker()
        self.mirror = QCheckBox("average with the mirrored scan")
        self.mirror.setToolTip(
            "Label each slice and its mirror image, and take the mean: a little better, twice the time."
        )
        self.uncertainty = QCheckBox("show uncertainty")
        self.uncertainty.setToolTip(
            "Add a layer that is yellow to red where the network is unsure: the entropy of its class probabilities."
        )
        self.panel = JobPanel("Label the chosen layer; the labels become a new layer.")
        self.view_bar = ViewBar(self.viewer, preferred_convention())
        rows, advanced = form(), form()
        self.picker.add_to(rows)
        rows.addRow("Network", self.network)
        rows.addRow("Excitation", self.excitation)
        rows.addRow("Trained run", self.runs)
        rows.addRow("Planes", self.planes)
        rows.addRow("Epoch", self.epoch)
        rows.addRow("Device", self.device)
        advanced.addRow("Precision", self.precision)
        advanced.addRow("", self.mirror)
        advanced.addRow("", self.uncertainty)
        column(self, rows, Folded("Advanced", advanced), self.panel, line(), self.view_bar)

    def _connect(self) -> None:
        state = self.state
        self.picker.changed.connect(self.render_job)
        self.network.picked.connect(state.choose_network)
        self.excitation.picked.connect(state.choose_excitation)
        self.runs.box.picked.connect(self._on_run)
        self.runs.listed.connect(self._on_catalogue)
        self.runs.opened.connect(self._on_card)
        self.runs.failed.connect(self.runner.refuse)
        self.planes.picked.connect(partial(setattr, state, "planes"))
        self.epoch.picked.connect(partial(setattr, state, "epoch"))
        self.device.picked.connect(partial(setattr, state, "device"))
        self.precision.picked.connect(partial(setattr, state, "precision"))
        self.mirror.toggled.connect(partial(setattr, state, "mirror"))
        self.uncertainty.toggled.connect(partial(setattr, state, "uncertainty"))
        self.panel.run_pressed.connect(self.run)
        self.panel.cancel_pressed.connect(self.runner.cancel)
        self.taken_out.connect(self.runner.cancel)
        self.taken_out.connect(self.runs.fetching.cancel)
        events = state.events
        chosen = (events.catalogue, events.network, events.excitation, events.run, events.epoch, events.device)
        until_destroyed(
            self,
            Links(self.render_choices, *chosen, events.precision, events.mirror, events.uncertainty, events.planes),
            Links(self.render_job, events.job),
            Links(self._on_removed, self.viewer.layers.events.removed),
        )

    def render_choices(self, *_: object) -> None:
        """Show what the state says of the run and how to use it."""
        state, cards = self.state, self.state.catalogue.cards
        self.network.set_choices(choices.network_choices(cards), state.network)
        self.excitation.set_choices(choices.excitation_choices(cards, state.network), state.excitation)
        self.runs.box.set_choices(choices.run_choices(cards, state.network, state.excitation), state.run)
        self.planes.set_choices(choices.plane_choices(state.card), state.planes)
        self.epoch.set_choices(choices.epoch_choices(state.card), state.epoch)
        self.device.set_choices(state.catalogue.devices, state.device)
        self.precision.set_choices(choices.precision_choices(state.catalogue), state.precision)
        self.mirror.setChecked(state.mirror)
        self.uncertainty.setChecked(state.uncertainty)
        self.render_job()

    def render_job(self, *_: object) -> None:
        """Show where the job stands, or why there can be none."""
        self.panel.show_job(self.state.job, self.picker.obstacle or self._no_run())

    def run(self) -> None:
        """Label the chosen layer into a new layer."""
        card, state = self.state.card, self.state
        if card is None or state.job.is_busy:
            return
        try:
            source = self.picker.input(card.spacing[0])
            for plane in state.planes:
                source.require_plane(plane)
        except InputError as error:
            self.runner.refuse(str(error))
            return
        self._growing = Growing(self.viewer.layers, source, card, state.uncertainty)
        work = partial(
            _label,
            source,
            card,
            planes=state.planes,
            epoch=state.epoch,
            device=state.device,
            precision=state.precision,
            mirror=None if state.mirror else False,
            uncertainty=state.uncertainty,
        )
        hooks = Hooks(self._on_event, self._refresh, self._on_result, self._on_cancelled, self._on_failed)
        self.runner.start(f"segmentation of {source.name}", work, hooks)

    # -- the course of a job -------------------------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        if isinstance(event, SliceDone) and self._growing is not None:
            self._growing.take(event)

    def _refresh(self) -> None:
        if self._growing is not None:
            self._growing.refresh()

    def _on_result(self, outcome: _Outcome) -> str:
        growing = self._release()
        if growing is None:
            return ""
        took = duration(time.monotonic() - growing.started)
        self.labelled.emit(growing.result)
        return " ".join((f"{outcome.found} of {growing.structures} structures found in {took}.", *outcome.messages))

    def _on_cancelled(self) -> str:
        growing = self._release()
        if growing is None:
            return "Stopped: the labels layer was removed."
        if not growing.done:
            return "Cancelled before the first slice was labelled."
        return (
            f"Cancelled: {growing.done} of {growing.total} slices are labelled, and “{growing.layer.name}” keeps them."
        )

    def _on_failed(self) -> None:
        self._release()

    def _release(self) -> Growing | None:
        growing, self._growing = self._growing, None
        if growing is not None:
            growing.release()
        return growing

    # -- what the user does --------------------------------------------------------------------------------------------

    def _on_removed(self, *_: object) -> None:
        if self._growing is not None and not self._growing.is_shown:
            self._growing = None
            self.runner.cancel()

    def _on_run(self, path: object) -> None:
        self.state.choose(next((card for card in self.state.catalogue.cards if card.path == path), None))

    def _on_catalogue(self, catalogue: Catalogue) -> None:
        self.state.catalogue = catalogue
        self.state.choose(catalogue.first(catalogue.default))

    def _on_card(self, card: RunCard) -> None:
        self.state.catalogue = self.state.catalogue.with_card(card)
        self.state.choose(card)

    def _no_run(self) -> str:
        if self.state.card is not None and self.state.card.epochs:
            return ""
        if not self.state.catalogue.listed:
            return "Looking for trained runs …"
        return "No trained run is installed: open the folder of one, or train one with “napari-scse train”."


def _label(source: LayerInput, card: RunCard, **options: Any) -> Generator[Event, None, _Outcome]:
    """Read the voxels and label them: runs in the job's thread."""
    from napari_scse.inference import segment
    from napari_scse.runs import load_model

    volume = source.volume()
    result = yield from segment(volume, load_model(card.path), **options)
    found = np.count_nonzero(np.bincount(result.labels.data.ravel(order="K"))[1:])
    return _Outcome(int(found), result.messages)
