"""A napari window with Explore that is scrubbed as nobody would, and counted; see `scrubbing.py`, which starts it."""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import json
import logging
import random
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari.layers import Labels
from napari.utils.notifications import Notification, notification_manager
from qtpy.QtCore import QCoreApplication, QEvent, QEventLoop, QObject, Qt, QTimer
from qtpy.QtWidgets import QApplication

from explore import make_head, resident
from held import Held, longest
from napari_scse import images
from napari_scse._napari.layers import volume_layer
from napari_scse._napari.view import show_plane
from napari_scse._widgets.explore.widget import ExploreWidget
from napari_scse._widgets.jobs import Job
from napari_scse.slices import Plane

BEAT = 5  # ms
KINDS = ("slice", "epoch", "plane", "3-D")
SITES_CHANGED = ("trained", "off", "mean", "inverted")


@dataclass(frozen=True)
class Action:
    """One thing a user does: of `KINDS`, or a click or a gate; `where` are numbers 0 … 1."""

    kind: str
    where: tuple[float, ...]


def script(seed: int, scrubs: int, clicks: int, switches: int) -> list[Action]:
    """Scrubs, with clicks and switches among them."""
    chance = random.Random(seed)
    kinds = chance.choices(KINDS, (60, 30, 7, 3), k=scrubs)
    kinds[:4] = ["slice", "epoch", "slice", "epoch"]
    for kind, count in (("click", clicks), ("gate", switches)):
        for _ in range(count):
            kinds.insert(chance.randrange(len(kinds) + 1), kind)
    return [Action(kind, tuple(chance.random() for _ in range(4))) for kind in kinds]


class Heart(QObject):
    """Beats every 5 ms; remembers the longest time without a beat since it was last asked."""

    def __init__(self) -> None:
        super().__init__()
        self._last = time.perf_counter()
        self._worst = 0.0
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(BEAT)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def ask(self) -> float:
        """Milliseconds."""
        self._beat()
        worst, self._worst = self._worst, 0.0
        return worst * 1000

    def _beat(self) -> None:
        now = time.perf_counter()
        self._worst, self._last = max(self._worst, now - self._last), now


class Errors(logging.Handler):
    """Collects everything that went wrong without ending the process.

    Attributes
    ----------
    said
        What.
    races
        How often napari's own thread for the status bar read a viewer that was being changed.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []
        self.races = 0
        logging.getLogger("napari_scse").addHandler(self)
        sys.excepthook = lambda *error: self.said.append("".join(traceback.format_exception(*error)))
        threading.excepthook = lambda args: self.said.append(f"in a thread: {args.exc_value!r}")
        notification_manager.notification_ready.connect(self._on_notification)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what is logged as an error."""
        error = record.exc_info[1] if record.exc_info else ""
        self.said.append(f"{record.getMessage()} {error!r}")

    def _on_notification(self, notification: Notification) -> None:
        error = getattr(notification, "exception", None)
        frames = traceback.extract_tb(error.__traceback__) if error is not None else []
        if any(frame.filename.endswith("status_checker.py") for frame in frames):
            self.races += 1
        elif str(notification.severity) == "error":
            self.said.append(notification.message)


def settle(milliseconds: int) -> None:
    """Let the window work."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def wait(done: Callable[[], object], what: str, seconds: float = 300) -> None:
    """Let the window work until `done`."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"This did not come in {seconds:.0f} s: {what}.")
        settle(20)


