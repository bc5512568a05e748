"""What a user prefers, for where neither an argument nor an environment variable says otherwise; and a user's folders.

An option or argument wins over an environment variable, and that over what is set here; napari's own preferences are
copied here by the widgets. The command line knows environment variables only.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from napari_scse.errors import InputError

_NAME = "napari-scse"
RUNS_VARIABLE = "NAPARI_SCSE_RUNS"
MODELS_VARIABLE = "NAPARI_SCSE_MODELS"


@dataclass
class Preferred:
    """What is preferred in this process; empty or None: nothing is.

    Attributes
    ----------
    runs
        The folder in which a user's own runs are found by name.
    models
        An address or a folder from which published runs are fetched.
    film_bytes
        How much films may take on disk.
    """

    runs: str = ""
    models: str = ""
    film_bytes: int | None = None


PREFERRED = Preferred()


def runs_folder() -> Path | None:
    """The folder of a user's own runs, if anything says so."""
    given = os.environ.get(RUNS_VARIABLE, "").strip() or PREFERRED.runs.strip()
    return Path(given).expanduser() if given else None


def models_base() -> str:
    """Where published runs are fetched from, if anything says so; empty otherwise."""
    return os.environ.get(MODELS_VARIABLE, "").strip() or PREFERRED.models.strip()


def user_data() -> Path:
    """The folder of what must not be lost: journals, runs that were installed.

    Raises
    ------
    InputError
        The account has no home folder, as in some containers.
    """
    return _home_or_say(platformdirs.user_data_dir)


def user_cache() -> Path:
    """The folder of what can be made or fetched again.

    Raises
    ------
    InputError
        As for `user_data`.
    """
    return _home_or_say(platformdirs.user_cache_dir)


def _home_or_say(find: Callable[..., str]) -> Path:
    try:
        return Path(find(_NAME, appauthor=False))
    except RuntimeError as error:
        raise InputError("This account has no home folder: set HOME to a folder that can be written to.") from error
