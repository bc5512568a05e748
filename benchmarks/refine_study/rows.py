"""The table: a row for each case, round and structure."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from napari_scse.errors import InputError
from napari_scse.evaluation.tables import write_table


@dataclass(frozen=True)
class Row:
    """One structure of one case after one round.

    Attributes
    ----------
    case, text, run, weights
        What was labelled, by whom, and the start of the SHA-256 of the weights.
    settings, precision, seed, every
        How it was taught (as JSON), in which precision slices were labelled, what decides the simulated user, and
        that every so-manieth slice was labelled.
    round
        From 1 on.
    slices, voxels
        With strokes, and painted, in all rounds so far.
    right_before, right_after
        Share of the painted voxels that are labelled as painted, by the run and by what it became.
    seconds, cpu_seconds
        Of the round: on the clock, and of all threads together.
    structure, name
        Its label value and name.
    unpainted, reference
        Slices without strokes that are judged, and the structure's voxels in them.
    before, after
        Dice there. NaN where the structure is in neither.
    whole_before, whole_painted, whole_after
        Dice over all judged slices: as the run has them, with the strokes painted in, and refined with the strokes
        painted in.
    """

    case: str
    text: str
    run: str
    weights: str
    settings: str
    precision: str
    seed: int
    every: int
    round: int
    slices: int
    voxels: int
    right_before: float
    right_after: float
    seconds: float
    cpu_seconds: float
    structure: int
    name: str
    unpainted: int
    reference: int
    before: float
    after: float
    whole_before: float
    whole_painted: float
    whole_after: float

    @property
    def key(self) -> tuple[str, str, str, str, int, int]:
        """What identifies a measurement."""
        return self.case, self.weights, self.settings, self.precision, self.seed, self.every

    @property
    def change(self) -> float:
        """Points of Dice gained on slices without strokes."""
        return 100 * (self.after - self.before)


COLUMNS = tuple(field.name for field in fields(Row))
_KINDS = {"int": int, "float": lambda text: float(text or "nan"), "str": str}


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write the table, whole or not at all."""
    write_table(path, COLUMNS, [astuple(row) for row in rows])


def read_rows(path: Path) -> list[Row]:
    """Read what `write_rows` wrote; nothing if there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise InputError(f"{path} is not a table of this command; give another file.")
        try:
            return [Row(**{f.name: _KINDS[str(f.type)](line[f.name]) for f in fields(Row)}) for line in reader]
        except (TypeError, ValueError) as error:
            raise InputError(f"{path} is damaged: {error}.") from error
