"""Make the pictures of the documentation anew, from the bundled runs: ``python docs/make_screenshots.py [PART …]``.

A real napari window is driven as a user would, on the display there is or on Xvfb. It takes some minutes without a GPU.
The parts are segment, tour, explore, train and anatomy; pictures are written to ``docs/images``:

* ``segment.png``          the finished labels, the structure under the cursor named
* ``segment-running.png``  labels growing over the average brain
* ``cancelled.png``        a run that was cancelled half-way: what is finished stays
* ``resumed.png``          the same, that goes on elsewhere
* ``strokes.png``          strokes on the labels
* ``learnt.png``           what was learnt of them
* ``numbers.png``          the table of the structures, with a reference
* ``tour.gif``             all of that as a film
* ``explore.png``          maps and labels of one epoch beside the brain; ``film.gif`` every epoch of the same
* ``epochs.png``           both maps at every epoch, as in the paper's figure 7
* ``explore-voxel.png``    one voxel's gates and probabilities over the epochs
* ``explore-what-if.png``  a painted gate, and the labels that follow
* ``train.png``          a training that is watched: its curves, and labels and maps of its latest epoch
* ``anatomy.png``          an image that does not say where left is: what is assumed, to be changed
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

IMAGES = Path(__file__).parent / "images"
SIZE = (1600, 1000)
LARGEST = 300_000  # bytes
MINUTES = 20
MARK = "NAPARI_SCSE_SCREENSHOTS"  # set in the process that has a screen


def main(chosen: Sequence[str]) -> None:
    """Take the pictures of the chosen parts."""
    from napari_scse._widgets.demo import Window

    IMAGES.mkdir(exist_ok=True)
    window = Window.open()
    window.viewer.window.resize(*SIZE)
    wait(lambda: window.segment.state.catalogue.listed and window.explore.state.catalogue.listed)
    for part in chosen:
        PARTS[part](window)
    window.viewer.close()


def segmenting(window: Any) -> None:
    """The finished labels, as the run gives them if nothing is changed."""
    from napari_scse._napari.showcase import CENTRE

    viewer, segment = window.viewer, window.segment
    window.raise_dock(segment)
    viewer.dims.point = CENTRE[::-1]
    segment.panel.run.click()
    wait(lambda: not segment.state.job.is_busy)
    name_structure(viewer)
    photograph(viewer, "segment")
    viewer.layers.remove(viewer.layers[-1])


def touring(window: Any) -> None:
    """From the first label to the numbers, and the film of it."""
    from tour import walk  # beside this file

    walk(window, wait, photograph, IMAGES)
    del window.viewer.layers[1:]


def exploring(window: Any) -> None:
    """Maps and labels of every epoch, a voxel's curves, a painted gate, figure 7, and the film."""
    import numpy as np

    from napari_scse._napari.showcase import CENTRE

    viewer, explore = window.viewer, window.explore
    window.raise_dock(explore)
    explore.panel.run.click()
    wait(lambda: explore.screening is not None)
    film = explore.screening.film
    wait(lambda: film.next(explore.screening.view) is None)
    viewer.dims.set_current_step(0, 3)
    photograph(viewer, "explore")
    explore.keep.write_film(IMAGES / "film.gif")
    wait(lambda: explore.keep.text.text().startswith("Wrote"))
    shrink_film(IMAGES / "film.gif")
    explore.keep.write_figure(IMAGES / "epochs.png")
    wait(lambda: "epochs.png" in explore.keep.text.text() and explore.keep.text.text().startswith("Wrote"))
    shrink(IMAGES / "epochs.png", width=1750)

    viewer.dims.set_current_step(0, viewer.dims.nsteps[0] - 1)
    explore.voxel_fold.toggle.click()
    explore.voxel.button.click()
    explore.voxel.ask(np.array([6.0, CENTRE[1], 26.0]))  # a putamen
    wait(lambda: explore.voxel.gates.isVisible())
    photograph(viewer, "explore-voxel")
    explore.voxel_fold.toggle.click()
    explore.what_if_fold.toggle.click()
    box = explore.what_if.boxes["sD-4"]
    box.setCurrentIndex(box.findText("painted"))
    painted = next(layer for layer in viewer.layers if layer.name.endswith("painted"))
    place = np.round(painted.world_to_data(np.array([6.0, CENTRE[1], 26.0]))).astype(int)
    painted.brush_size = 24
    painted.paint(tuple(place), 1)
    wait(lambda: "pixels" in explore.what_if.text.text() and not explore.what_if.text.text().startswith("0 "))
    for layer in viewer.layers:
        layer.visible = layer.name.endswith(("painted", "what if")) or layer is viewer.layers[0]
    photograph(viewer, "explore-what-if")


