"""What a user prefers, for where neither an argument nor an environment variable says otherwise.

An option or argument wins over an environment variable, and that over what is set here; napari's own preferences are
copied here by the widgets. The command line knows environment variables only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

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
