"""The typer application: every verb is a function in a module of its own, registered here.

The verbs' modules import nothing heavy at their top (their work is imported inside the function), so that
`napari-scse --help` answers at once. Help is plain text: no boxes, nothing cut off in a narrow terminal or a log file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from napari_scse.cli.compare import compare
from napari_scse.cli.demo import demo
from napari_scse.cli.doctor import doctor
from napari_scse.cli.dynamics import dynamics
from napari_scse.cli.evaluate import evaluate
from napari_scse.cli.excite import excite
from napari_scse.cli.export import export
from napari_scse.cli.fetch import fetch
from napari_scse.cli.figure7 import figure7
from napari_scse.cli.install import install
from napari_scse.cli.numbers import numbers
from napari_scse.cli.params import params
from napari_scse.cli.refine import refine
from napari_scse.cli.runs import runs
from napari_scse.cli.segment import segment
from napari_scse.cli.synthesise import synthesise
from napari_scse.cli.train import train

VERBS: tuple[Callable[..., None], ...] = (
    *(segment, refine, excite, dynamics, figure7, train, evaluate, numbers, compare, params),
    *(runs, fetch, install, export, synthesise, doctor, demo),
)

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for verb in VERBS:
    app.command()(verb)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("napari-scse"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Segment volumes with squeeze & excitation networks, train them, and look at what they attend to."""
