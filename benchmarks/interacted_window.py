"""A napari window with Segment that is used in any order, and counted; see `interacting.py`, which starts it."""

from __future__ import annotations

import faulthandler
import gc
import json
import random
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtWidgets import QApplication

from explore import make_head, resident
from held import Held, longest
from napari_scse._napari.edits import Edits
from napari_scse._napari.label_source import is_labels
from napari_scse._napari.labels import look_of
from napari_scse._napari.layers import volume_layer
from napari_scse._napari.view import show_plane
from napari_scse._widgets.jobs import Job
from napari_scse._widgets.segment.widget import SegmentWidget
from napari_scse.inference.passes import Pass
from napari_scse.runs import load_run
from napari_scse.slices import Plane
from scrubbed_window import Errors, Heart, free_memory, settle, wait

USER = ("slice", "plane", "paint", "undo", "redo")  # what can be done without us as well
OURS = ("run", "cancel", "learn", "reject", "accept", "live", "jump", "choose run", "choose scan", "remove", "dock")
CHANCES = {
    "slice": 12,
    "plane": 2,
    "paint": 12,
    "undo": 8,
    "redo": 5,
    "run": 12,
    "cancel": 8,
    "learn": 10,
    "reject": 5,
    "accept": 1,
    "live": 6,
    "jump": 5,
    "choose run": 4,
    "choose scan": 2,
    "remove": 2,
    "dock": 2,
}
LATEST = 150  # ms between two actions, at most
_STEPS = 12  # of the history that are undone and done again
_LAYERS = 5  # that are added and removed without us: what a run and a removal cost anyway


@dataclass(frozen=True)
class Action:
    """One thing a user does, how long after the one before (0 … 1), and numbers for where."""

    kind: str
    after: float
    where: tuple[float, ...]


def script(seed: int, rounds: int) -> list[list[Action]]:
    """For each round a few actions in any order; all kinds come in the first twenty."""
    chance = random.Random(seed)
    kinds = [chance.choices(list(CHANCES), CHANCES.values(), k=chance.randrange(4, 9)) for _ in range(rounds)]
    for place, kind in enumerate(CHANCES):
        kinds[place % rounds].append(kind)
    return [[Action(kind, chance.random(), tuple(chance.random() for _ in range(4))) for kind in row] for row in kinds]