class Stage:
    """The window, a head in it, and Explore.

    Parameters
    ----------
    run
        Folder of a run.
    scan
        A scan; None: a head of ellipsoids with `shape`.
    """

    def __init__(self, run: Path, scan: Path | None, shape: Sequence[int]) -> None:
        x, y, z = shape
        volume = make_head((x, y, z)) if scan is None else images.read(scan)
        self.viewer = napari.Viewer(show_welcome_screen=False)
        self.viewer.window.resize(1100, 700)
        data, keywords, _ = volume_layer(volume, "head")
        self.viewer.add_image(data, **keywords)
        show_plane(self.viewer, Plane.CORONAL)
        self.before = self.callbacks()
        self.widget = ExploreWidget(self.viewer)
        self.dock = self.viewer.window.add_dock_widget(self.widget, name="Explore")
        wait(lambda: self.widget.state.catalogue.listed, "the list of runs")
        self.widget.runs.open_folder(run)
        wait(lambda: self.widget.state.card is not None and self.widget.state.card.path == run, "the run")
        self.widget.state.device = "cpu"

    def explore(self) -> None:
        """Press Explore, and wait for the layers."""
        self.widget.run()
        wait(lambda: self.widget.screening is not None, "the film")

    @property
    def film(self) -> Any:
        """What is explored."""
        assert self.widget.screening is not None
        return self.widget.screening.film

    def do(self, action: Action) -> None:
        """Do what a user would."""
        dims, where = self.viewer.dims, action.where
        if action.kind == "plane":
            show_plane(self.viewer, tuple(Plane)[int(where[0] * 3)])
        elif action.kind == "3-D":
            dims.ndisplay = 5 - dims.ndisplay
        elif action.kind == "click":
            number, row, column = np.array(where[:3]) * (self.film.done.shape[1], *self.film.frames.layout.plane_shape)
            right, anterior, superior = (self.film.labels_affine @ (number, row, column, 1))[:3]
            self.widget.voxel.ask(np.array([superior, anterior, right]))
        elif action.kind == "gate":
            boxes = list(self.widget.what_if.boxes.values())
            box = boxes[int(where[0] * len(boxes))]
            box.setCurrentIndex(int(where[1] * len(SITES_CHANGED)))
        else:
            sliced = dims.order[1] if dims.ndisplay == 2 and action.kind == "slice" else 0
            dims.set_current_step(sliced, int(where[0] * dims.nsteps[sliced]))

    def warm_up(self) -> None:
        """Show a few epochs in 3-D, so that there is memory for whole volumes."""
        dims = self.viewer.dims
        dims.ndisplay = 3
        for epoch in range(min(4, int(dims.nsteps[0]))):
            dims.set_current_step(0, epoch)
            settle(300)
        dims.ndisplay = 2
        settle(300)

    def rest(self) -> None:
        """Put the window back to where it was, and wait until nothing is computed."""
        self.viewer.dims.ndisplay = 2
        show_plane(self.viewer, Plane.CORONAL)
        if self.widget.screening is not None:
            self.widget.what_if.clear()
            wait(lambda: self.film.next(self.widget.screening.view) is None, "the shown slice", 900)
        wait(lambda: not Job._worker_set, "the end of all jobs", 900)  # noqa: SLF001 - napari has no public list
        settle(500)
        for _ in range(2):
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            gc.collect()

    def callbacks(self) -> int:
        """How many functions of this package the window's events call."""
        events, layers = self.viewer.dims.events, self.viewer.layers.events
        emitters = (events.point, events.order, events.ndisplay, layers.inserted, layers.removed, layers.renamed)
        return sum(_is_ours(called) for emitter in emitters for called in emitter.callbacks)

    def count(self) -> dict[str, float]:
        """What may not grow."""
        film = self.film
        modules = [m for e in range(len(film.epochs)) for m in film.frames.executor(e).network.modules()]
        free_memory()
        return {
            "anonymous MB": round(resident()[1], 1),
            "widgets": len(QApplication.allWidgets()),
            "threads": len(list(Path("/proc/self/task").iterdir())),
            "hooks on networks": sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules),  # noqa: SLF001
            "jobs": len(Job._worker_set),  # noqa: SLF001
            "callbacks": self.callbacks(),
            "layers": len(self.viewer.layers),
        }


def _is_ours(called: Any) -> bool:
    """Whether a callback of napari's events is a function of this package, or a method of one of its objects."""
    owner = called[0]() if isinstance(called, tuple) else called
    module = getattr(owner, "__module__", None) or type(owner).__module__
    return module.startswith("napari_scse")


def scrub(stage: Stage, actions: Sequence[Action], pace: int) -> list[tuple[str, float, float]]:
    """Do it all; for every action its kind, the longest gap until the next, and what this thread computed (ms)."""
    heart = Heart()
    settle(200)
    heart.ask()
    gaps = []
    for action in actions:
        began = time.thread_time()
        stage.do(action)
        settle(pace)
        kind = "in 3-D" if stage.viewer.dims.ndisplay == 3 else action.kind
        gaps.append((kind, heart.ask(), (time.thread_time() - began) * 1000))
    return gaps


