"""`napari-scse runs`: the runs that can be picked by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from napari_scse.cli.console import say, table, tell
from napari_scse.errors import RunError

if TYPE_CHECKING:
    from napari_scse.runs import Model, RegisteredRun, Run


def runs(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|DIR", show_default=False, help="Show the epochs of this run, or the runs of this model."
        ),
    ] = None,
) -> None:
    """List the models of several planes and the trained runs, here and to be fetched, or the epochs of one."""
    from napari_scse.runs import list_fetchable, list_models, list_runs, load_model, user_runs

    to_fetch = list_fetchable()
    if name is not None:
        published = next((run for run in to_fetch if run.name == name), None)
        tell(_told(load_model(name)) if published is None else _files(published))
        return
    rows = [*map(_model_row, list_models()), *map(_row, list_runs()), *map(_published_row, to_fetch)]
    if not rows:
        say(f"There is no run yet. 'napari-scse train' makes one; in {user_runs()} it is found by its folder's name.")
        return
    tell(_table(rows))


def _table(rows: list[tuple[str, ...]]) -> str:
    header = ("name", "network", "SE", "plane", "epochs", "best", "Dice", "MB", "where")
    return table(header, rows, right=(4, 5, 6, 7))


def _told(model: Model) -> str:
    """The epochs of a run, or the runs of a model."""
    return _epochs(model.runs[0]) if len(model.runs) == 1 else _table([_row(run) for run in model.runs])


def _model_row(model: Model) -> tuple[str, ...]:
    from napari_scse.runs import place_of

    first, planes = model.runs[0], ", ".join(model.planes)
    network = first.config.network
    return (model.name, network.kind, str(network.excitation), planes, "-", "-", "-", "-", place_of(first))


def _row(run: Run) -> tuple[str, ...]:
    from napari_scse.runs import place_of

    network, size = run.config.network, _megabytes(run, *run.epochs)
    described = (run.name, network.kind, str(network.excitation), str(run.config.plane), str(len(run.epochs)))
    try:
        best = run.best_epoch
        score = {line["epoch"]: line.get("validation_dice") for line in run.metrics()}.get(best)
    except RunError:  # no weights, or no readable metrics: the other runs are worth showing all the same
        return (*described, "-", "-", size, place_of(run))
    return (*described, str(best), _number(score, 3), size, place_of(run))


def _published_row(run: RegisteredRun) -> tuple[str, ...]:
    epochs, size = str(len(run.epochs)), f"{run.size / 1e6:.1f}"
    return (run.name, run.network, run.excitation, run.plane, epochs, "-", "-", size, "to be fetched")


def _files(run: RegisteredRun) -> str:
    """What a run is that is not here, and how large its files are."""
    rows = [(file.name, f"{file.size / 1e6:.1f}") for file in run.files]
    files = table(("file", "MB"), rows, right=(1,))
    return f"{run.description}\n{run.licence}; to be fetched, {run.megabytes}.\n\n{files}"


def _epochs(run: Run) -> str:
    lines = {line["epoch"]: line for line in run.metrics()}
    rows = []
    for epoch in sorted({*lines, *run.epochs}):
        measured = (_number(lines.get(epoch, {}).get(key), digits) for key, digits in _MEASURED)
        rows.append((str(epoch), *measured, _megabytes(run, epoch) if epoch in run.epochs else "-"))
    return table(("epoch", "loss", "validation Dice", "seconds", "MB"), rows, right=(0, 1, 2, 3, 4))


_MEASURED = (("loss", 4), ("validation_dice", 3), ("seconds", 0))  # and how many digits are shown


def _megabytes(run: Run, *epochs: int) -> str:
    return f"{sum(run.checkpoint(epoch).stat().st_size for epoch in epochs) / 1e6:.1f}"


def _number(value: object, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "-"
