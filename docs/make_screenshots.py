"""Make the pictures of the documentation anew, from the bundled runs: ``python docs/make_screenshots.py``.

A real napari window is driven as a user would, on the display there is or on Xvfb. It takes some minutes without a GPU.
Pictures are written to ``docs/images``:

* ``segment-running.png``  labels growing over the average brain
* ``segment.png``          the finished labels, the structure under the cursor named
* ``cancelled.png``        a run that was cancelled half-way: what is finished stays
* ``explore.png``          the excitation maps of one epoch beside the brain and its labels
* ``epochs.png``           both maps at every epoch, as in the paper's figure 7
* ``anatomy.png``          an image that does not say where left is: what is assumed, to be changed
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

IMAGES = Path(__file__).parent / "images"
LARGEST = 400_000  # bytes
MINUTES = 20
MARK = "NAPARI_SCSE_SCREENSHOTS"  # set in the process that has a screen


def main() -> None:
    """Take every picture."""
    from napari_scse._napari.showcase import CENTRE, SLAB
    from napari_scse._widgets.demo import Window, settle
    from napari_scse._widgets.state import JobState
    from napari_scse.slices import Plane

    IMAGES.mkdir(exist_ok=True)
    window = Window.open()
    viewer, segment, explore = window.viewer, window.segment, window.explore
    wait(lambda: segment.state.catalogue.listed and explore.state.catalogue.listed)

    window.raise_dock(segment)
    segment.panel.run.click()
    slices = viewer.layers[0].data.shape[1]
    wait(lambda: segment.state.job.total == slices and segment.state.job.done > 0.4 * slices)
    viewer.dims.set_current_step(1, segment.state.job.done - 3)
    photograph(viewer, "segment-running")
    segment.panel.cancel.click()
    wait(lambda: not segment.state.job.is_busy)
    viewer.dims.set_current_step(0, viewer.dims.nsteps[0] // 2)
    segment.view_bar.planes[Plane.AXIAL].click()
    photograph(viewer, "cancelled")
    viewer.layers.remove(viewer.layers[-1])

    segment.view_bar.planes[Plane.CORONAL].click()
    viewer.dims.point = CENTRE[::-1]
    segment.panel.run.click()
    wait(lambda: not segment.state.job.is_busy)
    name_structure(viewer)
    photograph(viewer, "segment")

    window.raise_dock(explore)
    explore.state.slab = SLAB
    explore.panel.run.click()
    wait(lambda: not explore.state.job.is_busy)
    window.side_by_side()
    viewer.dims.set_current_step(0, 3)
    photograph(viewer, "explore")
    explore.maps_bar.grid.setChecked(False)
    settle()
    strip(viewer, IMAGES / "epochs.png")

    viewer.layers.clear()
    add_plain(viewer)
    window.raise_dock(segment)
    segment.state.job = JobState()
    photograph(viewer, "anatomy")
    viewer.close()


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


def shrink(path: Path) -> None:
    """Give a large picture fewer colours."""
    from PIL import Image

    with Image.open(path) as picture:
        small = picture.convert("RGB")
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


def strip(viewer: Any, path: Path) -> None:
    """Put the canvas at every epoch side by side: one row a site."""
    import numpy as np
    from PIL import Image

    from napari_scse._napari.maps import is_map
    from napari_scse._napari.view import LEFT, RIGHT, erase
    from napari_scse._widgets.demo import settle

    maps = [layer for layer in viewer.layers if is_map(layer)]
    erase(viewer, LEFT)
    erase(viewer, RIGHT)
    rows = []
    for shown in maps:
        for layer in viewer.layers:
            layer.visible = layer is shown
        shown.colorbar.visible = False
        viewer.fit_to_view(layers=[shown], margin=0.02)
        row = []
        for step in range(viewer.dims.nsteps[0]):
            viewer.dims.set_current_step(0, step)
            settle(300)
            row.append(viewer.screenshot(canvas_only=True, flash=False)[..., :3])
        rows.append(np.concatenate(row, 1))
    whole = Image.fromarray(np.concatenate(rows))
    whole.resize((1750, round(whole.height * 1750 / whole.width))).save(path)
    shrink(path)


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
        return subprocess.run([sys.executable, __file__], env=own).returncode


if __name__ == "__main__":
    if MARK in os.environ:
        main()
    else:
        sys.exit(on_a_screen())