class Stage:
    """The window with two scans; Segment is docked and taken out as the script says."""

    def __init__(self, runs: Sequence[Path], shape: Sequence[int]) -> None:
        x, y, z = shape
        self.runs = runs
        self.viewer = napari.Viewer(show_welcome_screen=False)
        self.viewer.window.resize(1100, 700)
        for name, size in (("head", (x, y, z)), ("other", (x - 8, y, z - 6))):
            data, keywords, _ = volume_layer(make_head(size), name)
            self.viewer.add_image(data, **keywords)
        show_plane(self.viewer, Plane.CORONAL)
        # napari 0.9 deletes a removed layer's shaders in whichever OpenGL context is current: in Qt's own, Mesa crashes
        self.viewer.layers.events.removing.connect(self._make_current)
        self.widget: Any = None
        self.dock: Any = None
        self.wrong: list[str] = []
        self.memory: list[float] = []  # MB, every time that everything was closed
        self._kept: tuple[Any, np.ndarray, np.ndarray] | None = None
        self._batches = 0  # that were begun
        self._at_cancel: int | None = None
        self._count_batches()

    @property
    def labels(self) -> Any:
        """The labels layer that was added last, or None."""
        found = [layer for layer in self.viewer.layers if is_labels(layer)]
        return found[-1] if found else None

    def open(self) -> None:
        """Dock Segment and wait until it knows the runs."""
        self._at_cancel = None
        self.widget = SegmentWidget(self.viewer)
        self.dock = self.viewer.window.add_dock_widget(self.widget, name="Segment")
        wait(lambda: self.widget.state.catalogue.listed, "the list of runs")
        for run in self.runs:
            self.widget.runs.open_folder(run)
            wait(lambda run=run: self.widget.state.run == run, "the run")
        self.widget.state.device = "cpu"
        self.widget.runner.ended.connect(self._on_ended)

    def close(self) -> None:
        """Take Segment out in the middle of whatever it does."""
        if self.widget is not None:
            self.viewer.window.remove_dock_widget(self.dock)
            self.widget.deleteLater()
            self.widget = self.dock = None

    def do(self, action: Action) -> None:
        """Do what a user would; what is painted may only change by the user's own actions."""
        if action.kind in USER:
            self.compare(action.kind)
            use(self.viewer, self.labels, action)
            self._remember()
        elif action.kind == "dock":
            self.close()
        else:
            if self.widget is None:
                self.open()
            self._press(action)

    def compare(self, when: str) -> None:
        """Note whether what is painted was written over."""
        if self._kept is not None:
            layer, painted, values = self._kept
            if layer in self.viewer.layers and not np.array_equal(layer.data[painted], values):
                self.wrong.append(f"Painted voxels were written over, before “{when}”.")
        self._kept = None

    def rest(self) -> None:
        """Wait until nothing runs."""
        if self.widget is not None:
            self.widget.state.live = False
        wait(lambda: not Job._worker_set, "the end of all jobs", 900)  # noqa: SLF001 - napari has no public list
        settle(100)
        self.compare("the rest")

    def turn_back(self) -> None:
        """Undo some steps and do them again: bit for bit what it was."""
        layer = self.labels
        if layer is None:
            return
        before, painted = layer.data.copy(), Edits.of(layer).painted.copy()
        steps = min(_STEPS, len(layer._undo_history))  # noqa: SLF001 - napari has no public one
        states = []
        for _ in range(steps):
            states.append(layer.data.copy())
            layer.undo()
        for state in reversed(states):
            layer.redo()
            if not np.array_equal(layer.data, state):
                self.wrong.append("A redo did not give what was undone.")
        if not np.array_equal(layer.data, before) or not np.array_equal(Edits.of(layer).painted, painted):
            self.wrong.append("Undo and redo did not lead back.")

    def learn_and_undo(self) -> None:
        """A step of ours is undone bit for bit, by napari and by ourselves."""
        layer = self.labels
        if layer is None or self.widget is None or self.widget.learning.layer is not layer:
            return
        before = layer.data.copy()
        self.widget.panel.run.click()
        self._finish()
        if not np.array_equal(layer.data, before):  # it was resumed into this layer
            layer.undo()
        if not np.array_equal(layer.data, before):
            self.wrong.append("Undo of a run did not give what was before.")
        if self.labels is not layer:
            self.viewer.layers.remove(self.labels)
        count = len(self.widget.learning.rounds)
        self.viewer.layers.selection.active = layer
        self.widget.learning.learn()
        self._finish()
        if len(self.widget.learning.rounds) > count:
            self.widget.learning.undo()
            self._finish()
            if not np.array_equal(layer.data, before):
                self.wrong.append("Undo of a round did not give what was before.")

    def tidy(self, most: int) -> None:
        """Remove the older labels layers; with `most` 0 all, and Segment too: what is left may not grow."""
        if not most:
            self.close()
        self.compare("the tidying")
        ours = [layer for layer in self.viewer.layers if layer.name not in ("head", "other")]
        for layer in ours[: max(0, len(ours) - most)]:
            self.viewer.layers.remove(layer)
        del ours
        settle(200)
        for _ in range(3):
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            gc.collect()
        if not most:
            free_memory()
            self.memory.append(round(resident()[1], 1))

    def count(self) -> dict[str, float]:
        """What may not grow."""
        free_memory()
        tasks = list(Path("/proc/self/task").iterdir())
        return {
            "anonymous MB": round(resident()[1], 1),
            "widgets": len(QApplication.allWidgets()),
            "threads": len(tasks),
            "children": sum(len((task / "children").read_text().split()) for task in tasks),
            "jobs": len(Job._worker_set),  # noqa: SLF001
            "Segments": sum(isinstance(thing, SegmentWidget) for thing in gc.get_objects()),
            "labels layers": sum(isinstance(thing, Labels) for thing in gc.get_objects()),
            "layers": len(self.viewer.layers),
        }

    def _press(self, action: Action) -> None:
        widget, where = self.widget, action.where
        if action.kind == "run":
            widget.panel.run.click()
        elif action.kind == "cancel":
            if widget.state.job.is_busy:
                self._at_cancel = self._batches
            widget.panel.cancel.click()
        elif action.kind == "live":
            widget.panel.live.click()
        elif action.kind == "accept" and len(widget.state.catalogue.cards) > 8:
            widget.shortcuts.actions["reject"]()  # enough runs
        elif action.kind in ("learn", "reject", "accept", "jump"):
            widget.shortcuts.actions[action.kind]()
        elif action.kind == "choose run":
            widget.state.choose(widget.state.catalogue.card(self.runs[int(where[0] * len(self.runs))]))
        elif action.kind == "choose scan":
            widget.picker.choose(self.viewer.layers["head" if where[0] < 0.7 else "other"])
        elif action.kind == "remove" and self.labels is not None:
            self.compare("remove")
            self.viewer.layers.remove(self.labels)

    def _count_batches(self) -> None:
        compute = Pass.compute

        def counted(one: Pass, batch: int) -> Any:
            self._batches += 1
            return compute(one, batch)

        Pass.compute = counted  # type: ignore[method-assign]

    def _on_ended(self) -> None:
        begun, self._at_cancel = self._at_cancel, None
        if begun is not None and self._batches > begun + 1:
            self.wrong.append(f"{self._batches - begun} batches were begun after a cancel.")

    def _make_current(self, *_: object) -> None:
        self.viewer.window._qt_viewer.canvas._scene_canvas.set_current()  # noqa: SLF001 - napari has no public one

    def _finish(self) -> None:
        wait(lambda: not self.widget.state.job.is_busy, "the end of the job", 900)
        settle(50)

    def _remember(self) -> None:
        layer = self.labels
        if layer is not None:
            painted = Edits.of(layer).painted.copy()
            self._kept = layer, painted, layer.data[painted]


