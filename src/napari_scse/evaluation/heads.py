"""Which head a case is of: several cases of one head (scans of a person, draws of a label map) are not independent."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

from napari_scse.errors import InputError

_COLUMNS = {"case", "head"}


def read_heads(path: Path | str, cases: Collection[str]) -> dict[str, str]:
    """Read the head of each of `cases` from a CSV file with the columns ``case`` and ``head``.

    Rows on other cases are passed over, and so are other columns.

    Raises
    ------
    InputError
        The file is no such table, a case has no head, or it has two.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            rows = list(reader)
            columns = set(reader.fieldnames or ())
    except FileNotFoundError as error:
        raise InputError(f"There is no file '{path}'.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"'{path}' is not a CSV file with the columns case and head ({error}).") from error
    if not columns >= _COLUMNS:
        raise InputError(f"'{path}' needs the columns case and head; it has {', '.join(sorted(columns)) or 'none'}.")
    heads: dict[str, str] = {}
    for row in rows:
        case, head = (row["case"] or "").strip(), (row["head"] or "").strip()
        if not head or case not in cases:
            continue
        if heads.setdefault(case, head) != head:
            raise InputError(f"'{path}' gives the case {case} two heads: {heads[case]} and {head}.")
    lacking = sorted(set(cases) - heads.keys())
    if lacking:
        raise InputError(f"'{path}' gives no head for {', '.join(lacking[:5])}{' …' if len(lacking) > 5 else ''}.")
    return heads
