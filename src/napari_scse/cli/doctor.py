"""`napari-scse doctor`: what this installation has, for a bug report or a slow machine."""

from __future__ import annotations

import ctypes.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from napari_scse.cli.console import tell
from napari_scse.cli.display import has_display

_LIBRARIES = ("napari-scse", "torch", "numpy", "scipy", "nibabel", "safetensors", "zarr", "typer", "rich")
_WINDOW_LIBRARIES = ("napari", "npe2", "vispy", "superqt", "magicgui", "nilearn")
_BINDINGS = ("PyQt5", "PySide2", "PyQt6", "PySide6")  # in the order in which qtpy looks for them
_DISPLAY_VARIABLES = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM", "LIBGL_ALWAYS_SOFTWARE")

Finding = tuple[str, str]


def doctor() -> None:
    """Print versions, devices, display hints and folders."""
    sections = (("Versions", _versions()), ("Devices", _devices()), ("Window", _window()), ("Folders", _folders()))
    for title, findings in sections:
        tell(title)
        for name, finding in findings:
            tell(f"  {name:<22}{finding}")


def _versions() -> Iterator[Finding]:
    yield "python", f"{platform.python_version()}, {platform.platform()}"
    for name in _LIBRARIES:
        yield name, _version(name) or "missing"


def _devices() -> Iterator[Finding]:
    import torch

    from napari_scse.execution import choose_device, supports_bfloat16

    yield "chosen by auto", str(choose_device("auto"))
    yield "CPU", f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads"
    yield "CPU bfloat16", _yes(supports_bfloat16(torch.device("cpu")))
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield f"CUDA {index}", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    if torch.cuda.is_available():
        yield "CUDA bfloat16", _yes(supports_bfloat16(torch.device("cuda")))
    else:
        built = "there is no GPU it can use" if torch.version.cuda else "this torch is built without it"
        yield "CUDA", f"no: {built}"
    yield "MPS", _yes(torch.backends.mps.is_available())


def _window() -> Iterator[Finding]:
    for name in _WINDOW_LIBRARIES:
        yield name, _version(name) or "missing: pip install 'napari-scse[all]'"
    present = [f"{name} {found}" for name in _BINDINGS if (found := _version(name))]
    wish = os.environ.get("QT_API")
    yield "Qt binding", ", ".join(present) or "missing: pip install 'napari-scse[all]'"
    yield "QT_API", wish or "not set (the first of those above is taken)"
    for name in _DISPLAY_VARIABLES:
        yield name, os.environ.get(name) or "not set"
    if sys.platform.startswith("linux"):
        headless = "none: no window can open; 'napari-scse demo --headless DIR' draws under Xvfb"
        yield "display", "yes" if has_display() else headless
        yield "Xvfb", shutil.which("Xvfb") or "missing (only needed where there is no display)"
        for library in ("GL", "EGL"):
            yield f"OpenGL lib{library}", ctypes.util.find_library(library) or "missing"


def _folders() -> Iterator[Finding]:
    import tempfile

    from napari_scse.runs import BASE_VARIABLE, BUNDLED, fetched_runs, list_fetchable, list_runs, user_runs

    yield "bundled runs", str(BUNDLED)
    yield "your runs", f"{user_runs()}{'' if user_runs().is_dir() else ' (not there yet)'}"
    yield "fetched runs", f"{fetched_runs()}{'' if fetched_runs().is_dir() else ' (not there yet)'}"
    yield "runs found", ", ".join(run.name for run in list_runs()) or "none"
    yield "runs to be fetched", ", ".join(run.name for run in list_fetchable()) or "none"
    yield BASE_VARIABLE, os.environ.get(BASE_VARIABLE) or "not set"
    yield "temporary files", tempfile.gettempdir()
    yield "free there", f"{shutil.disk_usage(tempfile.gettempdir()).free / 2**30:.0f} GiB"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _yes(there: bool) -> str:
    return "yes" if there else "no"
