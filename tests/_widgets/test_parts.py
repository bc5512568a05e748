"""The small parts: what they show and what they tell, each way alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Image
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton, QWidget

from napari_scse._napari.inputs import Anatomy
from napari_scse._napari.layers import volume_layer
from napari_scse._napari.view import Convention, shown_convention, shown_plane
from napari_scse._widgets.anatomy_editor import AnatomyEditor
from napari_scse._widgets.cards import Choice
from napari_scse._widgets.dock import NARROWEST, DockedWidget
from napari_scse._widgets.forms import Chips, ChoiceBox, Folded, form, scrolled
from napari_scse._widgets.layer_picker import LayerPicker
from napari_scse._widgets.panel import JobPanel, ProgressLine
from napari_scse._widgets.state import JobState
from napari_scse._widgets.view_bar import ViewBar
from napari_scse.errors import InputError
from napari_scse.events import Progress
from napari_scse.slices import Plane
from napari_scse.volume import Volume

CHOICES = [Choice("a", "A", "first"), Choice("b", "B", "why not", "shut"), Choice("c", "C", "third")]


@pytest.fixture
def shown(qtbot: QtBot) -> Any:
    """Have a widget taken care of."""

    def add(widget: QWidget) -> Any:
        qtbot.addWidget(widget)
        return widget

    return add


def test_a_choice_box_shows_and_tells(shown: Any, qtbot: QtBot) -> None:
    box = shown(ChoiceBox())
    told: list[Any] = []
    box.picked.connect(told.append)
    box.set_choices(CHOICES, "c")
    assert (box.value, box.currentText(), box.toolTip()) == ("c", "C", "third")
    box.show_value("a")
    assert box.value == "a"
    assert told == []  # showing is not choosing
    box.setCurrentIndex(2)
    assert told == ["c"]
    item = box.model().item(1)
    assert not item.flags() & Qt.ItemFlag.ItemIsEnabled
    assert item.text() == "B  –  shut"
    assert item.toolTip() == "why not"
    box.setCurrentIndex(0)
    qtbot.keyClick(box, Qt.Key.Key_Down)  # skips what is shut
    assert box.value == "c"


def test_an_empty_choice_box_is_disabled(shown: Any) -> None:
    box = shown(ChoiceBox("nothing here"))
    assert not box.isEnabled()
    assert box.placeholderText() == "nothing here"
    assert box.value is None
    box.set_choices(CHOICES, "unknown")
    assert box.value is None


def test_chips(shown: Any) -> None:
    chips = shown(Chips(2))
    told: list[Any] = []
    chips.picked.connect(told.append)
    chips.set_choices(CHOICES, ("c",))
    assert chips.values == ("c",)
    chips.button("a").click()
    assert told == [("a", "c")]
    chips.show_values(())
    assert chips.values == ()
    assert len(told) == 1
    assert not chips.button("b").isEnabled()
    assert chips.button("b").toolTip() == "why not"


def test_folding(shown: Any) -> None:
    content = form()
    content.addRow("x", ChoiceBox())
    folded = shown(Folded("Advanced", content))
    assert folded.inner.isHidden()
    folded.toggle.click()
    assert not folded.inner.isHidden()


def test_the_anatomy_editor_keeps_one_of_each_pair(shown: Any) -> None:
    editor = shown(AnatomyEditor())
    told: list[Anatomy] = []
    editor.picked.connect(told.append)
    editor.show_anatomy(Anatomy("SAR", (1.0, 0.9375, 2.0)), ("z", "y", "x"), flat=False)
    editor._directions[0].setCurrentIndex(4)  # z to the right: x takes over superior
    assert told[-1] == Anatomy("RAS", (1.0, 0.9375, 2.0))
    editor._directions[0].setCurrentIndex(5)  # the other way along the same line
    assert told[-1].orientation == "LAS"
    editor._spacings[2].setValue(3)
    assert told[-1].spacing == (1.0, 0.9375, 3.0)
    assert editor.anatomy == told[-1]
    editor.show_anatomy(Anatomy("AIL", (1.0, 1.0, 1.0)), ("", "rows", "columns"), flat=True)
    assert editor._directions[0].isHidden()
    assert not editor._directions[1].isHidden()


class Painted(ProgressLine):
    """Counts how often it was drawn."""

    times = 0

    def paintEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        self.times += 1
        super().paintEvent(event)


def test_progress_waits_for_the_window_to_be_drawn(shown: Any, qtbot: QtBot) -> None:
    bar = shown(Painted())
    bar.show()
    qtbot.waitUntil(lambda: bar.times > 0, timeout=30_000)
    for done, total in ((0, 10), (1, 10), (7, 10), (0, 0), (3, 20)):
        before = bar.times
        bar.show_progress(done, total)
        assert bar.times == before
        assert (bar.value(), bar.maximum()) == (done, total)
        qtbot.waitUntil(lambda before=before: bar.times > before, timeout=30_000)


def test_the_panel_shows_a_job(shown: Any, qtbot: QtBot) -> None:
    panel = shown(JobPanel("tip"))
    assert panel.run.isEnabled()
    panel.show_job(JobState(), "Open a scan.")
    assert not panel.run.isEnabled()
    assert panel.message.text() == "Open a scan."
    job = JobState().start("Preparing")
    panel.show_job(job, "")
    assert not panel.run.isEnabled()
    assert panel.cancel.isEnabled()
    assert panel.bar.maximum() == 0  # busy, but not known how long
    for step in (1, 2):
        job = job.apply(Progress(step, 4, "slices"), 10.0 * step)
    panel.show_job(job, "")
    assert (panel.bar.value(), panel.bar.maximum()) == (2, 4)
    assert panel.count.text() == "2 of 4 slices"
    assert panel.left.text() == "20 s left"
    panel.show_job(job.stop(), "")
    assert not panel.cancel.isEnabled()
    panel.show_job(job.end("It broke.", failed=True), "")
    assert panel.run.isEnabled()
    assert panel.message.text() == "It broke."
    assert "color" in panel.message.styleSheet()
    for button, signal in ((panel.run, panel.run_pressed), (panel.cancel, panel.cancel_pressed)):
        button.setEnabled(True)
        with qtbot.waitSignal(signal):
            button.click()


def test_the_picker_lists_images_and_says_why_not(viewer: Any, shown: Any, head: Volume) -> None:
    owner = shown(QWidget())
    picker = LayerPicker(viewer, owner)
    assert "drag a NIfTI" in picker.obstacle
    with pytest.raises(InputError, match="drag a NIfTI"):
        picker.input()
    photo = viewer.add_image(np.zeros((4, 5, 3), np.uint8), rgb=True, name="photo")
    assert picker.layer is None
    assert "None of the open layers" in picker.obstacle
    data, keywords, _ = volume_layer(head, "head")
    first = viewer.add_image(data, **keywords)
    viewer.add_labels(np.zeros((3, 3, 3), int))
    second = viewer.add_image(data, **keywords)
    assert [choice.text for choice in picker.box.choices] == ["head [1]", "head", "photo"]
    assert picker.layer is first.__wrapped__  # stays where it was
    photo.name = "picture"
    assert picker.box.choices[-1].text == "picture"
    assert not picker.box.choices[-1].is_open
    picker.choose(second)
    viewer.layers.remove(second)
    assert picker.layer is first.__wrapped__


def test_the_picker_asks_about_anatomy_where_there_is_none(viewer: Any, shown: Any, layer: Any) -> None:
    owner = shown(QWidget())
    picker = LayerPicker(viewer, owner)
    picker.editor.setParent(owner)
    assert picker.editor.isHidden()
    plain = viewer.add_image(np.zeros((4, 5, 6)), scale=(2, 1, 1))
    picker.choose(plain)
    assert not picker.editor.isHidden()
    assert picker.input().volume().orientation == "RAS"
    picker.editor._directions[2].setCurrentIndex(5)
    assert picker.input().volume().orientation == "LAS"
    picker.choose(layer)
    assert picker.editor.isHidden()
    picker.choose(plain)
    assert picker.editor.anatomy is not None
    assert picker.editor.anatomy.orientation == "SAL"  # remembered
    plain.scale = (3, 1.2, 0.9)
    assert picker.editor.anatomy == Anatomy("SAL", (3, 1.2, 0.9))
    picker.editor._directions[2].setCurrentIndex(4)
    assert np.allclose(np.abs(np.diag(picker.input().grid.affine))[:3], (0.9, 1.2, 3))


@pytest.mark.usefixtures("layer")
def test_the_view_bar_stands_the_head_upright(viewer: Any, shown: Any) -> None:
    bar = shown(ViewBar(viewer, Convention.NEUROLOGICAL))
    assert shown_convention(viewer) is None
    assert bar.convention.currentText() == "not upright"
    bar.planes[Plane.CORONAL].click()
    assert shown_plane(viewer) is Plane.CORONAL
    assert shown_convention(viewer) is Convention.NEUROLOGICAL
    assert viewer.canvas.overlays["scse_middle_left"].text == "L"
    bar.convention.setCurrentIndex(0)
    assert shown_convention(viewer) is Convention.RADIOLOGICAL
    assert viewer.canvas.overlays["scse_middle_left"].text == "R"
    viewer.dims.order = (2, 0, 1)  # view follows model
    assert [plane for plane, button in bar.planes.items() if button.isChecked()] == [Plane.SAGITTAL]
    viewer.scene.camera.orientation2d = ("up", "right")
    assert bar.convention.value is Convention.NEUROLOGICAL
    viewer.add_image(np.zeros((4, 5, 6)))  # nobody knows where its left is
    assert not bar.planes[Plane.AXIAL].isEnabled()
    assert not viewer.canvas.overlays["scse_middle_left"].visible


def test_images_of_other_kinds_are_not_listed(viewer: Any, shown: Any) -> None:
    picker = LayerPicker(viewer, shown(QWidget()))
    viewer.add_points([[0, 0, 0]])
    viewer.add_layer(Image(np.zeros((2, 3, 4, 5)), metadata={"napari-scse": {"maps": {}}}))
    assert picker.box.choices == []


def test_a_dock_is_never_narrower_than_what_is_in_it(qtbot: QtBot) -> None:
    dock, wide = DockedWidget(), QPushButton("x")
    qtbot.addWidget(dock)
    wide.setMinimumWidth(200)
    scrolled(dock, wide)
    assert dock.minimumSizeHint().width() == NARROWEST
    dock.resize(NARROWEST, 300)
    dock.show()
    wide.setMinimumWidth(400)
    qtbot.waitUntil(lambda: dock.minimumSizeHint().width() > 400)
    assert dock.minimumSizeHint().height() < 300  # it scrolls
