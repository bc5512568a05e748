"""What people see: results on stdout, remarks and progress on stderr.

Progress is drawn only where stderr is a terminal; in a log file or a pipe the program stays quiet until it ends.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, TypeVar

import typer

from napari_scse.cli.interrupts import held_back

if TYPE_CHECKING:
    from rich.progress import Progress as ProgressBar

    from napari_scse.events import Event

Result = TypeVar("Result")


def say(*sentences: str) -> None:
    """Print remarks on stderr, one a line. Call it when the work is done: a failure prints its own single line."""
    for sentence in sentences:
        typer.echo(sentence, err=True)


def tell(text: str) -> None:
    """Print a result on stdout."""
    typer.echo(text)


def shows_progress() -> bool:
    """Tell whether somebody watches stderr."""
    return sys.stderr.isatty()


def follow(work: Generator[Event, None, Result], what: str) -> tuple[Result, list[str]]:
    """Run `work` to its end, drawing a progress bar headed `what` where stderr is a terminal.

    Returns
    -------
    tuple
        The work's result, and the sentences its `Message` events carried. The work is closed whatever happens, so that
        it can remove what it has half written.
    """
    from napari_scse.events import MapDone, Message, Progress, SliceDone, StepDone, drain

    messages: list[str] = []
    with closing(work), _progress_bar() or nullcontext() as bar, held_back() as let_interrupts_through:
        task = None if bar is None else bar.add_task(what, total=None)

        def show(event: Event) -> None:
            let_interrupts_through()
            if isinstance(event, Message):
                messages.append(event.text)
            elif bar is not None and task is not None and isinstance(event, StepDone):
                bar.update(task, completed=event.step, total=event.steps, description=what)
            elif bar is not None and task is not None and isinstance(event, Progress | SliceDone | MapDone):
                heading = event.what if isinstance(event, Progress) else what
                bar.update(task, completed=event.done, total=event.total, description=heading)

        result = drain(work, show)
        let_interrupts_through()
    return result, messages


def table(header: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Lay out `rows` under `header` as plain aligned text; the columns in `right` are aligned at their right edge."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def lay_out(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    return "\n".join(map(lay_out, lines))


def _progress_bar() -> ProgressBar | None:
    if not shows_progress():
        return None
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as ProgressBar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return ProgressBar(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
