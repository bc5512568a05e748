"""Write a figure as PDF, SVG or PNG, whole or not at all."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_scse.atomic import write_atomically
from napari_scse.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLOT_SUFFIXES = (".pdf", ".svg", ".png")
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "pdf.fonttype": 42,  # text in a PDF stays text
    "axes.axisbelow": True,
    "svg.hashsalt": "napari-scse",  # with no date: the same figure is the same file
}
_UNDATED: dict[str, dict[str, Any]] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}, ".png": {}}
_DPI = 200
_MOST_PIXELS = 30_000  # of a side; more than about twice that cannot be drawn


def check_plot_name(path: str | os.PathLike[str]) -> None:
    """Raise `InputError` unless the suffix of `path` is one of `PLOT_SUFFIXES`."""
    target = Path(path).resolve()
    if target.suffix.lower() not in PLOT_SUFFIXES:
        raise InputError(f"A plot ends in {', '.join(PLOT_SUFFIXES)}; '{target.name}' does not.")


def write_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write `figure` to `path`, replacing what was there only once everything is written.

    Raises
    ------
    InputError
        The suffix of `path`, which says the format, is none of `PLOT_SUFFIXES`.
    OSError
        The folder cannot be written to. No temporary file stays behind.
    """
    check_plot_name(path)
    target = Path(path).resolve()
    drawn = BytesIO()  # matplotlib says something else where a disk is full
    figure.savefig(
        drawn,
        format=target.suffix[1:],
        dpi=min(_DPI, _MOST_PIXELS / max(figure.get_size_inches())),
        metadata=_UNDATED[target.suffix.lower()],
    )
    write_atomically(target, drawn.getvalue())
