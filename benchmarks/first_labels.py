"""How long it takes from pressing Run to the first labels on screen, against one forward pass of the network.

    python benchmarks/first_labels.py [--run brain-t1-coronal] [--scan scan.nii.gz] [--rounds 5]

A window with the average brain (or a scan) shows a coronal slice somewhere else in every round. Run is pressed

* *open*: with the session of the last run still there (scan laid out, located, networks ready);
* *loaded*: with the networks ready, but with voxels that were never seen (one of them is changed): the scan is laid out
  anew and nothing is located, so that the first labels are provisional.

What is measured ends when labels are written and the layer was refreshed. A forward pass is that of the slice's windows
(*open*) or of the whole slice (*loaded*), measured between the rounds on the same machine: trust the seconds beyond the
pass more than those of the pass. The goal is a pass and half a second.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from qtpy.QtCore import QEventLoop, QTimer

from napari_scse import images
from napari_scse._napari.layers import volume_layer
from napari_scse._napari.sample import mni152
from napari_scse._napari.view import show_plane
from napari_scse._widgets.segment.widget import SegmentWidget
from napari_scse.conform import windows
from napari_scse.execution import Executor, choose_device
from napari_scse.inference import Location, Scan
from napari_scse.inference.location import everywhere, look_at_whole
from napari_scse.runs import load_run
from napari_scse.slices import Plane

GOAL = 0.5  # s beyond a forward pass


def wait(done: Callable[[], object], seconds: float = 600) -> None:
    """Let the window work until `done`."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"This did not come in {seconds:.0f} s.")
        loop = QEventLoop()
        QTimer.singleShot(2, loop.quit)
        loop.exec()


class Stage:
    """The window, a scan in it, and Segment."""

    def __init__(self, run: str, scan: Path | None) -> None:
        volume = mni152() if scan is None else images.read(scan)
        self.viewer = napari.Viewer(show_welcome_screen=False)
        data, keywords, _ = volume_layer(volume, "head")
        self.layer = self.viewer.add_image(np.array(data), **keywords)
        show_plane(self.viewer, Plane.CORONAL)
        self.widget = SegmentWidget(self.viewer)
        self.viewer.window.add_dock_widget(self.widget, name="Segment")
        wait(lambda: self.widget.state.catalogue.listed)
        catalogue = self.widget.state.catalogue
        self.widget.state.choose(catalogue.standing_for(next(card for card in catalogue.cards if card.name == run)))
        self.widget.state.device = "cpu"

    def look_at(self, share: float) -> None:
        """Move the slider."""
        axis = self.viewer.dims.order[0]
        self.viewer.dims.set_current_step(axis, round(share * self.viewer.dims.nsteps[axis]))
        wait(lambda: True)

    def press(self) -> float:
        """Press Run; seconds until labels are on the layer and it was refreshed. Then cancel."""
        shown: list[float] = []
        refresh = self.widget.work.refresh_shown

        def seen() -> None:
            refresh()
            shown.append(time.perf_counter())

        self.widget.work.refresh_shown = seen  # type: ignore[method-assign]
        began = time.perf_counter()
        self.widget.work.run(anew=True)
        wait(lambda: shown)
        self.widget.work.refresh_shown = refresh  # type: ignore[method-assign]
        return shown[0] - began

    def cancel(self) -> None:
        """Stop, and take the labels away."""
        self.widget.runner.cancel()
        wait(lambda: not self.widget.state.job.is_busy)
        for layer in [one for one in self.viewer.layers if one is not self.layer]:
            self.viewer.layers.remove(layer)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="brain-t1-coronal")
    parser.add_argument("--scan", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    stage = Stage(arguments.run, arguments.scan)
    run = load_run(arguments.run)
    stage.look_at(0.5)
    stage.press()
    located: list[Location] = []

    def find() -> bool:
        session = stage.widget.work.opened.session
        location = None if session is None else session.turn(Plane.CORONAL).location
        located.extend([] if location is None else [location])
        return location is not None

    wait(find)
    stage.cancel()
    volume = stage.widget.picker.input().volume()
    scan = Scan.of(volume, run.config)
    rough, parts = everywhere(scan), windows(scan.plane_shape, run.config.canvas, located[0].box)
    times: dict[str, list[tuple[float, float]]] = {"open": [], "loaded": []}
    with Executor(run.network(), choose_device("cpu")) as executor:
        for number in range(arguments.rounds):
            stage.look_at(0.3 + 0.4 * number / arguments.rounds)
            for state in times:
                if state == "loaded":
                    stage.layer.data[0, 0, 0] += 1
                middle = len(scan.data) // 2
                before = time.perf_counter()
                if state == "open":
                    executor.run(scan.slices([middle], located[0].gain, parts))
                else:
                    look_at_whole(scan, executor, [middle], rough.gain)
                passed = time.perf_counter() - before
                times[state].append((stage.press(), passed))
                if state == "loaded":
                    wait(find)
                stage.cancel()
    print(f"{run.name}, {len(scan.data)} slices of {scan.plane_shape}, {len(parts)} windows each")
    print(f"{'':10}{'first labels':>14}{'a pass':>10}{'ratio':>8}{'beyond':>10}")
    for state, pairs in times.items():
        first, one = (statistics.median(column) for column in zip(*pairs, strict=True))
        beyond = statistics.median(a - b for a, b in pairs)
        verdict = "" if beyond <= GOAL else f"  more than {GOAL} s"
        print(f"{state:10}{first:12.2f} s{one:8.2f} s{first / one:8.2f}{beyond:8.2f} s{verdict}")
    stage.viewer.close()


if __name__ == "__main__":
    main()
