"""What a window needs: a display, a Qt binding, OpenGL."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import sys
from collections.abc import Iterator

from napari_scse.diagnosis.findings import Finding
from napari_scse.diagnosis.versions import version_of

_LIBRARIES = ("napari", "npe2", "vispy", "superqt", "magicgui", "nilearn")
_BINDINGS = ("PyQt5", "PySide2", "PyQt6", "PySide6")  # in the order in which qtpy looks for them
_VARIABLES = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM", "LIBGL_ALWAYS_SOFTWARE")


def has_display() -> bool:
    """Whether windows can be opened here."""
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def window() -> Iterator[Finding]:
    """Look at what napari's window needs."""
    for name in _LIBRARIES:
        yield Finding(name, version_of(name) or "missing: pip install 'napari-scse[all]'")
    present = [f"{name} {found}" for name in _BINDINGS if (found := version_of(name))]
    yield Finding("Qt binding", ", ".join(present) or "missing: pip install 'napari-scse[all]'")
    yield Finding("QT_API", os.environ.get("QT_API") or "not set (the first of those above is taken)")
    for name in _VARIABLES:
        yield Finding(name, os.environ.get(name) or "not set")
    if sys.platform.startswith("linux"):
        headless = "none: no window can open; 'napari-scse demo --headless DIR' draws under Xvfb"
        yield Finding("display", "yes" if has_display() else headless)
        yield Finding("Xvfb", shutil.which("Xvfb") or "missing (only needed where there is no display)")
        for library in ("GL", "EGL"):
            yield Finding(f"OpenGL lib{library}", ctypes.util.find_library(library) or "missing")
