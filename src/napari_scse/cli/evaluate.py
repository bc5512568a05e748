"""`napari-scse evaluate`: compare a segmentation with a reference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_scse.cli.console import say, table, tell
from napari_scse.cli.outputs import check_output_file
from napari_scse.errors import InputError

if TYPE_CHECKING:
    from napari_scse.evaluation import Report


def evaluate(
    prediction: Annotated[
        Path, typer.Argument(metavar="PREDICTION", show_default=False, help="The label file to judge.")
    ],
    reference: Annotated[
        Path,
        typer.Argument(metavar="REFERENCE", show_default=False, help="The labels it should have, on the same grid."),
    ],
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="Also write the table as CSV.")
    ] = None,
    mapping: Annotated[
        str,
        typer.Option(
            "--map",
            metavar="auto|freesurfer27|none",
            help="freesurfer27 maps both files' FreeSurfer labels to the paper's 27 structures first; "
            "auto does so if the reference is FreeSurfer's aseg.",
        ),
    ] = "auto",
) -> None:
    """Compare a segmentation with a reference: Dice and volumes.

    The last line is the mean Dice over the structures. One that is missing from the prediction counts 0; one that
    neither file has is left out.
    """
    from napari_scse import evaluation, images

    if mapping not in ("auto", "none", *evaluation.MAPPINGS):
        raise InputError(f"Unknown --map '{mapping}'; there is auto, {', '.join(evaluation.MAPPINGS)} and none.")
    if csv is not None:
        check_output_file(csv, [".csv"], [prediction, reference])
    judged, expected = images.read_labels(prediction), images.read_labels(reference)
    remarks = []
    if mapping == "auto" and evaluation.is_plainly_aseg(expected):
        mapping = evaluation.FREESURFER27_MAPPING
        remarks.append(
            f"{reference} is FreeSurfer's aseg: both files are mapped to the 27 structures (unless --map none)."
        )
    report = evaluation.evaluate(judged, expected, mapping=None if mapping in ("auto", "none") else mapping)
    if csv is not None:
        report.write_csv(csv)
    say(*remarks, *report.notes)
    tell(_lay_out(report))
    tell(f"mean Dice {report.mean_dice:.3f}")


def _lay_out(report: Report) -> str:
    rows = [
        (str(s.value), s.name, f"{s.dice:.3f}", f"{s.prediction_mm3:.0f}", f"{s.reference_mm3:.0f}")
        for s in report.scores
    ]
    return table(("value", "structure", "Dice", "predicted mm3", "reference mm3"), rows, right=(0, 2, 3, 4))
