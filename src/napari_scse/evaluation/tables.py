"""Write a table to a CSV file, whole or not at all."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Sequence

from napari_scse.atomic import appearing


def write_table(path: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write `header` and `rows` to `path`, replacing what was there only once everything is written.

    A cell that is None or NaN becomes empty; floats are written so that they read back exactly.

    Raises
    ------
    OSError
        The folder cannot be written to. No temporary file stays behind.
    """
    with appearing(path) as part, part.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([None if _is_nan(cell) else cell for cell in row] for row in rows)


def _is_nan(cell: object) -> bool:
    return isinstance(cell, float) and math.isnan(cell)
