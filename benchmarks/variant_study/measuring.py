"""Label every case with every run and judge the labels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from napari_scse import images
from napari_scse.evaluation import FREESURFER27_MAPPING, StructureScore, evaluate
from napari_scse.events import drain
from napari_scse.inference import segment
from napari_scse.runs import Run
from napari_scse.structures import FREESURFER27
from variant_study.cases import Case
from variant_study.runs import describe
from variant_study.scores import Key, Options, Scored, require_one_study

_DECIMALS = {"dice": 6, "volume_similarity": 6, "assd_mm": 4, "hd95_mm": 4, "prediction_mm3": 2, "reference_mm3": 2}


@dataclass(frozen=True)
class Measuring:
    """What is measured and how: runs × cases, with the weights of `epoch`, on `device`; `say` is told how it goes."""

    runs: Sequence[Run]
    cases: Sequence[Case]
    epoch: str
    options: Options
    device: str = "auto"
    say: Callable[[str], None] = print

    def go_on(self, scored: Sequence[Scored]) -> Iterator[list[Scored]]:
        """Fill in what `scored` lacks, run by run; yields the whole table after every case.

        Rows without surface distances are made anew where those are asked for.

        Raises
        ------
        InputError
            The rows that are there and those to come cannot stand in one table (`require_one_study`).
        """
        table = {_place(one.key): one for one in scored}
        facts = {run.path.name: describe(run, self.epoch) for run in self.runs}
        described = {case.name: case.describe() for case in self.cases}
        planned = {
            Key(facts[run.path.name], self.options, described[case.name]): (run, case)
            for run in self.runs
            for case in self.cases
        }
        require_one_study([*(one.key for one in scored), *planned])
        todo = {key: pair for key, pair in planned.items() if not _is_there(key, table)}
        self.say(f"{len(todo)} of {len(planned)} to do")
        for number, (key, (run, case)) in enumerate(todo.items(), start=1):
            started = time.monotonic()
            one = Scored(key, self._label(run, key.trained.epoch, case))
            table[_place(key)] = one
            yield list(table.values())
            mean = sum(score.dice for score in one.scores) / len(one.scores)
            spent = time.monotonic() - started
            self.say(f"{number} of {len(todo)}: {run.path.name}, {case.name}: Dice {mean:.4f}, {spent:.0f} s")

    def _label(self, run: Run, epoch: int, case: Case) -> tuple[StructureScore, ...]:
        found = drain(
            segment(
                images.read(case.scan),
                run,
                epoch=epoch,
                device=self.device,
                precision=self.options.precision,
                mirror=self.options.mirror,
            )
        )
        for message in found.messages:
            self.say(message)
        report = evaluate(
            found.labels,
            images.read_labels(case.labels),
            mapping=FREESURFER27_MAPPING,
            structures=FREESURFER27,
            surfaces=self.options.surfaces,
        )
        return tuple(
            replace(score, **{name: round(getattr(score, name), n) for name, n in _DECIMALS.items()})
            for score in report.scores
        )


def _place(key: Key) -> tuple[str, str]:
    return key.trained.run, key.scan.case


def _is_there(key: Key, table: Mapping[tuple[str, str], Scored]) -> bool:
    """Whether the table has this row, with surface distances if those are asked for."""
    held = table.get(_place(key))
    return held is not None and held.key.options.surfaces >= key.options.surfaces
