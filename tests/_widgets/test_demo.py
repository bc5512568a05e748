"""The demo: computed once and kept, shown in a real window, photographed without a display."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pytestqt.qtbot import QtBot

from napari_scse._napari.inputs import anatomical_grid
from napari_scse._napari.layers import volume_layer
from napari_scse._napari.sample import mni152
from napari_scse._napari.showcase import CENTRE, KeptLabels, shown_slice
from napari_scse._widgets.demo import Script, Window
from napari_scse._widgets.explore.widget import ExploreWidget
from napari_scse._widgets.jobs import Job
from napari_scse._widgets.segment.widget import SegmentWidget
from napari_scse.cli import demo as verb
from napari_scse.cli import display
from napari_scse.errors import InputError
from napari_scse.events import drain
from napari_scse.exploration import excite
from napari_scse.images import write_labels
from napari_scse.runs import Run, user_runs
from napari_scse.slices import Plane
from napari_scse.volume import LabelVolume, Volume

TIMEOUT = 120_000


@pytest.mark.usefixtures("layer")
def test_it_is_computed_once_and_then_kept(viewer: Any, dock: Callable[..., Any], qtbot: QtBot, head: Volume) -> None:
    window = Window(viewer, dock(SegmentWidget, "tiny-scse"), dock(ExploreWidget, "tiny-sse"))
    kept = KeptLabels(window.segment.state.run)
    assert kept.load() is None
    Script(window).begin()
    qtbot.waitUntil(lambda: window.explore.screening is not None and not Job._worker_set, timeout=TIMEOUT)
    names = [layer.name for layer in viewer.layers]
    assert names == ["head", "head labels", "head labels by epoch", "head sE-1", "head sD-2"]
    assert viewer.canvas.grid.enabled
    labels = kept.load()
    assert labels is not None
    assert np.allclose(labels.affine, head.affine)  # float32 on disk
    before = np.asarray(viewer.layers["head labels"].data)
    done = np.array(window.explore.screening.film.done)

    for name in names[1:]:
        viewer.layers.remove(name)
    with qtbot.waitSignal(window.explore.opened, timeout=TIMEOUT):
        Script(window).begin()  # the next time nothing is computed
    assert np.array_equal(np.asarray(viewer.layers[1].data), before)
    assert np.array_equal(window.explore.screening.film.done, done)


@pytest.mark.usefixtures("layer")
def test_a_models_first_labels_are_kept_as_its_runs(
    viewer: Any, dock: Callable[..., Any], qtbot: QtBot, tiny_run: Callable[..., Run]
) -> None:
    first, _ = (tiny_run(name=f"both-{p}", plane=p, epochs=1, folder=user_runs()) for p in ("coronal", "axial"))
    window = Window(viewer, dock(SegmentWidget, "both"), dock(ExploreWidget, "tiny-sse"))
    window.segment.state.choose_planes((Plane.CORONAL,))
    Script(window).begin()
    qtbot.waitUntil(lambda: window.explore.screening is not None and not Job._worker_set, timeout=TIMEOUT)
    assert KeptLabels(first.path).load() is not None


def test_labels_of_another_scan_are_not_kept(
    viewer: Any, layer: Any, head: Volume, dock: Callable[..., Any], qtbot: QtBot
) -> None:
    data, keywords, _ = volume_layer(Volume(head.data, head.affine + np.eye(4, k=3)), "mine")
    mine = viewer.add_image(data, **keywords)
    window = Window(viewer, dock(SegmentWidget, "tiny-scse"), dock(ExploreWidget, "tiny-sse"))
    window.segment.picker.choose(mine)
    script = Script(window)
    with qtbot.waitSignal(window.segment.runner.ended, timeout=TIMEOUT):
        script.begin()
    assert "mine labels" in viewer.layers
    assert KeptLabels(window.segment.state.run).load() is None
    assert not window.explore.state.job.is_busy
    assert layer in viewer.layers


def test_cancelling_the_labels_ends_it(
    viewer: Any, long: Callable[..., Any], dock: Callable[..., Any], qtbot: QtBot
) -> None:
    window = Window(viewer, long(SegmentWidget), dock(ExploreWidget, "tiny-sse"))
    Script(window).begin()
    qtbot.waitUntil(lambda: window.segment.state.job.done > 0, timeout=TIMEOUT)
    with qtbot.waitSignal(window.segment.runner.ended, timeout=TIMEOUT):
        window.segment.panel.cancel.click()
    assert not window.explore.state.job.is_busy
    assert len(viewer.layers) <= 2  # the scan, and its labels if a slice was finished
    grid = anatomical_grid(viewer.layers[0])
    window.segment.labelled.emit(LabelVolume(np.zeros(grid.shape, np.uint8), grid.affine))  # the user's next run
    assert KeptLabels(window.segment.state.run).load() is None
    assert not window.explore.state.job.is_busy


def test_the_window_is_photographed(tmp_path: Path, tiny_run: Callable[..., Run]) -> None:
    pytest.importorskip("nilearn", reason="the sample brain comes with nilearn")
    volume = mni152()
    labels = np.where(volume.data > 0.7, 41, np.where(volume.data > 0.3, 42, 0)).astype(np.uint8)
    write_labels(tmp_path / "labels.nii.gz", LabelVolume(labels, volume.affine))
    centre = shown_slice(volume, Plane.CORONAL, CENTRE)
    run = tiny_run(excitation="sse", canvas=(160, 160))
    drain(excite(volume, run, slab=2, centre=centre, epochs=[1, 2], store=tmp_path / "maps.zarr"))
    with display.screen() as environment:
        verb._draw(tmp_path, environment)
    for name in ("labels.png", "excitation.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.width > 1200
            assert picture.height > 700
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 500


def test_what_cannot_be_drawn_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"could not be drawn: .*labels\.nii\.gz"):
        verb._draw(tmp_path, dict(os.environ))


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs Xvfb")
def test_xvfb_is_started_where_there_is_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not display.has_display()
    with display.screen() as environment:
        number = environment["DISPLAY"].lstrip(":")
        socket = Path(f"/tmp/.X11-unix/X{number}")
        assert socket.exists()
        assert Path(environment["XDG_RUNTIME_DIR"]).is_dir()
    assert not socket.exists()


def test_without_display_and_xvfb_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="no display, and no Xvfb"), display.screen():
        pass
    with pytest.raises(InputError, match="--headless DIR"):
        verb.demo()


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        verb.write_demo(tmp_path / "file")
    (tmp_path / "demo" / "maps.zarr").mkdir(parents=True)
    (tmp_path / "demo" / "maps.zarr" / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="no excitation maps"):
        verb.write_demo(tmp_path / "demo")
    assert (tmp_path / "demo" / "maps.zarr" / "mine.txt").exists()
