"""Numbers: the size, symmetry, intensity and agreement of every structure, while it is edited."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, QSize, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from napari_scse._napari.going import go_to
from napari_scse._napari.hiding import Hiding
from napari_scse._napari.inputs import Refusal
from napari_scse._napari.label_source import (
    LabelSource,
    colors_of,
    is_labels,
    is_scan,
    knows_size,
    names_of,
    refuse_beside,
    refuse_labels,
    voxel_mm3,
)
from napari_scse._napari.links import Links
from napari_scse._widgets.dock import DockedWidget
from napari_scse._widgets.forms import MARGIN, column, form, until_destroyed
from napari_scse._widgets.layer_box import LayerBox
from napari_scse._widgets.numbers.bar import NumbersBar
from napari_scse._widgets.numbers.counting import Counting
from napari_scse._widgets.numbers.table import NumbersModel, NumbersTable
from napari_scse._widgets.shortcuts import Shortcuts
from napari_scse.evaluation.numbers import (
    StructureNumbers,
    mean_dice,
    structure_numbers,
    voxel_inside,
)

if TYPE_CHECKING:
    import napari


class NumbersWidget(DockedWidget):
    """The Numbers dock widget."""

    shown = Signal()  # other numbers are in the table

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.counting = Counting(self)
        self.hiding: Hiding | None = None
        self._note = ""
        self._build()
        self._connect()
        self._on_labels(self.labels.layer)

    def _build(self) -> None:
        self.labels = LayerBox(self.viewer, self, is_labels, refuse_labels)
        self.image = LayerBox(self.viewer, self, is_scan, self._refuse, "no image")
        self.reference = LayerBox(self.viewer, self, is_labels, self._refuse_reference, "no reference")
        self.model = NumbersModel(self)
        self.table = NumbersTable(self.model)
        self.solo = QPushButton("Only the selected one")
        self.solo.setCheckable(True)
        self.solo.setToolTip("Show only the selected label: napari's own “show selected”.")
        self.everything = QPushButton("Show all")
        self.everything.setToolTip("Hide nothing any more.")
        self.bar = NumbersBar(self.table)
        self.text = QLabel()
        self.text.setWordWrap(True)
        rows, buttons, visible = form(), QHBoxLayout(), QWidget()
        buttons.setContentsMargins(0, 0, 0, 0)
        for button in (self.solo, self.everything):
            buttons.addWidget(button)
        visible.setLayout(buttons)
        rows.addRow("Labels", self.labels.box)
        rows.addRow("Image", self.image.box)
        rows.addRow("Reference", self.reference.box)
        self.shortcuts = Shortcuts(
            self,
            self.viewer,
            {"next_structure": partial(self.step, 1), "previous_structure": partial(self.step, -1)},
        )
        column(self, rows, self.table, visible, self.bar, self.text, self.shortcuts.fold).setStretchFactor(
            self.table, 100
        )

    def _connect(self) -> None:
        self.labels.picked.connect(self._on_labels)
        self.image.picked.connect(self._on_beside)
        self.reference.picked.connect(self._on_beside)
        self.counting.changed.connect(self.render_numbers)
        self.counting.said.connect(self._on_said)
        self.counting.replaced.connect(self._on_grid)
        self.table.gone_to.connect(self.go)
        self.model.hidden_picked.connect(self.hide_values)
        self.solo.toggled.connect(self._on_solo)
        self.everything.clicked.connect(self.show_all)
        self.bar.said.connect(self.text.setText)
        self.taken_out.connect(self.leave)
        until_destroyed(self, Links(self._on_frame, self.viewer.dims.events.current_step))

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a width in which all columns of the table are seen."""
        hint = super().sizeHint()
        return QSize(max(hint.width(), self.table.sizeHint().width() + 2 * MARGIN), hint.height())

    @property
    def numbers(self) -> tuple[StructureNumbers, ...]:
        """What the table shows, in increasing order of the value."""
        return self.model.rows

    def render_numbers(self, *_: object) -> None:
        """Show the numbers as they are now."""
        source, tally = self.counting.source, self.counting.tally
        if source is None or tally is None:
            self._show(())
            self.text.setText("Counting …" if source is not None else "Open or make labels to begin.")
            return
        values = sorted({*tally.values, *(tally.in_reference.keys() - {0})})
        found = structure_numbers(tally, names_of(source.layer, values), voxel_mm3(source.layer))
        if self.hiding is not None and self.hiding.hidden:
            self.hiding.hide(self.hiding.hidden, values)
        self._show(found)
        self.text.setText(" ".join(filter(None, (_sum_up(found), self._note, self._caution(source)))))
        self.shown.emit()

    def go(self, value: int) -> None:
        """Go to a structure: its slices in 2-D, in any plane, the middle of the view in 3-D; and select its label."""
        source, tally = self.counting.source, self.counting.tally
        if source is None or tally is None:
            return
        source.layer.selected_label = value
        centre = tally.sums(value).centre
        found = voxel_inside(tally.counted, value, centre) if centre else None
        if found is not None:
            index = [0] * len(found)
            for axis, place in zip(self.counting.order, found, strict=True):
                index[axis] = place
            frame = [source.frames[0]] if source.layer.ndim == 4 else []
            go_to(self.viewer, source.layer, (*frame, *index))

    def step(self, by: int) -> None:
        """Go to the next row's structure (or that so many rows away), in the order that is shown."""
        rows = self.table.rows_in_view()
        if rows:
            now = self.table.currentIndex().row()
            self.go(rows[(now + by) % len(rows) if now >= 0 else 0].value)

    def hide_values(self, values: frozenset[int]) -> None:
        """Hide exactly `values`."""
        source = self.counting.source
        if source is None:
            return
        if self.hiding is None:
            self.hiding = Hiding(source.layer, self.viewer.layers)
        self.hiding.hide(values, [row.value for row in self.model.rows])
        self._show(self.model.rows)

    def show_all(self) -> None:
        """Hide nothing any more, neither here nor with “show selected”."""
        self.hide_values(frozenset())
        self.solo.setChecked(False)

    def leave(self) -> None:
        """Let go of the layer: nothing stays hidden."""
        self._watch(None)
        self.counting.show(None)

    # -- what the user does --------------------------------------------------------------------------------------------

    def _on_labels(self, layer: Any) -> None:
        """Another labels layer: list what lies on its grid; the topmost image there is taken."""
        self._watch(layer)
        self._on_grid()

    def _on_grid(self) -> None:
        for box in (self.image, self.reference):
            with QSignalBlocker(box):
                box.reset_choices()
        if self.image.layer is None:
            usable = [choice.value for choice in self.image.box.choices if choice.is_open and choice.value is not None]
            if usable:
                with QSignalBlocker(self.image):
                    self.image.choose(usable[0])
        self._on_beside()

    def _on_beside(self, *_: object) -> None:
        """Another image or reference."""
        self.table.show_columns(*self._beside)
        self.counting.show(self._shown())

    def _on_frame(self, *_: object) -> None:
        source, shown = self.counting.source, self._shown()
        if source is not None and shown is not None and shown.frames != source.frames:
            self._on_beside()

    def _shown(self) -> LabelSource | None:
        """What is on screen of the chosen layers."""
        layer = self.labels.layer
        point = self.viewer.dims.point
        return None if layer is None else LabelSource.at(point, layer, self.image.layer, self.reference.layer)

    def _on_solo(self, on: bool) -> None:
        source = self.counting.source
        if source is not None:
            source.layer.show_selected_label = on

    def _on_layer(self, *_: object) -> None:
        """Somebody selected another label, or colours, or what is shown."""
        source = self.counting.source
        if source is not None:
            with QSignalBlocker(self.solo):
                self.solo.setChecked(source.layer.show_selected_label)
            self._show(self.model.rows)

    def _on_said(self, sentence: str) -> None:
        self._note = sentence
        if sentence:
            self.text.setText(sentence)

    # -- parts ---------------------------------------------------------------------------------------------------------

    @property
    def _beside(self) -> tuple[bool, bool]:
        """Whether there is an image, and a reference."""
        return self.image.layer is not None, self.reference.layer is not None

    def _watch(self, layer: Any) -> None:
        """Follow how `layer` looks, and let go of the one before."""
        if self.hiding is not None:
            self.hiding.close()
            self.hiding = None
        for links in getattr(self, "_links", ()):
            links.close()
        self._links: tuple[Links, ...] = ()
        if layer is not None:
            events = layer.events
            looks = (events.selected_label, events.colormap, events.show_selected_label)
            self._links = (
                Links(self._on_layer, *looks),
                Links(self.render_numbers, events.features, events.scale, events.affine, events.units),
            )
            until_destroyed(self, *self._links)

    def _show(self, rows: Sequence[StructureNumbers]) -> None:
        source = self.counting.source
        if source is None:
            self.model.show((), {}, ())
            return
        own = source.layer.colormap if self.hiding is None else self.hiding.own
        colors = colors_of(own, [row.value for row in rows])
        colored = {value: QColor.fromRgbF(*color) for value, color in colors.items()}
        self.model.show(rows, colored, () if self.hiding is None else self.hiding.hidden)
        self.table.select(source.layer.selected_label)
        for part in (self.solo, self.everything, self.bar):
            part.setEnabled(bool(rows))

    def _refuse(self, layer: Any) -> Refusal | None:
        return refuse_beside(layer, self.labels.layer)

    def _refuse_reference(self, layer: Any) -> Refusal | None:
        if layer is self.labels.layer:
            return Refusal("counted", "These are the labels that are counted.")
        return self._refuse(layer)

    def _caution(self, source: LabelSource) -> str:
        if source.layer.ndim < 3 or knows_size(source.layer):
            return ""
        return "The layer has no unit of length: its scale is taken for millimetres."


def _sum_up(rows: Sequence[StructureNumbers]) -> str:
    there = [row for row in rows if row.voxels]
    if not there:
        return "Nothing is labelled."
    parts = [f"{len(there)} structure{'s' if len(there) > 1 else ''}"]
    volume, dice = sum(row.ml for row in there), mean_dice(rows)
    parts += [] if math.isnan(volume) else [f"{volume:.1f} mL"]
    parts += [] if math.isnan(dice) else [f"mean Dice {dice:.3f}"]
    return ", ".join(parts) + "."
