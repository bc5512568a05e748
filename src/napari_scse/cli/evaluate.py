"""`napari-scse evaluate`: compare a segmentation, or a folder of them, with its reference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_scse.cli.console import follow, say, table, tell
from napari_scse.cli.options import LabelMapping
from napari_scse.cli.outputs import check_output_file
from napari_scse.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_scse.evaluation import CaseReports, Report, Spread


def evaluate(
    prediction: Annotated[
        Path, typer.Argument(metavar="PREDICTION", show_default=False, help="The label file to judge, or a folder.")
    ],
    reference: Annotated[
        Path,
        typer.Argument(
            metavar="REFERENCE",
            show_default=False,
            help="The labels it should have, on the same grid; a folder of files of the same names for a folder.",
        ),
    ],
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="Also write the scores as CSV.")
    ] = None,
    mapping: LabelMapping = "auto",
    surfaces: Annotated[
        bool, typer.Option("--surfaces/--no-surfaces", help="Surface distances: a few seconds a case.")
    ] = True,
) -> None:
    """Compare a segmentation with a reference: Dice, surface distances and volumes.

    The last line is the mean Dice over the structures, for folders the mean of the cases' means. A structure that is
    missing from the prediction counts 0; one that neither file has is left out.
    """
    from napari_scse import evaluation

    check_mapping(mapping)
    cases = evaluation.find_cases(prediction, reference)
    if csv is not None:
        check_output_file(csv, [".csv"], [path for case in cases for path in (case.prediction, case.reference)])
    work = evaluation.evaluate_cases(cases, mapping=None if mapping == "none" else mapping, surfaces=surfaces)
    found, _ = follow(work, "Evaluating")
    one = next(iter(found.reports.values())) if not prediction.is_dir() else None
    if csv is not None:
        (one or found).write_csv(csv)
    say(*remarks_on_mapping(found, mapping, reference), *found.notes)
    tell(_lay_out(one) if one else _lay_out_cases(found))
    tell(f"mean Dice {found.mean_dice:.3f}")


def check_mapping(mapping: str) -> None:
    """Refuse a ``--map`` that there is not."""
    from napari_scse.evaluation import AUTO_MAPPING, MAPPINGS

    if mapping not in (AUTO_MAPPING, "none", *MAPPINGS):
        raise InputError(f"Unknown --map '{mapping}'; there is {AUTO_MAPPING}, {', '.join(MAPPINGS)} and none.")


def remarks_on_mapping(found: CaseReports, asked: str, reference: Path) -> list[str]:
    """Say what ``--map auto`` has decided, where it mapped."""
    if asked != "auto" or found.mapping is None:
        return []
    what = (
        f"The references in {reference} are FreeSurfer's asegs"
        if reference.is_dir()
        else f"{reference} is " + ("FreeSurfer's aseg")
    )
    return [f"{what}: both sides are mapped to the 27 structures (unless --map none)."]


def number(value: float, decimals: int) -> str:
    """`value` for a table; NaN is a dash."""
    return "-" if value != value else f"{value:.{decimals}f}"


def mean_and_sd(spread: Spread, decimals: int) -> str:
    """``0.873 ± 0.021``, without the second part where there is only one number."""
    text = number(spread.mean, decimals)
    return text if spread.sd != spread.sd else f"{text} ± {spread.sd:.{decimals}f}"


def _lay_out(report: Report) -> str:
    header = ["value", "structure", "Dice", "vol. sim.", "ASSD mm", "HD95 mm", "predicted mm3", "reference mm3"]
    rows = [
        [
            *(str(s.value), s.name, f"{s.dice:.3f}", f"{s.volume_similarity:.3f}"),
            *(number(s.assd_mm, 2), number(s.hd95_mm, 2)),
            *(f"{s.prediction_mm3:.0f}", f"{s.reference_mm3:.0f}"),
        ]
        for s in report.scores
    ]
    return _table(header, rows, report.with_surfaces, left=(1,))


def _lay_out_cases(found: CaseReports) -> str:
    with_surfaces = any(report.with_surfaces for report in found.reports.values())
    decimals = {"dice": 3, "volume_similarity": 3, "assd_mm": 2, "hd95_mm": 2}
    measured = ["Dice", "vol. sim.", "ASSD mm", "HD95 mm"]
    cases = [
        [case, str(len(report.scores)), *(number(report.mean(m), d) for m, d in decimals.items())]
        for case, report in found.reports.items()
    ]
    over_cases = [mean_and_sd(found.over_cases(m), d) for m, d in decimals.items()]
    cases.append(["mean ± SD", "", *over_cases])
    structures = [
        [
            str(s.value),
            s.name,
            str(s.spreads["dice"].count),
            *(mean_and_sd(s.spreads[m], d) for m, d in decimals.items()),
        ]
        for s in found.summaries
    ]
    return "\n\n".join(
        [
            _table(["value", "structure", "cases", *measured], structures, with_surfaces, left=(1,)),
            _table(["case", "structures", *measured], cases, with_surfaces, left=(0,)),
        ]
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], with_surfaces: bool, left: Sequence[int]) -> str:
    """Lay out a table, without the columns of surface distances where there are none."""
    kept = [n for n, title in enumerate(header) if with_surfaces or title not in ("ASSD mm", "HD95 mm")]
    right = [place for place, n in enumerate(kept) if n not in left]
    return table([header[n] for n in kept], [[row[n] for n in kept] for row in rows], right)
