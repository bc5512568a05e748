"""Compare many segmentations with their references: the cases of two folders, paired by name."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_scse import images
from napari_scse.errors import InputError, ScseError
from napari_scse.evaluation.measures import MEASURES, Spread, spread
from napari_scse.evaluation.report import (
    COLUMNS,
    FREESURFER27_MAPPING,
    ONE_SIDE,
    Report,
    StructureScore,
    evaluate,
    is_plainly_aseg,
    name_structures,
)
from napari_scse.evaluation.tables import write_table
from napari_scse.events import Event, Progress
from napari_scse.structures import Structure
from napari_scse.volume import LabelVolume

AUTO_MAPPING = "auto"
_NAMED_AT_MOST = 5


@dataclass(frozen=True)
class Case:
    """One prediction and its reference, by the name that their files share."""

    name: str
    prediction: Path
    reference: Path


@dataclass(frozen=True)
class StructureSummary:
    """One structure over all cases: a `Spread` of every one of `MEASURES`, over the cases that have a number."""

    value: int
    name: str
    spreads: Mapping[str, Spread]


@dataclass(frozen=True)
class CaseReports:
    """What `evaluate_cases` found.

    Attributes
    ----------
    reports
        Case → its report, in the order of the names.
    mapping
        What both sides were mapped to before they were compared, or None.
    """

    reports: Mapping[str, Report]
    mapping: str | None = None

    @property
    def mean_dice(self) -> float:
        """Mean over the cases of each one's mean Dice; every case weighs the same."""
        return self.over_cases("dice").mean

    def over_cases(self, measure: str) -> Spread:
        """Spread over the cases of each one's mean over its structures."""
        return spread(report.mean(measure) for report in self.reports.values())

    @property
    def summaries(self) -> tuple[StructureSummary, ...]:
        """One row per structure that any case has, in increasing order of the value."""
        found: dict[int, list[StructureScore]] = {}
        for report in self.reports.values():
            for score in report.scores:
                found.setdefault(score.value, []).append(score)
        return tuple(
            StructureSummary(
                value, scores[0].name, {m: spread(getattr(score, m) for score in scores) for m in MEASURES}
            )
            for value, scores in sorted(found.items())
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what was left out; for a single case those of its report."""
        reports = list(self.reports.values())
        if len(reports) == 1:
            return reports[0].notes
        candidates = {s.value: s.name for r in reports for s in r.missing}
        candidates |= {s.value: s.name for r in reports for s in r.scores}
        scored = [{score.value for score in report.scores} for report in reports]
        absent = {value: sum(value not in values for values in scored) for value in candidates}
        one_sided = {value: sum(value in {s.value for s in r.one_sided} for r in reports) for value in candidates}
        ignored = sorted({value for report in reports for value in report.ignored})
        notes = []
        empty = [case for case, report in self.reports.items() if not report.scores]
        if empty:
            notes.append(f"Without a score, as neither volume has any of the structures: {_some(empty)}.")
        if any(absent.values()):
            notes.append(f"Left out, in neither volume: {_count(candidates, absent)}.")
        if ignored:
            notes.append(f"Not scored, not among the structures: {', '.join(map(str, ignored))}.")
        if any(report.with_surfaces for report in reports) and any(one_sided.values()):
            notes.append(f"Dice 0 and no surface distance, in one volume only: {_count(candidates, one_sided)}.")
        if any(report.lacks_a_side for report in reports):
            notes.append(ONE_SIDE)
        return tuple(notes)

    def write_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a row per case and structure to a CSV file (whole or not at all)."""
        rows = [(case, *score.row) for case, report in self.reports.items() for score in report.scores]
        write_table(path, ("case", *COLUMNS), rows)


def find_cases(predictions: Path | str, references: Path | str) -> tuple[Case, ...]:
    """Pair the label files of two folders by their names without suffix; two files are one case.

    Files of other kinds, hidden files and sub-folders are passed over.

    Raises
    ------
    InputError
        A path is missing, one is a folder and the other is not, there are no cases, two files of a folder share a
        name, or a file has no partner.
    """
    predictions, references = Path(predictions), Path(references)
    for path in (predictions, references):
        if not path.exists():
            raise InputError(f"There is no file or folder '{path}'.")
    if predictions.is_dir() != references.is_dir():
        folder, file = (predictions, references) if predictions.is_dir() else (references, predictions)
        raise InputError(f"'{folder}' is a folder, but '{file}' is a file: give two files or two folders.")
    if not predictions.is_dir():
        return (Case(images.bare_name(predictions), predictions, references),)
    ours, theirs = images.images_in(predictions), images.images_in(references)
    for folder, files in ((predictions, ours), (references, theirs)):
        if not files:
            raise InputError(f"There are no cases in '{folder}': no file there ends in {', '.join(images.SUFFIXES)}.")
    lonely = [
        f"'{folder}' has no {_some(sorted(names))}"
        for folder, names in ((predictions, theirs.keys() - ours.keys()), (references, ours.keys() - theirs.keys()))
        if names
    ]
    if lonely:
        raise InputError(f"Every case needs a file of the same name in both folders: {'; '.join(lonely)}.")
    return tuple(Case(name, ours[name], theirs[name]) for name in sorted(ours))


def evaluate_cases(
    cases: Sequence[Case],
    *,
    mapping: str | None = None,
    structures: Sequence[Structure] | None = None,
    surfaces: bool = True,
) -> Generator[Event, None, CaseReports]:
    """Read and compare `cases` one by one (`report.evaluate`), with a `Progress` event after each.

    Parameters
    ----------
    mapping
        As for `evaluate`, or ``"auto"``: to the 27 structures if the references are plainly FreeSurfer's asegs.
    structures, surfaces
        As for `evaluate`. Where values are scored as they are, they are named by all references together. A case of
        several in which neither volume has any is reported without scores.

    Raises
    ------
    InputError, SpaceError
        As for `images.read_labels` and `evaluate`, naming the case; or there are no cases; or some references are
        asegs and others not, and `mapping` is "auto".
    """
    if not cases:
        raise InputError("There are no cases to evaluate.")
    reports: dict[str, Report] = {}
    chosen, decided = (None, None) if mapping == AUTO_MAPPING else (mapping, cases[0])
    queue = list(cases)
    for place, case in enumerate(queue):
        prediction, reference = images.read_labels(case.prediction), images.read_labels(case.reference)
        if mapping == AUTO_MAPPING and decided is None and not reference.data.any() and place < len(cases):
            queue.append(case)  # what its prediction is mapped to, the other references say
            continue
        if mapping == AUTO_MAPPING and reference.data.any():
            own = _automatic(reference)
            if decided is not None and own != chosen:
                aseg, other = (case, decided) if own else (decided, case)
                raise InputError(
                    f"'{aseg.reference}' is FreeSurfer's aseg, but '{other.reference}' is not: say whether all are to "
                    f"be mapped to the 27 structures ('{FREESURFER27_MAPPING}') or none."
                )
            chosen, decided = own, case
        try:
            report = evaluate(
                prediction,
                reference,
                mapping=chosen,
                structures=structures,
                surfaces=surfaces,
                may_be_empty=len(cases) > 1,
            )
        except ScseError as error:
            raise type(error)(f"'{case.prediction}' cannot be compared with '{case.reference}': {error}") from error
        reports[case.name] = report
        yield Progress(len(reports), len(cases), f"Evaluating {case.name}")
    if not any(report.scores for report in reports.values()):
        raise InputError("There is nothing to compare: no volume has any of the structures.")
    reports = {case.name: reports[case.name] for case in cases}
    if structures is None and chosen is None:
        reports = _renamed(reports)
    return CaseReports(reports, chosen)


def _automatic(reference: LabelVolume) -> str | None:
    return FREESURFER27_MAPPING if is_plainly_aseg(reference) else None


def _renamed(reports: Mapping[str, Report]) -> dict[str, Report]:
    """The same reports, in which a value has one name: the one it gets in view of all references."""
    scores = [score for report in reports.values() for score in report.scores]
    references = {score.value for score in scores if score.reference_mm3}
    names = {s.value: s.name for s in name_structures([score.value for score in scores], references)}
    return {
        case: replace(report, scores=tuple(replace(score, name=names[score.value]) for score in report.scores))
        for case, report in reports.items()
    }


def _some(names: Sequence[str]) -> str:
    """`names` in words, at most a few of them."""
    rest = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {rest} more" if rest > 0 else "")


def _count(names: Mapping[int, str], cases: Mapping[int, int]) -> str:
    return ", ".join(f"{names[value]} ({value}) in {cases[value]}" for value in sorted(names) if cases[value])