def use(viewer: Any, layer: Any, action: Action) -> None:
    """Use the window as one can without us."""
    dims, where = viewer.dims, action.where
    if action.kind == "slice":
        axis = dims.order[0]
        dims.set_current_step(axis, int(where[0] * dims.nsteps[axis]))
    elif action.kind == "plane":
        show_plane(viewer, tuple(Plane)[int(where[0] * 3)])
    elif layer is None:
        return
    elif action.kind == "paint":
        layer.selected_label = (0, 2, 3, 41, 42, 10)[int(where[3] * 6)]
        layer.brush_size = 6
        shape = layer.data.shape
        layer.paint([int((0.2 + 0.6 * w) * n) for w, n in zip(where, shape, strict=False)], layer.selected_label)
    elif action.kind == "undo":
        layer.undo()
    else:
        layer.redo()


def interact(stage: Stage, rounds: Sequence[Sequence[Action]], heart: Heart) -> list[tuple[str, float, float]]:
    """Do it all; for every action its kind, the longest gap until the next, and what this thread computed (ms)."""
    gaps = []
    for number, actions in enumerate(rounds):
        for action in actions:
            if stage.widget is None and action.kind in OURS:
                stage.open()
            heart.ask()
            began = time.thread_time()
            stage.do(action)
            settle(int(action.after * LATEST))
            gaps.append((action.kind, heart.ask(), (time.thread_time() - began) * 1000))
        stage.rest()
        stage.turn_back()
        if number % 5 == 4:
            stage.learn_and_undo()
        stage.tidy(2 if number % 10 != 9 else 0)
    return gaps


def plain(stage: Stage, rounds: Sequence[Sequence[Action]], heart: Heart) -> list[tuple[str, float, float]]:
    """The user's own actions on a labels layer that nobody follows, and such layers added and removed."""
    head = stage.viewer.layers["head"]
    numbers = np.random.default_rng(0).integers(0, 28, head.data.shape, np.uint8)
    placed = {name: getattr(head, name) for name in ("scale", "affine", "units", "axis_labels")}
    placed |= look_of(load_run(stage.runs[0]).config.classes)  # napari builds a shader for these colours every time
    layer = stage.viewer.add_labels(numbers, name="plain", **placed)
    gaps = []
    for action in (action for row in rounds for action in row if action.kind in USER):
        heart.ask()
        began = time.thread_time()
        use(stage.viewer, layer, action)
        settle(int(action.after * LATEST))
        gaps.append((action.kind, heart.ask(), (time.thread_time() - began) * 1000))
    for _ in range(_LAYERS):
        for kind in ("run", "remove"):
            heart.ask()
            began = time.thread_time()
            if kind == "run":
                stage.viewer.add_labels(numbers.copy(), **placed)
            else:
                stage.viewer.layers.remove(stage.labels)
            settle(LATEST)
            gaps.append((kind, heart.ask(), (time.thread_time() - began) * 1000))
    return gaps


def stress(options: dict[str, Any]) -> dict[str, Any]:
    """Use the window, count, and use it without us."""
    errors = Errors()
    held = Held()
    held.start()
    stage = Stage([Path(run) for run in options["runs"]], options["shape"])
    heart = Heart()
    rounds = script(options["seed"], options["rounds"])
    first = min(20, max(1, len(rounds) // 2))
    gaps = interact(stage, rounds[:first], heart)
    stage.tidy(0)
    counts = [stage.count()]
    gaps += interact(stage, rounds[first:], heart)
    stage.tidy(0)
    counts.append(stage.count())
    slots = list(held.slots)
    without = plain(stage, rounds, heart)
    stage.viewer.close()
    return {
        "gaps": gaps,
        "plain": without,
        "held": list(longest(slots)),
        "memory": stage.memory,
        "first": counts[0],
        "last": counts[1],
        "wrong": stage.wrong,
        "errors": errors.said,
        "races": errors.races,
    }


def main() -> None:
    """Run it; its options come as JSON, and what was found goes to a file."""
    options = json.loads(sys.argv[1])
    faulthandler.enable()
    faulthandler.dump_traceback_later(options["timeout"] - 5, exit=True)
    try:
        found = stress(options)
    except Exception:
        traceback.print_exc()  # which `Errors` would keep to itself
        raise
    Path(options["out"]).write_text(json.dumps(found))
    faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
