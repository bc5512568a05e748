"""What is copied as Python or as a command does, when it is run, what the widgets do."""

from __future__ import annotations

import runpy
import shlex
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from qtpy.QtGui import QGuiApplication

from napari_scse._napari.layers import volume_layer
from napari_scse._widgets.cards import RunCard
from napari_scse._widgets.copying import (
    command_line,
    refine_command,
    refine_python,
    run_word,
    segment_command,
    segment_python,
)
from napari_scse._widgets.segment.widget import SegmentWidget
from napari_scse.cli import main
from napari_scse.events import drain
from napari_scse.images import read_labels, write
from napari_scse.inference import segment
from napari_scse.runs import Run, load_run, user_runs
from napari_scse.slices import Plane
from napari_scse.volume import LabelVolume, Volume

DEFAULTS: dict[str, Any] = {"epoch": "best", "device": "auto", "precision": "float32", "mirror": None}


@pytest.fixture
def card(tiny_run: Callable[..., Run]) -> RunCard:
    """A run that is found by its name."""
    return RunCard.of(tiny_run(name="tiny one", folder=user_runs()))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scan: Volume) -> Path:
    """A folder to work in, with a scan whose name has a space."""
    folder = tmp_path / "work here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    write(folder / "the scan.nii.gz", scan)
    return folder


def _run_script(folder: Path, text: str) -> None:
    (folder / "script.py").write_text(text, encoding="utf-8")
    runpy.run_path(str(folder / "script.py"))


def _run_command(text: str) -> None:
    program, *words = shlex.split(text)
    assert program == "napari-scse"
    assert main(words) == 0


OPTIONS = [
    DEFAULTS | {"planes": (Plane.CORONAL,)},
    DEFAULTS | {"epoch": 2, "device": "cpu", "mirror": False, "planes": ()},
    DEFAULTS | {"epoch": "last", "mirror": True, "precision": "float32"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_segment_as_python_and_as_a_command(options: dict[str, Any], card: RunCard, here: Path, scan: Volume) -> None:
    plain = {name: value for name, value in options.items() if name != "planes"}
    expected = drain(segment(scan, load_run(card.path), **plain)).labels
    for text, run in (
        (segment_python(card, "the scan.nii.gz", options), lambda text: _run_script(here, text)),
        (segment_command(card, "the scan.nii.gz", options), _run_command),
    ):
        run(text)
        made = read_labels(here / "labels.nii.gz")
        assert np.array_equal(made.data, expected.data)
        (here / "labels.nii.gz").unlink()


def test_only_what_differs_is_said(card: RunCard) -> None:
    assert segment_command(card, "a.nii", DEFAULTS) == "napari-scse segment a.nii labels.nii.gz --run 'tiny one'"
    model = replace(card, planes=(Plane.CORONAL, Plane.AXIAL), name="m")
    said = segment_command(model, "a.nii", DEFAULTS | {"planes": (Plane.AXIAL,), "uncertainty": True}, frame=3)
    assert said.endswith("--run m --planes axial --uncertainty uncertainty.nii.gz --frame 3")
    assert "planes=('axial',)" in segment_python(model, "a.nii", {"planes": (Plane.AXIAL,)})
    assert "read('a.nii', frame=3)" in segment_python(model, "a.nii", {}, frame=3)


def test_a_run_elsewhere_is_called_by_its_folder(tiny_run: Callable[..., Run], here: Path, scan: Volume) -> None:
    run = tiny_run(name="elsewhere", folder=here / "runs")
    card = RunCard.of(run)
    assert run_word(card) == str(run.path)
    _run_command(segment_command(card, "the scan.nii.gz", DEFAULTS))
    assert read_labels(here / "labels.nii.gz").shape == scan.shape


def test_frames(card: RunCard, here: Path, scan: Volume) -> None:
    series = np.stack([scan.data, scan.data[::-1]], axis=-1)
    nibabel.save(nibabel.Nifti1Image(series, scan.affine), here / "series.nii.gz")
    _run_command(segment_command(card, "series.nii.gz", DEFAULTS, frame=1))
    by_command = read_labels(here / "labels.nii.gz").data
    _run_script(here, segment_python(card, "series.nii.gz", DEFAULTS, frame=1))
    assert np.array_equal(read_labels(here / "labels.nii.gz").data, by_command)


def test_learn_as_python_and_as_a_command(card: RunCard, here: Path, scan: Volume, labels: LabelVolume) -> None:
    painted = np.full(scan.shape, -1, np.int16)
    painted[10:20, 11, 10:20] = labels.data[10:20, 11, 10:20]
    nibabel.save(nibabel.Nifti1Image(painted, scan.affine), here / "strokes.nii.gz")
    options = DEFAULTS | {"epoch": 2}
    _run_script(here, refine_python(card, "the scan.nii.gz", "strokes.nii.gz", options, "learnt-1"))
    assert load_run("learnt-1").epochs
    _run_command(refine_command(card, "the scan.nii.gz", "strokes.nii.gz", options, "learnt-2"))
    assert load_run("learnt-2").epochs
    assert read_labels(here / "labels.nii.gz").shape == scan.shape


def test_a_line_is_read_back_by_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("napari-scse", "a b", "c'd", 'e"f', "$HOME", "*", 5)
    assert shlex.split(command_line(*words)) == [str(word) for word in words]
    monkeypatch.setattr("sys.platform", "win32")
    assert command_line("a b", "c") == '"a b" c'


def test_every_combination_is_a_script(card: RunCard) -> None:
    for epoch, device, mirror, frame in product(("best", 3), ("auto", "cpu"), (None, False), (None, 0)):
        options = {"epoch": epoch, "device": device, "mirror": mirror}
        compile(segment_python(card, 'a"b\\c.nii', options, frame), "script", "exec")
        compile(refine_python(card, "a'b.nii", "s.nii", options, "new", frame), "script", "exec")


def test_segment_copies_what_it_would_do(viewer: Any, layer: Any, dock: Callable[..., Any]) -> None:
    widget = dock(SegmentWidget, "tiny-scse")
    widget.state.epoch = 2
    widget.copy.buttons["command"].click()
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    expected = "napari-scse segment scan.nii.gz labels.nii.gz --run tiny-scse --epoch 2"
    assert clipboard.text() == expected
    widget.copy.buttons["python"].click()
    assert "load_model('tiny-scse'), epoch=2)" in clipboard.text()
    viewer.layers.remove(layer)
    widget.copy.buttons["python"].click()
    assert "Open a scan" in widget.copy.text.text()


def test_two_windows_are_independent(
    make_napari_viewer_proxy: Callable[..., Any], viewer: Any, layer: Any, head: Volume, dock: Callable[..., Any]
) -> None:
    one = dock(SegmentWidget, "tiny-scse")
    other = make_napari_viewer_proxy()
    data, keywords, _ = volume_layer(head, "second head")
    other.add_image(data, **keywords)
    two = dock(SegmentWidget, "tiny-sse", where=other)
    assert [choice.text for choice in one.picker.box.choices] == [layer.name]
    assert [choice.text for choice in two.picker.box.choices] == ["second head"]
    two.state.epoch = 1
    assert one.state.epoch == "best"
    other.window.remove_dock_widget(two)
    viewer.layers.remove(layer)
    assert one.picker.layer is None
