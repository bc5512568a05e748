"""Segment: choose a layer and a run, and watch labels grow over it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox

from napari_scse._napari.links import Links
from napari_scse._napari.view import toggle_labels
from napari_scse._widgets import choices
from napari_scse._widgets.cards import Catalogue, RunCard
from napari_scse._widgets.copy_bar import CopyBar
from napari_scse._widgets.copying import scan_path, segment_command, segment_python
from napari_scse._widgets.dock import DockedWidget
from napari_scse._widgets.forms import ChoiceBox, Folded, form, line, scrolled, stacked, until_destroyed
from napari_scse._widgets.layer_picker import LayerPicker
from napari_scse._widgets.preferences import (
    PreferredComputing,
    preferred_convention,
    preferred_live,
    read_preferences,
)
from napari_scse._widgets.run_picker import RunPicker
from napari_scse._widgets.runner import Runner
from napari_scse._widgets.segment.jumping import Jumping
from napari_scse._widgets.segment.learning import Learning
from napari_scse._widgets.segment.live import Live
from napari_scse._widgets.segment.lock_bar import LockBar
from napari_scse._widgets.segment.region_box import RegionBox
from napari_scse._widgets.segment.run_panel import RunPanel
from napari_scse._widgets.segment.segmenting import Segmenting
from napari_scse._widgets.segment.target_picker import TargetPicker
from napari_scse._widgets.segment.teaching import TeachPanel
from napari_scse._widgets.shortcuts import Shortcuts
from napari_scse._widgets.state import SegmentState
from napari_scse._widgets.view_bar import ViewBar
from napari_scse.errors import InputError

if TYPE_CHECKING:
    import napari


class SegmentWidget(DockedWidget):
    """The Segment dock widget."""

    labelled = Signal(object)  # a run went to its end: the LabelVolume

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        preferred = read_preferences()
        self.state = SegmentState(device=preferred.device, precision=preferred.precision)
        self.runner = Runner(self.state, self)
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
        self.target = TargetPicker(self.viewer, self)
        self.region = RegionBox()
        self.panel = RunPanel("Label the scan from the slice on screen outwards; scrolling moves the front.")
        self.work = Segmenting(self.viewer, self.state, self.picker, self.target, self.runner)
        self.live = Live(self.viewer, self.work, self.state, self.picker)
        self.locks = LockBar(self.viewer)
        self.learning = Learning(self.viewer, self.state, self.picker, self.target, self.runner, self.work)
        self.jumping = Jumping(self.viewer, self.state, self.picker, self.work, self.learning)
        self.teach = TeachPanel(self.viewer, self.state, self.picker, self.learning, self.jumping)
        self.view_bar = ViewBar(self.viewer, preferred_convention())
        self.copy = CopyBar("python", "command")
        keyed: dict[str, Any] = {"run": self.panel.press, "live": self.panel.live.toggle, "jump": self.jumping.jump}
        keyed |= {"learn": self.teach.press("learn"), "accept": self.teach.press("accept")}
        keyed |= {"reject": self.teach.press("undo"), "labels": partial(toggle_labels, self.viewer)}
        self.shortcuts = Shortcuts(self, self.viewer, keyed)
        rows, advanced = form(), form()
        self.picker.add_to(rows)
        rows.addRow("Network", self.network)
        rows.addRow("Excitation", self.excitation)
        rows.addRow("Trained run", self.runs)
        rows.addRow("Planes", self.planes)
        rows.addRow("Epoch", self.epoch)
        rows.addRow("Device", self.device)
        rows.addRow("Region", self.region)
        rows.addRow("Labels into", self.target.box)
        advanced.addRow("Precision", self.precision)
        advanced.addRow("", self.mirror)
        advanced.addRow("", self.uncertainty)
        folds = Folded("Advanced", advanced), Folded("Teach", stacked(self.teach)), Folded("Keep", stacked(self.copy))
        scrolled(self, rows, folds[0], self.panel, self.locks, *folds[1:], line(), self.view_bar, self.shortcuts.fold)

    def _connect(self) -> None:
        state = self.state
        self.picker.changed.connect(self.render_choices)
        self.network.picked.connect(state.choose_network)
        self.excitation.picked.connect(state.choose_excitation)
        self.runs.box.picked.connect(self._on_run)
        self.runs.listed.connect(self._on_catalogue)
        self.runs.opened.connect(self._on_card)
        self.runs.renewed.connect(self._on_renewed)
        self.runs.failed.connect(self.runner.refuse)
        self.planes.picked.connect(state.choose_planes)
        self.epoch.picked.connect(partial(setattr, state, "epoch"))
        self.device.picked.connect(partial(setattr, state, "device"))
        self.precision.picked.connect(partial(setattr, state, "precision"))
        self.mirror.toggled.connect(partial(setattr, state, "mirror"))
        self.uncertainty.toggled.connect(partial(setattr, state, "uncertainty"))
        self.region.picked.connect(partial(setattr, state, "region"))
        self.region.sized.connect(partial(setattr, state, "slab_mm"))
        self.target.changed.connect(self.render_job)
        self.target.changed.connect(self.live.restart)
        self.panel.run_pressed.connect(self.run)
        self.panel.again_pressed.connect(partial(self.work.run, True))
        self.panel.live_toggled.connect(partial(setattr, state, "live"))
        self.panel.cancel_pressed.connect(self.runner.cancel)
        self.copy.pressed.connect(self._on_copy)
        self.learning.kept.connect(self.runs.open_folder)
        self.work.labelled.connect(self.labelled)
        self.work.changed.connect(self.render_job)
        self.work.removed.connect(self.runner.cancel)
        self.live.said.connect(self._say)
        self.runner.ended.connect(self.live.look)
        self.taken_out.connect(self._close)
        events = state.events
        chosen: tuple[Any, ...] = (
            events.catalogue,
            events.network,
            events.excitation,
            events.run,
            events.epoch,
            events.device,
        )
        chosen += (events.precision, events.mirror, events.uncertainty, events.planes, events.region, events.slab_mm)
        until_destroyed(
            self,
            Links(self.render_choices, *chosen, events.live),
            Links(self.live.restart, *chosen),
            Links(self.live.switch, events.live),
            Links(self.render_job, events.job),
            PreferredComputing(state),
        )

    def render_choices(self, *_: object) -> None:
        """Show what the state says of the run and how to use it."""
        state, cards = self.state, self.state.catalogue.cards
        self.network.set_choices(choices.network_choices(cards, self.runs.fetchable), state.network)
        variants = choices.excitation_choices(cards, state.network, self.runs.fetchable)
        self.excitation.set_choices(variants, state.excitation)
        self.runs.box.set_choices(choices.run_choices(cards, state.network, state.excitation), state.run)
        self.planes.set_choices(choices.plane_choices(state.card), state.planes)
        self.epoch.set_choices(choices.epoch_choices(state.asked), state.epoch)
        self.device.set_choices(state.catalogue.devices, state.device)
        self.precision.set_choices(choices.precision_choices(state.catalogue), state.precision)
        self.mirror.setChecked(state.mirror)
        self.uncertainty.setChecked(state.uncertainty)
        self.region.show_region(state.region, state.slab_mm)
        self.panel.show_live(state.live)
        self.target.follow(self.picker.layer, state.card)
        self.render_job()

    def render_job(self, *_: object) -> None:
        """Show where the job stands, or why there can be none."""
        self.panel.offer(self.work.can_resume and not self.state.job.is_busy)
        self.panel.show_job(self.state.job, self.picker.obstacle or self._no_run())

    def run(self) -> None:
        """Label the chosen layer, or go on with it."""
        self.work.run()

    # -- what the user does --------------------------------------------------------------------------------------------

    def _say(self, sentence: str) -> None:
        """Say why Live cannot work, unless a run has something to say."""
        if not self.state.job.is_busy:
            self.runner.refuse(sentence)

    def _close(self) -> None:
        """Stop all work and let go of the networks."""
        self.locks.put_away()
        self.state.live = False
        self.runner.cancel()
        self.runs.fetching.cancel()
        self.work.opened.close()

    def _on_run(self, path: object) -> None:
        self.state.choose(next((card for card in self.state.catalogue.cards if card.path == path), None))

    def _on_catalogue(self, catalogue: Catalogue) -> None:
        self.state.catalogue = catalogue
        self.state.choose(catalogue.standing_for(catalogue.first(catalogue.default)))
        self.state.live = self.state.live or preferred_live()

    def _on_card(self, card: RunCard) -> None:
        self.state.catalogue = self.state.catalogue.with_card(card)
        self.state.choose(card)

    def _on_renewed(self, card: RunCard) -> None:
        self.state.catalogue = self.state.catalogue.with_card(card)

    def _on_copy(self, what: str) -> None:
        try:
            task = self.work.task()
        except InputError as error:
            self.copy.tell(str(error))
            return
        make = segment_python if what == "python" else segment_command
        self.copy.put(make(task.card, scan_path(self.picker.layer), task.options, task.source.frame))

    def _no_run(self) -> str:
        if self.state.card is not None and self.state.card.trained:
            return ""
        if not self.state.catalogue.listed:
            return "Looking for trained runs …"
        return "No trained run is installed: open the folder of one, or train one with “napari-scse train”."
