"""A walk through the window, from the first label to the numbers: pictures and a film, for `make_screenshots.py`.

The run ``brain-t1-coronal`` labels the average brain, is cancelled and resumed, and is taught cortex where the
average brain's own map of grey matter says so and the run says white matter. Then its labels are compared with those of
``brain-t1-densenet-sse``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LEARNER, REFERENCE = "brain-t1-coronal", "brain-t1-densenet-sse"
AXIAL, CORONAL = 0, 1  # axes of (z, y, x)
BAND = 18  # slices between two frames of a growing segmentation
SLICES, APART = 3, 9
STROKES, VOXELS = 6, 20  # on a slice, of a stroke
CLOSE = (-4.0, 0.0)  # superior and right, in mm: the middle of the picture while strokes are painted
REACH = 20.0  # mm: the slab that is labelled anew
WHITE = {2: 3, 41: 42}  # white matter, and the cortex of the same side
WIDTH = 700  # px
_BOX = (380, 22, 1600, 976)  # of a window of 1600 x 1000: the canvas and the docks to the right of it
_FONT = 26
_COLORS = ((40, Image.Quantize.MEDIANCUT), (24, Image.Quantize.MAXCOVERAGE))  # thin outlines are rare
_BAR = 48  # px above it, for the caption


class Film:
    """Frames of a window, with a caption each."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._frames: list[Image.Image] = []
        self._times: list[int] = []
        self.caption = ""

    def shoot(self, milliseconds: int = 500) -> None:
        """Add what the window shows, for some time."""
        from napari_scse._widgets.demo import settle

        settle(350)
        picture = Image.fromarray(self._viewer.screenshot(canvas_only=False, flash=False)).convert("RGB")
        left, top, right, bottom = _BOX
        frame = Image.new("RGB", (right - left, bottom - top + _BAR))
        frame.paste(picture.crop(_BOX), (0, _BAR))
        ImageDraw.Draw(frame).text((16, 9), self.caption, "#ffd166", ImageFont.load_default(_FONT))
        size = WIDTH, round(frame.height * WIDTH / frame.width)
        self._frames.append(frame.resize(size, Image.Resampling.LANCZOS))
        self._times.append(milliseconds)

    def write(self, path: Path) -> None:
        """Write a GIF; all frames have the same colours: the most frequent ones, and some that are rare."""
        sheet = _stacked(self._frames[:: max(1, len(self._frames) // 8)])
        frequent, rare = (sheet.quantize(count, method) for count, method in _COLORS)
        palette = Image.new("P", (1, 1))
        palette.putpalette([*(frequent.getpalette() or [])[: 3 * _COLORS[0][0]], *(rare.getpalette() or [])])
        small = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self._frames]
        small[0].save(path, save_all=True, append_images=small[1:], duration=self._times, loop=0, optimize=False)
        print(f"{path}: {path.stat().st_size // 1000} kB, {len(small)} frames, {sum(self._times) / 1000:.0f} s")


def walk(window: Any, wait: Callable[..., None], photograph: Callable[..., None], images: Path) -> None:
    """Grow, cancel, resume, teach, undo, measure."""
    viewer, segment = window.viewer, window.segment
    film = Film(viewer)
    window.raise_dock(segment)
    window.show_labels(reference_labels())
    other = viewer.layers[-1]
    other.name, other.visible = REFERENCE, False
    cards = {card.name: card for card in segment.state.catalogue.cards}
    segment.state.choose(segment.state.catalogue.standing_for(cards[LEARNER]))
    segment.state.mirror, segment.state.precision = False, "bfloat16"
    labels = grow(window, film, wait, photograph)
    teach(window, film, wait, photograph, labels)
    measure(window, film, wait, photograph, labels, other)
    film.write(images / "tour.gif")


def grow(window: Any, film: Film, wait: Callable[..., None], photograph: Callable[..., None]) -> Any:
    """Labels that grow from where one looks, that are cancelled, that go on elsewhere."""
    from napari_scse.slices import Plane

    viewer, segment = window.viewer, window.segment
    job = lambda: segment.state.job  # noqa: E731 - it is another one every time
    segment.view_bar.planes[Plane.AXIAL].click()
    viewer.dims.point = (8.0, -18.0, 0.0)
    film.caption = "Run: labels grow from where you look"
    film.shoot(1200)
    segment.panel.run.click()

    def watch(until: int, name: str = "", at: int = 0) -> None:
        done = 0
        while job().is_busy and done < until:
            after = done + BAND
            wait(lambda after=after: not job().is_busy or (job().what == "slices labelled" and job().done >= after))
            done = job().done
            film.shoot()
            if name and done >= at:
                photograph(viewer, name)
                name = ""

    watch(80, "segment-running", 50)
    segment.panel.cancel.click()
    wait(lambda: not job().is_busy)
    film.caption = "Cancel: what is labelled stays"
    film.shoot(1600)
    photograph(viewer, "cancelled")
    viewer.scene.camera.center = (0, viewer.scene.camera.center[1] + 80, viewer.scene.camera.center[2])
    film.caption = "Look elsewhere, and resume: the front is there now"
    film.shoot(900)
    segment.panel.run.click()
    watch(45, "resumed", 18)
    viewer.reset_view()
    watch(10_000)
    wait(lambda: not job().is_busy)
    film.caption = "All slices are labelled"
    film.shoot(1400)
    return segment.work.growing.layer


def teach(window: Any, film: Film, wait: Callable[..., None], photograph: Callable[..., None], labels: Any) -> None:
    """Strokes where the run is wrong, on three slices; what is learnt of them, and the way back."""
    from napari_scse._widgets.forms import Folded
    from napari_scse.slices import Plane

    viewer, segment = window.viewer, window.segment
    viewer.layers.selection.active = labels
    segment.view_bar.planes[Plane.CORONAL].click()
    fold = next(fold for fold in segment.findChildren(Folded) if fold.isAncestorOf(segment.teach))
    fold.toggle.setChecked(True)
    segment.locks.show_locked.setChecked(True)
    viewer.layers.selection.active = labels
    viewer.scene.camera.zoom *= 1.45
    viewer.scene.camera.center = (0, *CLOSE)
    labels.mode = "paint"
    labels.brush_size = 2
    wrong = grey_matter() & np.isin(labels.data, list(WHITE))
    slices = worst(wrong)
    for count, number in enumerate(slices, 1):
        viewer.dims.set_point(CORONAL, labels.data_to_world((0, number, 0))[CORONAL])
        film.caption = f"Paint where it is wrong: slice {count} of {len(slices)}"
        film.shoot(800)
        for stroke in patches(wrong, number):
            value = WHITE[int(labels.data[tuple(stroke[0])])]
            labels.selected_label = value
            labels.data_setitem(tuple(stroke.T), value)
        film.shoot(1500)
    segment.state.region, segment.state.slab_mm = "slab", REACH
    viewer.dims.set_point(CORONAL, labels.data_to_world((0, slices[0], 0))[CORONAL])
    scroll_to(segment, segment.teach.save)
    segment.teach.render_strokes()
    photograph(viewer, "strokes")
    film.caption = "Learn: a copy of the network learns for some seconds"
    segment.teach.learn.click()
    wait(lambda: not segment.state.job.is_busy or segment.state.job.what == "steps learnt")
    film.shoot(700)
    wait(lambda: not segment.state.job.is_busy)
    print(segment.state.job.message)
    film.caption = "The labels follow, on other slices too"
    film.shoot(2800)
    photograph(viewer, "learnt")
    segment.teach.undo.click()
    wait(lambda: not segment.state.job.is_busy)
    print(segment.state.job.message)
    film.caption = "Undo round: as before, but for what you painted"
    film.shoot(1800)
    segment.locks.show_locked.setChecked(False)
    labels.mode = "pan_zoom"


def measure(
    window: Any, film: Film, wait: Callable[..., None], photograph: Callable[..., None], labels: Any, other: Any
) -> None:
    """The table of the structures, with a reference; a click leads to one of them."""
    from qtpy.QtCore import Qt

    viewer = window.viewer
    _, numbers = viewer.window.add_plugin_dock_widget("napari-scse", "Numbers", tabify=True)
    dock = numbers.parent()
    dock.raise_()
    dock.parent().resizeDocks([dock], [numbers.sizeHint().width()], Qt.Orientation.Horizontal)
    numbers.labels.choose(labels)
    numbers.reference.choose(other)
    wait(lambda: not numbers.counting.is_busy and any(row.dice == row.dice for row in numbers.numbers))
    viewer.reset_view()
    film.caption = "Numbers: sizes, symmetry, Dice with a reference"
    film.shoot(1800)
    for value in (17, 11):
        numbers.go(value)
        film.caption = f"A click leads to the {'hippocampus' if value == 17 else 'caudate'}"
        film.shoot(1500)
        if value == 17:
            photograph(viewer, "numbers")


def reference_labels() -> Any:
    """Return the average brain's labels by the reference; computed once, and kept in the cache folder."""
    import napari_scse as scse
    from napari_scse._napari.sample import mni152
    from napari_scse._napari.showcase import KeptLabels

    run = scse.load_run(REFERENCE)
    kept = KeptLabels(run.path)
    labels = kept.load()
    if labels is None:
        labels = scse.drain(scse.segment(mni152(), run)).labels
        scse.drain(kept.save(labels))
    return labels


def grey_matter() -> np.ndarray:
    """Return where the average brain's own map says grey matter, away from its middle: (z, y, x)."""
    from nilearn.datasets import load_mni152_gm_template

    from napari_scse._napari.layers import Grid
    from napari_scse.volume import Volume

    template = load_mni152_gm_template(resolution=1)
    grey = np.asarray(template.dataobj) > 0.6
    right = template.affine[0, 0] * np.arange(grey.shape[0]) + template.affine[0, 3]
    grey[np.abs(right) < 15] = False  # deep structures
    return Grid.of(Volume(grey.astype(np.uint8), template.affine)).show(grey)


def worst(wrong: np.ndarray) -> list[int]:
    """Return the coronal slices that have most of `wrong`, in patches, some slices apart."""
    from scipy import ndimage

    amounts = ndimage.binary_opening(wrong, np.ones((2, 1, 2))).sum((0, 2)).astype(float)
    found: list[int] = []
    for _ in range(SLICES):
        found.append(int(amounts.argmax()))
        amounts[max(0, found[-1] - APART) : found[-1] + APART + 1] = -1
    return found


def patches(wrong: np.ndarray, number: int) -> list[np.ndarray]:
    """Return the largest patches of a coronal slice: voxels (n, 3)."""
    from scipy import ndimage

    found, _ = ndimage.label(ndimage.binary_opening(wrong[:, number], np.ones((2, 2))))
    sizes = np.bincount(found.ravel())[1:]
    return [
        np.insert(np.argwhere(found == patch + 1)[:VOXELS], 1, number, axis=1) for patch in np.argsort(-sizes)[:STROKES]
    ]


def scroll_to(dock: Any, part: Any) -> None:
    """Scroll a dock so that a part of it is seen."""
    from qtpy.QtWidgets import QScrollArea

    dock.findChild(QScrollArea).ensureWidgetVisible(part)


def _stacked(frames: list[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (frames[0].width, frames[0].height * len(frames)))
    for place, frame in enumerate(frames):
        sheet.paste(frame, (0, place * frame.height))
    return sheet
