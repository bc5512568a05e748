"""`napari-scse install`: a run in a folder or a zip file becomes one that is found by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_scse.cli.console import follow, tell


def install(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", show_default=False, help="A run's folder, or a zip file of it.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace a run of the same name.")] = False,
) -> None:
    """Install a run from files, so that it is found by its name."""
    from napari_scse.runs import install_run

    run, _ = follow(install_run(path, force=force), f"Installing {path.name}")
    tell(str(run.path))
