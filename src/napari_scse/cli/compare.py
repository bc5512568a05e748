"""`napari-scse compare`: several networks on the same cases, with paired tests over heads and box plots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_scse.cli.console import follow, say, table, tell
from napari_scse.cli.evaluate import check_mapping, mean_and_sd, remarks_on_mapping
from napari_scse.cli.options import LabelMapping
from napari_scse.cli.outputs import check_output_file
from napari_scse.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_scse.evaluation import Comparison, PairedDifference


def compare(
    reference: Annotated[
        Path, typer.Argument(metavar="REFERENCE", show_default=False, help="The folder of reference labels.")
    ],
    variants: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=PREDICTIONS...",
            show_default=False,
            help="Two or more folders with a file of the same name for every reference, each with a name for it.",
        ),
    ],
    measure: Annotated[
        str, typer.Option(metavar="dice|volume_similarity|assd_mm|hd95_mm", help="What is compared.")
    ] = "dice",
    groups: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            show_default=False,
            help="Columns case and head: cases of one head are averaged first. Otherwise each case is a head.",
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="Also write every single score as CSV.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.pdf|svg|png", show_default=False, help="Also draw a box per structure and variant."),
    ] = None,
    sides: Annotated[str, typer.Option(metavar="both|left|right", help="Which structures the plot shows.")] = "both",
    per_structure: Annotated[bool, typer.Option("--per-structure", help="Also test structure by structure.")] = False,
    mapping: LabelMapping = "auto",
) -> None:
    """Compare networks on the same cases: means, paired differences and signed-rank tests over heads, box plots.

    The first variant is what the others are compared with in the first place: a difference is later minus earlier.
    """
    from napari_scse import evaluation

    check_mapping(mapping)
    if measure not in evaluation.MEASURES:
        raise InputError(f"Unknown --measure '{measure}'; there is {', '.join(evaluation.MEASURES)}.")
    if sides not in evaluation.SIDES:
        raise InputError(f"Unknown --sides '{sides}'; there is {', '.join(evaluation.SIDES)}.")
    folders = _folders(variants)
    if plot is not None and len(folders) > evaluation.MAX_VARIANTS:
        raise InputError(f"A plot shows at most {evaluation.MAX_VARIANTS} variants; there are {len(folders)}.")
    cases = {name: evaluation.find_cases(_folder(folder), _folder(reference)) for name, folder in folders.items()}
    inputs = [path for found in cases.values() for case in found for path in (case.prediction, case.reference)]
    inputs += [groups] if groups is not None else []
    if csv is not None:
        check_output_file(csv, [".csv"], inputs)
    if plot is not None:
        check_output_file(plot, evaluation.PLOT_SUFFIXES, inputs, [csv] if csv is not None else [])
    heads = None
    if groups is not None:
        heads = evaluation.read_heads(groups, [case.name for case in next(iter(cases.values()))])

    results = {}
    for name, found in cases.items():
        work = evaluation.evaluate_cases(
            found,
            mapping=None if mapping == "none" else mapping,
            surfaces=measure in evaluation.SURFACE_MEASURES,
        )
        results[name], _ = follow(work, f"Evaluating {name}")
    comparison = evaluation.compare(results, heads, measure)
    if plot is not None:
        evaluation.plot_boxes(comparison, plot, sides)
    if csv is not None:
        comparison.write_csv(csv)
    say(*remarks_on_mapping(next(iter(results.values())), mapping, reference), *comparison.notes)
    tell(_lay_out(comparison, per_structure))


def _folders(variants: Sequence[str]) -> dict[str, Path]:
    """Split NAME=PREDICTIONS arguments."""
    folders: dict[str, Path] = {}
    for text in variants:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise InputError(f"'{text}' does not say which folder has which name; write NAME=PREDICTIONS.")
        if name in folders:
            raise InputError(f"The name '{name}' is given twice; every variant needs a name of its own.")
        folders[name] = Path(folder)
    if len(folders) < 2:
        raise InputError("A comparison needs at least two variants: NAME=PREDICTIONS NAME=PREDICTIONS.")
    return folders


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise InputError(f"'{path}' is {'a file' if path.exists() else 'not there'}; a comparison is between folders.")
    return path


def _lay_out(comparison: Comparison, per_structure: bool) -> str:
    from napari_scse.evaluation import MEASURES, spread

    title = MEASURES[comparison.measure]
    decimals = 2 if comparison.measure.endswith("_mm") else 3
    means = [(name, str(s.count), mean_and_sd(s, decimals)) for name, s in comparison.over_heads().items()]
    structures = [
        (str(value), name, *(mean_and_sd(spread(row), decimals) for row in comparison.values[:, :, s].tolist()))
        for s, (value, name) in enumerate(comparison.structures.items())
    ]
    names = list(comparison.variants)
    parts = [
        table(("value", "structure", *names), structures, right=[0, *range(2, 2 + len(names))]),
        table(("variant", "heads", f"mean {title}"), means, right=(1, 2)),
        _lay_out_tests(comparison.differences(), decimals),
    ]
    if per_structure:
        parts.insert(1, _lay_out_tests(comparison.structure_differences(), decimals))
    return "\n\n".join(parts)


def _lay_out_tests(tests: Sequence[PairedDifference], decimals: int) -> str:
    """A row per test, and what p-values there are below."""
    named = any(test.structure for test in tests)
    header = ["difference", *(["structure"] if named else []), "heads", "mean", "median", "higher in", "p", "Holm p"]
    rows = [
        [
            f"{test.second} - {test.first}",
            *([test.structure or ""] if named else []),
            str(test.heads),
            mean_and_sd_signed(test, decimals),
            f"{test.median:+.{decimals}f}",
            f"{test.higher} of {test.heads}",
            _p(test.p),
            _p(test.p_holm),
        ]
        for test in tests
    ]
    done = sum(test.p == test.p for test in tests)
    if not done:
        header, rows = header[:-2], [row[:-2] for row in rows]
    lines = [table(header, rows, right=range(2 if named else 1, len(header)))]
    family = f"the structures of each of {len({(t.first, t.second) for t in tests})} pairs" if named else "the pairs"
    if done:
        lines.append(
            f"p: two-sided Wilcoxon signed-rank, {done} test{'s' * (done > 1)}; Holm p: corrected over {family}."
        )
    return "\n".join(lines)


def mean_and_sd_signed(test: PairedDifference, decimals: int) -> str:
    """``+0.012 ± 0.004``."""
    text = f"{test.mean:+.{decimals}f}"
    return text if test.sd != test.sd else f"{text} ± {test.sd:.{decimals}f}"


def _p(value: float) -> str:
    return "-" if value != value else "< 0.0001" if value < 0.0001 else f"{value:.4f}"
