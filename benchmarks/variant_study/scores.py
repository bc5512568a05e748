"""The table of scores: a row for each run, case and structure, with all that the page says of the run and the case."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from napari_scse.errors import InputError
from napari_scse.evaluation import StructureScore
from napari_scse.evaluation.tables import write_table

T = TypeVar("T")
REAL, SYNTHETIC = "real", "synthetic"


@dataclass(frozen=True)
class RunFacts:
    """What the table says of a run.

    Attributes
    ----------
    run, network, variant, seed
        Its name, the kind of its network, its SE variant, the seed of its training.
    weights, epoch
        Which weights: the start of their SHA-256, and their epoch.
    epochs, slices, steps
        Of its training: epochs, slices in each, optimiser steps in all.
    training
        The start of the SHA-256 of all that the runs of a table must share (`runs.shared_training`).
    torch
        The version that trained it.
    parameters, overhead_percent
        Learnable parameters, and what the SE blocks add to those of the plain network.
    """

    run: str
    network: str
    variant: str
    seed: int
    weights: str
    epoch: int
    epochs: int
    slices: int
    steps: int
    training: str
    torch: str
    parameters: int
    overhead_percent: float


@dataclass(frozen=True)
class Options:
    """How cases are labelled and judged: the precision, whether mirrored slices are asked too, surface distances."""

    precision: str
    mirror: bool
    surfaces: bool


@dataclass(frozen=True)
class CaseFacts:
    """What the table says of a case: its name, its head, `REAL` or `SYNTHETIC`, and the start of its SHA-256."""

    case: str
    head: str
    kind: str
    content: str


@dataclass(frozen=True)
class Key:
    """One run on one case."""

    trained: RunFacts
    options: Options
    scan: CaseFacts


@dataclass(frozen=True)
class Scored:
    """One run on one case, and what came out."""

    key: Key
    scores: tuple[StructureScore, ...]


_READ: dict[str, Callable[[str], object]] = {
    "str": str,
    "int": int,
    "float": lambda text: float(text or "nan"),
    "bool": {"yes": True, "no": False}.__getitem__,
}
_PARTS: tuple[type[Any], ...] = (RunFacts, Options, CaseFacts, StructureScore)
COLUMNS = tuple(field.name for part in _PARTS for field in fields(part))


def write_scores(path: Path, scored: Iterable[Scored]) -> None:
    """Write the table, whole or not at all."""
    rows = []
    for one in scored:
        of_case = [*_cells(one.key.trained), *_cells(one.key.options), *_cells(one.key.scan)]
        rows += [[*of_case, *_cells(score)] for score in one.scores]
    write_table(path, COLUMNS, rows)


def read_scores(path: Path) -> list[Scored]:
    """Read what `write_scores` wrote.

    Raises
    ------
    InputError
        There is no such file, or it is another kind of table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise InputError(f"{path} is not a table of this command; give another file.")
            rows = [(Key(*(_read(part, row) for part in _PARTS[:3])), _read(StructureScore, row)) for row in reader]
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}.") from error
    return [Scored(key, tuple(score for _, score in group)) for key, group in groupby(rows, key=lambda row: row[0])]


def require_one_study(keys: Sequence[Key]) -> None:
    """Refuse what cannot stand in one table.

    Raises
    ------
    InputError
        A run with two kinds of weights, a case with two contents, two runs of one network, variant and seed, or runs
        that were trained, or have labelled, in different ways.
    """
    for what, pairs in (
        ("the run {}", [(key.trained.run, key.trained) for key in keys]),
        ("the case {}", [(key.scan.case, key.scan) for key in keys]),
    ):
        held: dict[str, object] = {}
        for name, facts in pairs:
            if held.setdefault(name, facts) != facts:
                raise InputError(
                    f"There are two versions of {what.format(name)} ({_difference(held[name], facts)}): take a new "
                    "table, or remove the rows of one of them."
                )
    taken: dict[tuple[str, str, int], str] = {}
    for trained in (key.trained for key in keys):
        place = (trained.network, trained.variant, trained.seed)
        if taken.setdefault(place, trained.run) != trained.run:
            raise InputError(f"{taken[place]} and {trained.run} are the same: {place[0]}, {place[1]}, seed {place[2]}.")
    for key in keys[1:]:
        first = keys[0]
        if key.trained.training != first.trained.training:
            raise InputError(
                f"{key.trained.run} was not trained as {first.trained.run} was: they cannot stand in one table."
            )
        if replace(key.options, surfaces=True) != replace(first.options, surfaces=True):
            raise InputError(
                f"{key.scan.case} was not labelled with the options of {first.scan.case} "
                f"({_difference(first.options, key.options)}): they cannot stand in one table."
            )


def _cells(facts: object) -> list[object]:
    values = (getattr(facts, field.name) for field in fields(facts))  # type: ignore[arg-type]
    return [{True: "yes", False: "no"}[value] if isinstance(value, bool) else value for value in values]


def _read(part: type[T], row: Mapping[str, str]) -> T:
    return part(**{field.name: _READ[str(field.type)](row[field.name]) for field in fields(part)})  # type: ignore[arg-type]


def _difference(one: object, other: object) -> str:
    """``"weights 1234 and 5678"`` of two objects of the same type."""
    names = [field.name for field in fields(one)]  # type: ignore[arg-type]
    pairs = {name: (getattr(one, name), getattr(other, name)) for name in names}
    return ", ".join(f"{name} {first} and {second}" for name, (first, second) in pairs.items() if first != second)
