"""What a few strokes teach: Dice on slices that nobody painted, before and after, round by round, and a page of it.

    python benchmarks/refine.py measure --out docs/results/refine.csv --work FOLDER [--data FOLDER] [--only CASE,…]
    python benchmarks/refine.py report docs/results/refine.csv

The data are those of the tests on real scans (NAPARI_SCSE_DATA). A simulated user paints strokes where the labels are
wrong, `refine` learns them, and what it became is compared with the reference on the other slices. The table is written
whole after every case; cases that it has for the same weights and settings are not measured again.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_scse.atomic import write_atomically
from napari_scse.errors import InputError, ScseError
from napari_scse.execution import choose_device, supports_bfloat16, tune_allocator
from napari_scse.refinement import Part, RefineConfig
from refine_study.cases import choose, make_case
from refine_study.measuring import Options, measure, weights_of
from refine_study.page import to_page
from refine_study.rows import read_rows, write_rows


def measure_all(given: argparse.Namespace) -> None:
    """Fill in what the table lacks."""
    if given.data is None:
        raise InputError("Say where the data are: --data, or the variable NAPARI_SCSE_DATA.")
    rows = read_rows(given.out)
    device = choose_device(given.device)
    precision = "bfloat16" if supports_bfloat16(device) else "float32"
    config = RefineConfig()
    changes = {
        name: value
        for name in ("steps", "learning_rate", "hold", "mixing")
        if (value := getattr(given, name)) is not None
    }
    if given.part is not None:
        changes["part"] = Part(given.part)
    options = Options(replace(config, **changes), given.rounds, given.every, given.seed, precision, device, given.again)
    tune_allocator()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    for name in choose(given.only, given.data):
        case = make_case(name, given.data, given.work)
        key = (name, weights_of(case), options.settings, precision, options.seed, options.step(case))
        if any(row.key == key for row in rows):
            print(f"{name} is there already", flush=True)
            continue
        rows += measure(case, options, lambda text: print(text, flush=True))
        write_rows(given.out, rows)


def report(given: argparse.Namespace) -> None:
    """Write the page."""
    rows = read_rows(given.table)
    if not rows:
        raise InputError(f"There is no table {given.table}.")
    page = given.out or given.table.with_suffix(".md")
    text = to_page(rows, Path(os.path.relpath(given.table, page.parent)).as_posix())
    write_atomically(page, text.encode())


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure or report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(required=True, metavar="measure|report")
    one = verbs.add_parser("measure", help="teach every case and judge it")
    one.set_defaults(do=measure_all)
    one.add_argument("--out", type=Path, required=True, metavar="FILE.csv", help="the table; what it has stays")
    one.add_argument("--work", type=Path, required=True, metavar="DIR", help="keeps the run that is trained for the CT")
    data = os.environ.get("NAPARI_SCSE_DATA")
    one.add_argument("--data", type=Path, default=Path(data) if data else None, metavar="DIR")
    one.add_argument("--only", metavar="CASE,…", help="which cases; all if not given")
    one.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of strokes: %(default)s")
    one.add_argument("--every", type=int, default=2, metavar="N", help="label every N-th slice: %(default)s")
    one.add_argument("--seed", type=int, default=0, help="of the simulated user")
    one.add_argument("--again", action="store_true", help="each round begins with the run's own weights")
    one.add_argument("--part", choices=list(Part), help="what learns, if not the default")
    one.add_argument("--steps", type=int, metavar="N")
    one.add_argument("--learning-rate", type=float, metavar="RATE")
    one.add_argument("--hold", type=float, metavar="WEIGHT")
    one.add_argument("--mixing", type=float, metavar="SHARE")
    one.add_argument("--device", default="auto")
    other = verbs.add_parser("report", help="write the page")
    other.set_defaults(do=report)
    other.add_argument("table", type=Path, metavar="FILE.csv")
    other.add_argument("--out", type=Path, metavar="FILE.md", help="the page; default: beside the table")
    given = parser.parse_args(arguments)
    try:
        given.do(given)
    except ScseError as error:
        raise SystemExit(f"refine: {error}") from error


if __name__ == "__main__":
    main()