def plain_layers(stage: Stage) -> None:
    """Put layers of the same shapes and looks in place of the film's: arrays in memory that nobody computes."""
    viewer, ours = stage.viewer, list(stage.widget.screening.layers)
    numbers = np.random.default_rng(0)
    for layer in ours:
        _, keywords, kind = layer.as_layer_data_tuple()
        keywords.pop("metadata")
        shape = layer.data.shape
        values = (
            numbers.integers(0, 28, shape[1:], np.uint8) if kind == "labels" else numbers.random(shape[1:], np.float32)
        )
        data = np.broadcast_to(values, shape)  # every epoch is the same memory
        viewer.layers.remove(layer)
        added = viewer.add_layer(napari.layers.Layer.create(data, keywords, kind))
        if not isinstance(layer, Labels):
            added.colorbar.visible = True
        added.name_overlay.visible = True


def free_memory() -> None:
    """Give what is freed back to the system (glibc)."""
    gc.collect()
    if sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)


def stress(options: dict[str, Any]) -> dict[str, Any]:
    """Scrub, count, leave, and scrub plain layers."""
    errors = Errors()
    timed = Held()
    timed.start()
    stage = Stage(Path(options["run"]), options["scan"] and Path(options["scan"]), options["shape"])
    stage.explore()
    stage.warm_up()
    timed.slots.clear()  # opening has napari build its layers, once
    actions = script(options["seed"], options["scrubs"], options["clicks"], options["switches"])
    part = min(100, len(actions) // 2)
    gaps = scrub(stage, actions[:part], options["pace"])
    stage.rest()
    first = stage.count()
    slots = list(timed.slots)
    stage.warm_up()  # what was free is the system's again
    timed.slots.clear()
    gaps += scrub(stage, actions[part:], options["pace"])
    stage.rest()
    last = stage.count()
    computed = f"{int(stage.film.done.sum())} of {stage.film.done.size} frames"

    alive = {"film": weakref.ref(stage.film), "screening": weakref.ref(stage.widget.screening)}
    plain_layers(stage)  # the last of the film's layers takes the film with it
    stage.rest()
    lasting = [name for name, thing in alive.items() if thing() is not None]
    network_jobs = len(Job._worker_set)  # noqa: SLF001
    stage.viewer.window.remove_dock_widget(stage.dock)
    stage.widget.deleteLater()
    settle(300)
    slots += timed.slots
    left = stage.callbacks() - stage.before
    stage.warm_up()
    plain = scrub(stage, [a for a in actions if a.kind in KINDS], options["pace"])
    stage.viewer.close()
    return {
        "gaps": gaps,
        "plain": plain,
        "first": first,
        "last": last,
        "alive": lasting,
        "held": list(longest(slots)),
        "callbacks": left,
        "jobs": network_jobs,
        "computed": computed,
        "errors": errors.said,
        "races": errors.races,
    }


def close(options: dict[str, Any]) -> dict[str, Any]:
    """Close the window in the middle of something; the process is to end by itself."""
    errors = Errors()
    moment = options["moment"]
    stage = Stage(Path(options["run"]), options["scan"] and Path(options["scan"]), options["shape"])
    widget = stage.widget
    if moment != "opening":
        stage.explore()
    if moment in ("asking", "switching"):
        stage.rest()
    if moment == "opening":
        widget.run()
    elif moment == "filling":
        widget.fill.fill()
    elif moment == "asking":
        stage.do(Action("click", (0.5, 0.5, 0.5)))
    elif moment == "switching":
        stage.do(Action("gate", (0.0, 0.3)))
    wait(lambda: len(Job._worker_set), "a job")  # noqa: SLF001
    settle(options["delay"])
    busy = len(Job._worker_set)  # noqa: SLF001
    began = time.time()
    QTimer.singleShot(0, stage.viewer.close)
    napari.run()
    return {"busy": busy, "closed": began, "errors": errors.said}


def main() -> None:
    """Run one part; its options come as JSON, and what was found goes to a file."""
    options = json.loads(sys.argv[1])
    faulthandler.dump_traceback_later(options["timeout"] - 5, exit=True)
    found = close(options) if options["moment"] else stress(options)
    Path(options["out"]).write_text(json.dumps(found))
    if options["moment"]:
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
