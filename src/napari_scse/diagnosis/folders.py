"""Where runs, films and everything else that is kept lie, and how much room that takes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from napari_scse.diagnosis.findings import Finding
from napari_scse.settings import MODELS_VARIABLE, RUNS_VARIABLE, user_cache, user_data


def folders() -> Iterator[Finding]:
    """Look at the folders that are used; a broken link or a folder that cannot be read counts nothing."""
    from napari_scse.runs import BUNDLED, fetched_runs, list_fetchable, list_runs, user_runs

    yield Finding("bundled runs", str(BUNDLED))
    yield Finding("your runs", _place(user_runs()))
    yield Finding("fetched runs", _place(fetched_runs()))
    yield Finding("runs found", ", ".join(run.name for run in list_runs()) or "none")
    yield Finding("runs to be fetched", ", ".join(run.name for run in list_fetchable()) or "none")
    for variable in (MODELS_VARIABLE, RUNS_VARIABLE):
        yield Finding(variable, os.environ.get(variable) or "not set")
    for title, folder in (("data", user_data()), ("cache", user_cache())):
        yield Finding(title, _place(folder))
        for part in sorted(path for path in _within(folder) if path.is_dir()):
            yield Finding(f"  {part.name}", _size(part))
    yield Finding("temporary files", tempfile.gettempdir())
    yield Finding("free there", f"{shutil.disk_usage(tempfile.gettempdir()).free / 2**30:.0f} GiB")


def _place(folder: Path) -> str:
    return f"{folder}{'' if folder.is_dir() else ' (not there yet)'}"


def _size(folder: Path) -> str:
    """What a folder takes on disk: of a file with holes only what was written."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                state = (Path(place) / name).lstat()
            except OSError:  # it went meanwhile
                continue
            total += getattr(state, "st_blocks", 0) * 512 or state.st_size
    return f"{total / 1e6:.1f} MB"


def _within(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
