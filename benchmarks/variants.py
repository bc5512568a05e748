"""What squeeze & excitation gives: every network with every SE variant on the same heads, and a page of the results.

    python benchmarks/variants.py measure --runs RUNS --out docs/results/brain-t1.csv --work FOLDER \
        --scan sub-02=T1.mgz,aseg.mgz --label-maps FOLDER --draws 2
    python benchmarks/variants.py time --runs RUNS --out docs/results/brain-t1-steps.csv
    python benchmarks/variants.py report docs/results/brain-t1.csv

RUNS holds a folder for each run, as `tools/train_models.py` makes them; runs that are not finished are passed over. The
table is written whole after every case, and what it has is not measured again: stop it and start it as you like.
docs/evaluation.md says what is measured and when the command refuses.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from napari_scse.errors import InputError, ScseError
from napari_scse.execution import choose_device, supports_bfloat16, tune_allocator
from napari_scse.runs import Run
from variant_study.cases import Case, Drawing, real_cases, require_own_names
from variant_study.measuring import Measuring
from variant_study.page import write_page
from variant_study.runs import find_runs, held_back, require_comparable, synthesis_of
from variant_study.scores import Options, read_scores, write_scores
from variant_study.study import make_study
from variant_study.timing import read_turns, take_turns, write_turns


def measure(given: argparse.Namespace) -> None:
    """Fill in what the table lacks."""
    runs, passed_over = find_runs(given.runs, given.match)
    require_comparable(runs)
    for sentence in passed_over:
        tell(sentence)
    cases = [*real_cases(given.scan), *synthetic_cases(given, runs[0])]
    if not cases:
        raise InputError("There is nothing to label: give --scan, or --label-maps and --work.")
    require_own_names(cases)
    options = Options(choose_precision(given.precision, given.device), given.mirror, given.surfaces)
    scored = read_scores(given.out) if given.out.exists() else []
    given.out.parent.mkdir(parents=True, exist_ok=True)
    tune_allocator()
    for table in Measuring(runs, cases, given.epoch, options, given.device, tell).go_on(scored):
        write_scores(given.out, table)


def synthetic_cases(given: argparse.Namespace, run: Run) -> list[Case]:
    """Heads drawn as for the training of `run`, from label maps that were held back; none without --label-maps."""
    if given.label_maps is None:
        return []
    if given.work is None:
        raise InputError("Drawn heads need a folder to be kept in: give --work.")
    names = [name for name in (given.held_back or "").split(",") if name]
    drawing = Drawing(given.label_maps, held_back(run), names, given.draws, given.seed, synthesis_of(run), given.work)
    return [drawing.make(path, number) for path in drawing.chosen() for number in range(1, given.draws + 1)]


def choose_precision(name: str, device: str) -> str:
    """``"auto"`` is bfloat16 where the device computes it itself."""
    if name != "auto":
        return name
    return "bfloat16" if supports_bfloat16(choose_device(device)) else "float32"


def tell(sentence: str) -> None:
    """Print at once, also into a file."""
    print(sentence, flush=True)


def take_time(given: argparse.Namespace) -> None:
    """Measure what a training step takes, the networks in turns."""
    runs, _ = find_runs(given.runs, given.match)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    tune_allocator()
    write_turns(given.out, take_turns(runs, given.rounds, given.precision, given.device, tell))


def report(given: argparse.Namespace) -> None:
    """Write the page and its plots."""
    page = given.out or given.table.with_suffix(".md")
    page.parent.mkdir(parents=True, exist_ok=True)
    steps = given.table.with_name(f"{given.table.stem}-steps.csv")
    turns = read_turns(steps)
    tables = [
        Path(os.path.relpath(path, page.parent)).as_posix() for path in (given.table, *([steps] if turns else []))
    ]
    write_page(make_study(read_scores(given.table)), turns, page, tables)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, time or report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(required=True, metavar="measure|time|report")
    one = verbs.add_parser("measure", help="label every case with every run")
    one.set_defaults(do=measure)
    one.add_argument("--runs", type=Path, required=True, metavar="DIR", help="a folder of runs' folders")
    one.add_argument("--match", default="*-variant-*", metavar="PATTERN", help="which of them: %(default)s")
    one.add_argument("--out", type=Path, required=True, metavar="FILE.csv", help="the table; what it has stays")
    one.add_argument("--scan", action="append", default=[], metavar="NAME=SCAN,LABELS", help="a real head")
    one.add_argument("--label-maps", type=Path, metavar="DIR", help="the training's label maps, to draw heads from")
    one.add_argument("--held-back", metavar="NAME,…", help="which of those that were held back; all if not given")
    one.add_argument("--draws", type=int, default=2, metavar="N", help="heads drawn from each: %(default)s")
    one.add_argument("--seed", type=int, default=0, help="decides the drawn heads")
    one.add_argument("--work", type=Path, metavar="DIR", help="keeps the drawn heads")
    one.add_argument("--epoch", default="last", metavar="N|best|last", help="whose weights: %(default)s")
    one.add_argument("--surfaces", action="store_true", help="surface distances as well")
    one.add_argument("--mirror", action="store_true", help="average with mirrored slices: twice the time")
    one.add_argument("--precision", default="auto", help="auto: bfloat16 where the device has it")
    one.add_argument("--device", default="auto")
    timed = verbs.add_parser("time", help="measure a training step of every network, in turns")
    timed.set_defaults(do=take_time)
    timed.add_argument("--runs", type=Path, required=True, metavar="DIR", help="a folder of runs' folders")
    timed.add_argument("--match", default="*-variant-*", metavar="PATTERN", help="which of them: %(default)s")
    timed.add_argument("--out", type=Path, required=True, metavar="FILE.csv", help="TABLE-steps.csv, for `report`")
    timed.add_argument("--rounds", type=int, default=7, metavar="N", help="turns of each: %(default)s")
    timed.add_argument("--precision", default="auto", help="auto: bfloat16 where the device has it")
    timed.add_argument("--device", default="auto")
    other = verbs.add_parser("report", help="write the page")
    other.set_defaults(do=report)
    other.add_argument("table", type=Path, metavar="FILE.csv", help="with step times in FILE-steps.csv, if it is there")
    other.add_argument("--out", type=Path, metavar="FILE.md", help="the page; default: beside the table")
    given = parser.parse_args(arguments)
    try:
        given.do(given)
    except ScseError as error:
        raise SystemExit(f"variants: {error}") from error


if __name__ == "__main__":
    main()
