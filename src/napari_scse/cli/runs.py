"""`napari-scse runs`: the runs that can be picked by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from napari_scse.cli.console import say, table, tell

if TYPE_CHECKING:
    from napari_scse.runs import Run


def runs(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|DIR]", show_default=False, help="Show the epochs of this run instead of the list."
        ),
    ] = None,
) -> None:
    """List the runs that can be picked by name, or the epochs of one run."""
    from napari_scse.runs import list_runs, load_run, user_runs

    if name is not None:
        tell(_epochs(load_run(name)))
        return
    found = list_runs()
    if not found:
        say(f"There is no run yet; 'napari-scse train' makes one, and finds it by name in {user_runs()}.")
        return
    header = ("name", "network", "SE", "plane", "epochs", "best", "Dice", "MB")
    tell(table(header, map(_row, found), right=(4, 5, 6, 7)))


def _row(run: Run) -> tuple[str, ...]:
    network = run.config.network
    scores = {line["epoch"]: line.get("validation_dice") for line in run.metrics()}
    best = run.best_epoch if run.epochs else None
    megabytes = sum(run.checkpoint(epoch).stat().st_size for epoch in run.epochs) / 1e6
    return (
        *(run.name, network.kind, str(network.excitation), str(run.config.plane), str(len(run.epochs))),
        *("-" if best is None else str(best), _number(scores.get(best), 3), f"{megabytes:.1f}"),
    )


def _epochs(run: Run) -> str:
    lines = {line["epoch"]: line for line in run.metrics()}
    rows = []
    for epoch in sorted({*lines, *run.epochs}):
        line = lines.get(epoch, {})
        kept = run.checkpoint(epoch).stat().st_size / 1e6 if epoch in run.epochs else None
        loss, dice, seconds = (_number(line.get(key), digits) for key, digits in _COLUMNS)
        rows.append((str(epoch), loss, dice, seconds, _number(kept, 1)))
    return table(("epoch", "loss", "validation Dice", "seconds", "MB"), rows, right=(0, 1, 2, 3, 4))


_COLUMNS = (("loss", 4), ("validation_dice", 3), ("seconds", 0))


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
