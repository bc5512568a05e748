"""`napari-scse export`: copy a run to share it, at half its size."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run_name: Annotated[str, typer.Argument(metavar="NAME|DIR", show_default=False, help="The run.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", show_default=False, help="The new run's folder.")],
    epochs: Annotated[
        str, typer.Option(metavar="all|best|last|1,3,7", help="Which checkpoints to take along.")
    ] = "best",
    smoothing: Annotated[
        str | None,
        typer.Option(
            metavar="W|W,W,W",
            show_default=False,
            help="Have the copy average each voxel's class probabilities with its neighbours', before they become "
            "labels: what a neighbour weighs, 0 to 1/3, along slices, rows and columns. If not given, as the run does.",
        ),
    ] = None,
    vote: Annotated[
        float | None,
        typer.Option(
            metavar="W",
            show_default=False,
            help="What the copy's probabilities weigh in a model of several planes, beside the other planes' runs. If "
            "not given, as the run says, or 0.4 for coronal and axial and 0.2 for sagittal.",
        ),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Keep float32 weights; otherwise they become float16.")] = False,
) -> None:
    """Copy a run at half its size, to share it."""
    from napari_scse.runs import export_run, load_run

    run = load_run(run_name)
    chosen = run.epochs if epochs == "all" else [run.resolve_epoch(e) for e in epochs.split(",")]
    smooth = None if smoothing is None else _weights(smoothing)
    export_run(run, output, sorted(set(chosen)), not full, smooth, vote)


def _weights(text: str) -> tuple[float, float, float]:
    from napari_scse.errors import InputError

    try:
        numbers = [float(part) for part in text.split(",")]
        through, rows, columns = numbers * 3 if len(numbers) == 1 else numbers
    except ValueError as error:
        raise InputError(f"--smoothing is one weight or three, such as 0.25 or 0.3,0.2,0.2; got {text!r}.") from error
    return through, rows, columns
