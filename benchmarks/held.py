"""For how long does this package hold the window's thread? Every entry into its code is timed, by name."""

from __future__ import annotations

import functools
import gc
import importlib
import inspect
import pkgutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from napari.components.layerlist import LayerList
from napari.layers import Image, Labels, Layer
from napari.utils.events import EventedModel

import napari_scse
from napari_scse import _napari, _widgets

_OURS = f"{napari_scse.__name__}._"
FOREIGN = (
    *((LayerList, name) for name in ("insert", "__delitem__")),
    *((Layer, name) for name in ("refresh", "save")),
    *((Labels, name) for name in ("__init__", "undo", "redo", "fill", "_paint_region_with_mask")),
    (Image, "__init__"),
    (EventedModel, "__setattr__"),  # sliders, overlays: layers are cut and drawn anew
)


class Held:
    """The entries into the package's code since `start`, in the thread that made this.

    What napari does when it is called from there (see `FOREIGN`) is not counted, but what it calls back is. Neither is
    Python's collection of garbage, that comes when it comes.

    Attributes
    ----------
    slots
        For each entry the name of the function, the milliseconds that it computed, and those that it took.
    """

    def __init__(self) -> None:
        self.slots: list[tuple[str, float, float]] = []
        self._thread = threading.get_ident()
        self._state = "out"  # or "in", or "foreign"
        self._foreign = np.zeros(2)  # s computed and taken by napari, so far
        self._since = np.zeros(2)

    def start(self) -> None:
        """Time all functions and methods of the parts of this package that know napari or Qt."""
        for package in (_napari, _widgets):
            for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
                importlib.import_module(found.name)
        modules = [module for name, module in sys.modules.items() if name.startswith(_OURS)]
        timed: dict[Any, Any] = {}
        for module in modules:
            for name, value in list(vars(module).items()):
                if inspect.isclass(value) and value.__module__ == module.__name__:
                    for method, function in list(vars(value).items()):
                        if inspect.isfunction(function) and _is_slot(function):
                            setattr(value, method, self._ours(function))
                elif inspect.isfunction(value) and _is_slot(value) and value.__module__.startswith(_OURS):
                    timed.setdefault(value, self._ours(value))
                    setattr(module, name, timed[value])
        gc.callbacks.append(self._on_collection)
        for owner, name in FOREIGN:
            setattr(owner, name, self._napari(getattr(owner, name)))

    def _ours(self, function: Callable[..., Any]) -> Callable[..., Any]:
        name = f"{function.__module__.removeprefix('napari_scse.')}.{function.__qualname__}"
        most = _most(function)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            args = args[:most]  # Qt gives a slot as many as it takes
            if self._state == "in" or threading.get_ident() != self._thread:
                return function(*args, **kwargs)
            before, began = self._state, _now()
            if before == "foreign":
                self._pause(began)
            self._state, foreign = "in", self._foreign
            try:
                return function(*args, **kwargs)
            finally:
                ended = _now()
                own = [
                    1000 * (e - b - (f - g)) for e, b, f, g in zip(ended, began, self._foreign, foreign, strict=True)
                ]
                self.slots.append((name, own[0], own[1]))
                self._state, self._since = before, ended

        return call

    def _napari(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if self._state != "in" or threading.get_ident() != self._thread:
                return function(*args, **kwargs)
            self._state, self._since = "foreign", _now()
            try:
                return function(*args, **kwargs)
            finally:
                self._pause(_now())
                self._state = "in"

        return call

    def _on_collection(self, phase: str, _: object) -> None:
        if self._state == "in" and phase == "start" and threading.get_ident() == self._thread:
            self._state, self._since = "collection", _now()
        elif self._state == "collection" and phase == "stop":
            self._pause(_now())
            self._state = "in"

    def _pause(self, now: np.ndarray) -> None:
        self._foreign = self._foreign + now - self._since


def longest(slots: list[tuple[str, float, float]]) -> Iterator[tuple[str, int, float, float, float]]:
    """Yield the slots by name, the one that computed longest at once first.

    How often, its ms computed at most and at the median, and those taken at most.
    """
    by_name: dict[str, list[tuple[float, float]]] = {}
    for name, computed, taken in slots:
        by_name.setdefault(name, []).append((computed, taken))
    for name, found in sorted(by_name.items(), key=lambda item: -max(item[1])[0]):
        computed, taken = zip(*found, strict=True)
        yield name, len(found), max(computed), float(np.median(computed)), max(taken)


def _is_slot(function: Any) -> bool:
    return not inspect.isgeneratorfunction(inspect.unwrap(function))


def _most(function: Callable[..., Any]) -> int | None:
    """How many arguments without a name a function takes; None: any number."""
    kinds = [one.kind for one in inspect.signature(function).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return None
    return sum(kind is not inspect.Parameter.KEYWORD_ONLY for kind in kinds)


def _now() -> np.ndarray:
    return np.array([time.thread_time(), time.perf_counter()])
