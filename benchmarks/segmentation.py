"""How well a model labels scans as they are, structure by structure, against an aseg.

    python benchmarks/segmentation.py --data FOLDER --work LABELS --out results.csv --markdown results.md

FOLDER holds one folder per subject with T1.mgz and aseg.mgz, as for `robustness.py`. Scans are labelled with the
default options of `napari-scse segment`; labels that WORK has already of the same weights are judged as they are.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_scse import images
from napari_scse.errors import ScseError
from napari_scse.evaluation import Case, CaseReports, Report, evaluate_cases
from napari_scse.evaluation.report import FREESURFER27_MAPPING, StructureScore
from napari_scse.events import drain
from napari_scse.execution import tune_allocator
from napari_scse.inference import segment
from napari_scse.metrics import overlaps
from napari_scse.runs import DEFAULT_MODEL, load_model
from napari_scse.sides import mirrored
from napari_scse.structures import FREESURFER27, to_structures
from robustness import Options, find_subjects

_WHAT = (
    "Labelled with the default options of `napari-scse segment`, judged by FreeSurfer's aseg mapped to the 27 "
    "structures. The scans are FreeSurfer's `T1.mgz`: conformed to 1 mm, bias-corrected, normalised and defaced, which "
    "is easier than a raw scan. Nothing was trained on them, but looks at them guided the training "
    "([log](../experiments.md))."
)


def label(data: Path, work: Path, options: Options) -> list[Case]:
    """Label every subject's scan; the cases to be judged."""
    weights = options.key()["weights"]
    work.mkdir(parents=True, exist_ok=True)
    cases = []
    for subject, (scan, aseg) in find_subjects(data).items():
        file = work / f"{subject}-{weights}.nii.gz"
        if not file.exists():
            started = time.monotonic()
            images.write_labels(file, drain(segment(images.read(scan), options.model)).labels)
            print(f"{subject}: {time.monotonic() - started:.0f} s", flush=True)
        cases.append(Case(subject, file, aseg))
    return cases


def confusion(case: Case) -> float:
    """The largest Dice of a structure that was found with its partner on the other side, as the reference has it."""
    found, reference = images.read_labels(case.prediction).data, images.read_labels(case.reference).data
    swapped = np.arange(256, dtype=np.uint8)
    pairs = {value: partner for value, partner in mirrored(FREESURFER27).items() if value != partner}
    swapped[list(pairs)] = list(pairs.values())
    shared = overlaps(swapped[found], to_structures(reference))
    return max(shared[value].dice for value in pairs if value in shared)


def to_markdown(reports: CaseReports, confused: Sequence[float], options: Options) -> str:
    """The page: means, and a table of the structures."""
    key, names = options.key(), list(reports.reports)
    lines = ["# Brain T1: the model for segmentation, structure by structure", ""]
    lines += ["Written by `benchmarks/segmentation.py`, and from nothing else.", ""]
    lines += [
        f"`{key['model']}` (weights {key['weights']}, planes {key['planes'].replace('+', ', ')}). {_WHAT}",
        "",
        "| | Dice | ASSD (mm) | HD95 (mm) | left found for right, largest Dice |",
        "| --- | --- | --- | --- | --- |",
    ]
    for (name, report), wrong in zip(reports.reports.items(), confused, strict=True):
        means = [f"{report.mean('dice'):.3f}", f"{report.mean('assd_mm'):.2f}", f"{report.mean('hd95_mm'):.2f}"]
        lines.append(f"| {name} | {' | '.join(means)} | {wrong:.3f} |")
    lines += ["", f"| structure | {' | '.join(f'{n}: Dice | ASSD | HD95 | volume' for n in names)} |"]
    lines.append(f"| --- |{' --- | --- | --- | --- |' * len(names)}")
    for structure in FREESURFER27:
        cells = [_cells(_of(report, structure.value)) for report in reports.reports.values()]
        lines.append(f"| {structure.name} | {' | '.join(cells)} |")
    lines += [
        "",
        "Distances in mm. *Volume* is that of the labels against the reference's, in per cent more or less.",
        "",
    ]
    return "\n".join(lines)


def _of(report: Report, value: int) -> StructureScore | None:
    return next((score for score in report.scores if score.value == value), None)


def _cells(score: StructureScore | None) -> str:
    if score is None:
        return " |  |  | "
    more = 100 * (score.prediction_mm3 / score.reference_mm3 - 1) if score.reference_mm3 else float("nan")
    return f"{score.dice:.3f} | {score.assd_mm:.2f} | {score.hd95_mm:.2f} | {more:+.0f} %"


def main(arguments: Sequence[str] | None = None) -> None:
    """Label, judge, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="one folder per subject, with a T1 and an aseg")
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="where the labels are kept")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.csv", help="a row per head and structure")
    parser.add_argument("--markdown", type=Path, metavar="FILE.md", help="the same as a page")
    parser.add_argument("--run", default=DEFAULT_MODEL, metavar="NAME|DIR", help="a run, or a model of several planes")
    given = parser.parse_args(arguments)
    try:
        options = Options(load_model(given.run), "best", None, "float32", "auto", 0)
        tune_allocator()
        cases = label(given.data, given.work, options)
        reports = drain(evaluate_cases(cases, mapping=FREESURFER27_MAPPING))
        reports.write_csv(given.out)
        confused = [confusion(case) for case in cases]
        for (name, report), wrong in zip(reports.reports.items(), confused, strict=True):
            weakest = min(report.scores, key=lambda score: score.dice)
            print(f"{name}: Dice {report.mean_dice:.4f}, weakest {weakest.name} {weakest.dice:.3f}, sides {wrong:.3f}")
        if given.markdown:
            given.markdown.write_text(to_markdown(reports, confused, options), encoding="utf-8")
    except ScseError as error:
        raise SystemExit(f"segmentation: {error}") from error


if __name__ == "__main__":
    main()
