"""The folders in which runs are found by name."""

from __future__ import annotations

from pathlib import Path

from napari_scse.settings import runs_folder, user_cache, user_data

BUNDLED = Path(__file__).parents[1] / "bundled"


def user_runs() -> Path:
    """The folder in which a user's own runs are found by name: as the environment or the preferences say."""
    return runs_folder() or user_data() / "runs"


def fetched_runs() -> Path:
    """The folder that fetched runs are kept in: a cache, all of which can be fetched again."""
    return user_cache() / "runs"
