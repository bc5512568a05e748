"""Which versions are installed."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from napari_scse.diagnosis.findings import Finding

_LIBRARIES = ("napari-scse", "torch", "numpy", "scipy", "nibabel", "safetensors", "zarr", "typer", "rich")


def versions() -> Iterator[Finding]:
    """Look at Python, the system, and the libraries that the work is done with."""
    yield Finding("python", f"{platform.python_version()}, {platform.platform()}")
    for name in _LIBRARIES:
        yield Finding(name, version_of(name) or "missing")


def version_of(name: str) -> str | None:
    """Return the installed version of a distribution, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
