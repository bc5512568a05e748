"""Keep what was learnt as a run of its own, with where it comes from."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_scse.errors import RunError
from napari_scse.refinement.refine import Refined
from napari_scse.runs import BUNDLED, Run, create_run, is_taken, library_versions, user_runs
from napari_scse.runs.registry import require_name

_LAST = 10  # steps that the recorded loss is the mean of


def keep(refined: Refined, name: str, *, folder: Path | None = None, command: str = "") -> Run:
    """Write a new run with the refined network as its only checkpoint; all of it or nothing.

    Parameters
    ----------
    name
        What the run is to be called.
    folder
        Where runs lie; None: where the user's own are found by name.
    command
        The command line to record.

    Raises
    ------
    RunError
        The name is none for a run, or taken; the run cannot be written.
    """
    home = user_runs() if folder is None else folder
    check_name(name, folder)
    config = replace(
        refined.run.config,
        name=name,
        network=refined.network.config,
        command=command,
        versions=library_versions(),
        lineage=lineage(refined),
    )
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".refining-", dir=home, ignore_cleanup_errors=True) as staging:
            run = create_run(Path(staging) / "run", config)  # too deep to be listed
            loss = float(np.mean(refined.loss[-_LAST:]))
            run.save_epoch(1, refined.network, {"loss": loss, "seconds": round(refined.seconds, 1)})
            run.path.rename(home / name)
    except OSError as error:
        raise RunError(f"The run {name} cannot be written to {home}: {error.strerror or error}.") from error
    return Run(home / name)


def check_name(name: str, folder: Path | None = None) -> None:
    """Raise `RunError` unless a new run can be called `name`."""
    require_name(name)
    home = user_runs() if folder is None else folder
    taken = (home / name).exists() or (BUNDLED / name).exists()
    if taken or (folder is None and is_taken(name)):
        raise RunError(f"There is a run called {name} already; choose another name.")


def lineage(refined: Refined) -> dict[str, Any]:
    """What ``run.json`` says of where a refined network comes from."""
    parent = {"run": refined.run.name, "epoch": refined.epoch, "sha256": refined.checkpoint}
    if refined.run.config.lineage:
        parent["lineage"] = dict(refined.run.config.lineage)
    return {
        "parent": parent,
        "strokes": {str(value): count for value, count in refined.strokes.items()},
        "rounds": refined.rounds,
        "settings": refined.config.recorded(),
        "right_before": round(refined.right_before, 4),
        "right_after": round(refined.right_after, 4),
    }
