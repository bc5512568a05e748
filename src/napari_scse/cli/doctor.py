"""`napari-scse doctor`: what this installation has, for a bug report or a slow machine."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_scse.cli.console import tell


def doctor(
    private: Annotated[
        bool, typer.Option("--private", help="Write ~ for your home folder and leave your name out: to show to others.")
    ] = False,
) -> None:
    """Print versions, devices, memory, display hints and folders."""
    from napari_scse.diagnosis import diagnose, report_text
    from napari_scse.events import drain

    tell(report_text(drain(diagnose()), private=private).rstrip())
