"""`napari-scse fetch`: bring a published run to this computer."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_scse.cli.console import follow, tell


def fetch(
    name: Annotated[
        str, typer.Argument(metavar="NAME", show_default=False, help="One of those 'napari-scse runs' lists.")
    ],
    base: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="URL|FOLDER",
            show_default=False,
            help="Where published runs are; what NAPARI_SCSE_MODELS says if not given.",
        ),
    ] = None,
) -> None:
    """Fetch a published run; every file is compared with its SHA-256."""
    from napari_scse.runs import fetch_run

    run, _ = follow(fetch_run(name, base), f"Fetching {name}")
    tell(str(run.path))


def fetch_missing(name: str) -> None:
    """Fetch what is registered under a run's or model's name and not here yet, with a bar."""
    from napari_scse.runs import fetch_run, to_fetch

    for part in to_fetch(name):
        follow(fetch_run(part), f"Fetching {part}")
