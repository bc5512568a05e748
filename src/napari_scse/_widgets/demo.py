"""The demo's window: the average brain with its labels, then the excitation maps of every epoch, side by side.

Run as a program (``python -m napari_scse._widgets.demo DIR``) it opens what DIR holds and photographs the window; the
command line does that in a process of its own, since a window that cannot be opened ends its process.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari.utils.notifications import show_error
from qtpy.QtCore import QEventLoop, QObject, QTimer

from napari_scse import images
from napari_scse._napari.inputs import anatomical_grid
from napari_scse._napari.labels import labels_layer
from napari_scse._napari.layers import Grid, volume_layer
from napari_scse._napari.maps import map_layers
from napari_scse._napari.sample import NAME, mni152
from napari_scse._napari.showcase import CENTRE, KeptLabels
from napari_scse._widgets.explore.widget import ExploreWidget
from napari_scse._widgets.jobs import explain, start_job
from napari_scse._widgets.segment.widget import SegmentWidget
from napari_scse.exploration import ExcitationMaps, open_maps
from napari_scse.slices import Plane
from napari_scse.structures import FREESURFER27
from napari_scse.volume import LabelVolume

PLUGIN = "napari-scse"
SIZE = (1500, 940)
_STARTING_MS = 120_000


@dataclass(frozen=True, eq=False)
class Window:
    """A viewer with the average brain in coronal slices, and both dock widgets."""

    viewer: Any
    segment: SegmentWidget
    explore: ExploreWidget

    @classmethod
    def open(cls, show: bool = True) -> Window:
        """Open the window."""
        viewer = napari.Viewer(
            title="Squeeze and excitation: where a network looks", show=show, show_welcome_screen=False
        )
        viewer.window.resize(*SIZE)
        data, keywords, _ = volume_layer(mni152(), NAME)
        viewer.add_image(data, **keywords)
        _, segment = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
        _, explore = viewer.window.add_plugin_dock_widget(PLUGIN, "Explore", tabify=True)
        segment.view_bar.show_plane(Plane.CORONAL)
        viewer.dims.point = CENTRE[::-1]
        window = cls(viewer, segment, explore)
        window.raise_dock(segment)
        return window

    def raise_dock(self, widget: SegmentWidget | ExploreWidget) -> None:
        """Bring a widget's tab to the front."""
        dock = widget.parent()
        if dock is not None:
            dock.raise_()  # type: ignore[attr-defined]  # a QDockWidget

    def show_labels(self, labels: LabelVolume) -> None:
        """Add the labels' layer."""
        data, keywords, _ = labels_layer(labels.data, Grid.of(labels), FREESURFER27, f"{NAME} labels")
        self.viewer.add_labels(data, **keywords)

    def show_maps(self, maps: ExcitationMaps) -> None:
        """Add a layer with a colour bar for each site, and show all layers side by side."""
        for data, keywords, _ in map_layers(maps, f"{NAME} "):
            self.viewer.add_image(data, **keywords).colorbar.visible = True
        self.side_by_side()

    def side_by_side(self) -> None:
        """Show Explore, and every layer in a field of its own."""
        self.raise_dock(self.explore)
        self.explore.maps_bar.grid.setChecked(True)


class Script(QObject):
    """Plays the demo in a window: what was computed before is shown at once, otherwise the widgets compute it now."""

    def __init__(self, window: Window) -> None:
        super().__init__(window.segment)
        self._window = window
        self._listed = 0
        self._kept: KeptLabels | None = None  # where the run in progress is to be kept
        self._grid = anatomical_grid(window.viewer.layers[0])  # of the average brain
        window.segment.runs.listed.connect(self._on_listed)
        window.explore.runs.listed.connect(self._on_listed)
        window.segment.labelled.connect(self._on_labelled)
        window.segment.runner.ended.connect(self._on_ended)
        window.explore.opened.connect(self._on_opened)

    def begin(self) -> None:
        """Show or compute labels and maps, by the runs that are chosen in the widgets."""
        segment, explore = self._window.segment.state, self._window.explore.state
        if segment.card is None or explore.run is None:
            return  # the widgets say that there is none
        kept = KeptLabels(segment.card.alone(segment.planes[0]).path)
        labels = kept.load()
        if labels is None or not self._fits(labels):
            self._window.segment.run()
            self._kept = kept if segment.job.is_busy else None
        else:
            self._window.show_labels(labels)
            self._window.explore.run()

    def _on_listed(self, *_: object) -> None:
        self._listed += 1
        if self._listed == 2:  # both widgets know the runs
            self.begin()

    def _on_labelled(self, labels: LabelVolume) -> None:
        kept, self._kept = self._kept, None
        if kept is not None and self._fits(labels):
            start_job("saving of the demo", partial(kept.save, labels), on_result=_saved, on_error=_not_saved)
            self._window.explore.run()

    def _on_ended(self) -> None:
        """What is labelled from now on is the user's."""
        self._kept = None

    def _fits(self, labels: LabelVolume) -> bool:
        """Whether labels lie on the average brain."""
        grid = self._grid
        return grid is not None and labels.shape == grid.shape and np.allclose(labels.affine, grid.affine, atol=1e-3)

    def _on_opened(self, *_: object) -> None:
        self._window.side_by_side()


def show_demo() -> None:
    """Open the demo's window and stay until it is closed."""
    window = Window.open()
    Script(window)
    napari.run()


def photograph(folder: Path) -> None:
    """Open what the demo wrote to `folder`, and write ``labels.png`` and ``excitation.png`` of the window there."""
    window = Window.open()
    _wait_for_runs(window)
    window.raise_dock(window.segment)
    window.show_labels(images.read_labels(folder / "labels.nii.gz"))
    settle()
    window.viewer.screenshot(str(folder / "labels.png"), canvas_only=False, flash=False)
    maps = open_maps(folder / "maps.zarr")
    window.show_maps(maps)
    window.viewer.dims.set_current_step(0, len(maps.epochs) // 2)
    settle()
    window.viewer.screenshot(str(folder / "excitation.png"), canvas_only=False, flash=False)
    window.viewer.close()


def settle(milliseconds: int = 600) -> None:
    """Let the window draw itself."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def _wait_for_runs(window: Window) -> None:
    loop = QEventLoop()
    window.explore.runs.listed.connect(loop.quit)
    window.explore.runs.failed.connect(loop.quit)
    QTimer.singleShot(_STARTING_MS, loop.quit)
    if not window.explore.state.catalogue.listed:
        loop.exec()


def _saved(_: object) -> None:
    """The next demo starts at once."""


def _not_saved(error: Exception) -> None:
    show_error(explain(error, "saving of the demo"))


if __name__ == "__main__":
    photograph(Path(sys.argv[1]))