def training(window: Any) -> None:
    """Grey and white matter of the average brain, learned in a few minutes."""
    from qtpy.QtCore import Qt

    from napari_scse._widgets.train.widget import TrainWidget

    viewer = window.viewer
    del viewer.layers[1:]
    add_tissues(viewer)
    train = TrainWidget(viewer)
    viewer.window.add_dock_widget(train, name="Train", tabify=True)
    wait(lambda: train.state.ready)
    train.form.quick.click()
    train.name.setText("tissues")
    train.panel.buttons["start"].click()
    wait(lambda: train.monitor is not None and 4 in train.monitor.history.done)
    preview = train.watch.preview
    wait(lambda: preview.screening is not None and preview.screening.film.next(preview.screening.view) is None)
    for row in range(train.curves.structures.count()):
        train.curves.structures.item(row).setCheckState(Qt.CheckState.Checked)
    train.curves.fold.toggle.click()
    viewer.layers["tissues"].visible = False
    train.watch.maps_bar.grid.setChecked(True)
    window.raise_dock(train)
    viewer.status = ""
    photograph(viewer, "train")
    train.watch.maps_bar.grid.setChecked(False)
    wait(lambda: not train.monitor.status.phase.is_alive)


def add_tissues(viewer: Any) -> None:
    """Lay the average brain's grey and white matter over it."""
    import numpy as np
    from nilearn.datasets import load_mni152_gm_template, load_mni152_wm_template

    from napari_scse._napari.labels import labels_layer
    from napari_scse._napari.layers import Grid
    from napari_scse.structures import Structure
    from napari_scse.volume import Volume

    grey, white = (
        np.asarray(load(resolution=1).dataobj) for load in (load_mni152_gm_template, load_mni152_wm_template)
    )
    labels = np.where(white > np.maximum(grey, 0.5), 2, np.where(grey > 0.5, 1, 0)).astype(np.uint8)
    grid = Grid.of(Volume(labels, load_mni152_gm_template(resolution=1).affine))
    meaning = (Structure(1, "Grey matter", "#cd3e4e"), Structure(2, "White matter", "#f5f5f5"))
    data, keywords, _ = labels_layer(labels, grid, meaning, "tissues")
    viewer.add_labels(data, **keywords)


def assuming(window: Any) -> None:
    """An image that does not say where left is."""
    from napari_scse._widgets.state import JobState

    window.viewer.layers.clear()
    add_plain(window.viewer)
    window.raise_dock(window.segment)
    window.segment.state.job = JobState()
    photograph(window.viewer, "anatomy")


PARTS = {"segment": segmenting, "tour": touring, "explore": exploring, "train": training, "anatomy": assuming}


def wait(done: Callable[[], bool]) -> None:
    """Let the window work until `done`."""
    from napari_scse._widgets.demo import settle

    for _ in range(MINUTES * 60 * 5):
        if done():
            return
        settle(200)
    raise TimeoutError("the window did not get there in time")


def photograph(viewer: Any, name: str) -> None:
    """Write a picture of the whole window."""
    from napari_scse._widgets.demo import settle

    settle(1200)
    path = IMAGES / f"{name}.png"
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    shrink(path)


def shrink_film(path: Path) -> None:
    """Halve the size of a film."""
    from PIL import Image, ImageSequence

    with Image.open(path) as film:
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(film)]
        pace = film.info["duration"]
    small = [frame.resize((frame.width // 2, frame.height // 2), Image.Resampling.LANCZOS) for frame in frames]
    small[0].save(path, save_all=True, append_images=small[1:], duration=pace, loop=0, optimize=True)
    print(f"{path}: {path.stat().st_size // 1000} kB")


def shrink(path: Path, width: int | None = None) -> None:
    """Give a large picture fewer colours, and `width` pixels if it is wider."""
    from PIL import Image

    with Image.open(path) as picture:
        small = picture.convert("RGB")
    if width is not None and small.width > width:
        small = small.resize((width, round(small.height * width / small.width)), Image.Resampling.LANCZOS)
    small.save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        small.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size // 1000} kB")


def name_structure(viewer: Any) -> None:
    """Put the cursor on a structure, for the status bar to name it."""
    import numpy as np

    labels = viewer.layers[-1]
    coronal = round(float(labels.world_to_data(viewer.dims.point)[1]))
    for value in (53, 17, 49, 10):  # hippocampi, thalami
        places = np.argwhere(labels.data[:, coronal] == value)
        if len(places):
            z, x = places[len(places) // 2]
            viewer.cursor.position = labels.data_to_world((z, coronal, x))
            viewer.status = labels.get_status(viewer.cursor.position, dims_displayed=[0, 2], world=True)
            return


def add_plain(viewer: Any) -> None:
    """Add the average brain as an array without any anatomy, as a TIFF stack would be."""
    import numpy as np

    from napari_scse._napari.sample import mni152

    stack = np.ascontiguousarray(mni152().data.transpose(1, 2, 0)[:, ::-1])
    viewer.scene.camera.orientation2d = ("down", "right")
    viewer.dims.order = (0, 1, 2)
    viewer.add_image(stack, name="stack.tif")
    viewer.dims.set_current_step(0, stack.shape[0] // 2)
    viewer.reset_view()


def on_a_screen() -> int:
    """Run this script again where there is a display, with settings of its own."""
    from napari_scse.cli.display import screen

    with screen() as environment, tempfile.TemporaryDirectory() as settings:
        own = environment | {"NAPARI_CONFIG": str(Path(settings) / "settings.yaml"), MARK: "1"}
        own |= {f"XDG_{kind}_HOME": str(Path(settings) / kind) for kind in ("DATA", "CACHE")}
        return subprocess.run([sys.executable, __file__, *sys.argv[1:]], env=own).returncode


if __name__ == "__main__":
    if MARK in os.environ:
        main(sys.argv[1:] or list(PARTS))
    else:
        sys.exit(on_a_screen())
