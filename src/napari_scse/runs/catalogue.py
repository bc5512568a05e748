"""Which runs there are: those that come with the package, and the user's own."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from napari_scse.errors import RunError
from napari_scse.runs.run import Run

DEFAULT_RUN = "brain-t1-densenet-scse"
DEFAULT_EXPLORE_RUN = "brain-t1-densenet-sse"
BUNDLED = Path(__file__).parents[1] / "bundled"


def user_runs() -> Path:
    """The folder in which a user's own runs are found by name."""
    return Path(platformdirs.user_data_dir("napari-scse", appauthor=False)) / "runs"


def list_runs() -> list[Run]:
    """All runs that can be picked by name: the bundled ones, then the user's own. Broken folders are left out."""
    runs = []
    for folder in (BUNDLED, user_runs()):
        for path in sorted(folder.glob("*/run.json")):
            try:
                runs.append(Run(path.parent))
            except RunError:
                continue
    return runs


def load_run(name: str | Path) -> Run:
    """Find a run by its name, or by the path of its folder."""
    path = Path(name)
    if (path / "run.json").exists():
        return Run(path)
    if path.is_dir():
        raise RunError(f"The folder {path} holds no run (there is no run.json in it).")
    for folder in (BUNDLED, user_runs()):
        if path.name == str(name) and (folder / str(name) / "run.json").exists():
            return Run(folder / str(name))
    have = ", ".join(r.name for r in list_runs()) or "none"
    raise RunError(f"There is no run called {str(name)!r}, and no such folder; installed runs: {have}.")


def default_run() -> Run:
    """The bundled run for segmentation."""
    return load_run(DEFAULT_RUN)
