"""Teach a case in rounds and judge it on slices that nobody painted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from napari_scse.events import drain
from napari_scse.execution import Executor
from napari_scse.inference import Location, Scan, locate
from napari_scse.metrics import overlaps
from napari_scse.refinement import RefineConfig, Refined, Strokes, refine
from napari_scse.runs.registry import sha256_of
from napari_scse.slices import cut
from napari_scse.volume import LabelVolume
from refine_study.cases import Case
from refine_study.labelling import judged, label
from refine_study.rows import Row
from refine_study.user import User, paint, painted_slices

Labels = Mapping[int, np.ndarray]


@dataclass(frozen=True)
class Options:
    """How cases are taught and judged; see `Row`. With `again`, each round begins with the run's own weights."""

    config: RefineConfig
    rounds: int
    every: int
    seed: int
    precision: str
    device: torch.device
    again: bool = False
    user: User = field(default_factory=User)

    def step(self, case: Case) -> int:
        """Every so-manieth slice of the case is labelled."""
        return 1 if case.few else self.every

    @property
    def settings(self) -> str:
        """What the table keeps of how cases are taught."""
        told = self.config.recorded() | {"again": self.again, "slices": self.user.slices, "strokes": self.user.strokes}
        return json.dumps(told, sort_keys=True)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A case laid out for its run, and what the run makes of the judged slices."""

    case: Case
    scan: Scan
    location: Location
    numbers: Sequence[int]
    labels: Labels
    truth: np.ndarray

    @classmethod
    def of(cls, case: Case, options: Options) -> Prepared:
        """Lay a case out and label the slices that are judged."""
        scan, network = Scan.of(case.scan, case.run.config), case.run.network()
        with Executor(network, options.device, options.precision) as executor:
            location = drain(locate(scan, executor))
        numbers = judged(scan, location, options.step(case), case.first)
        labels = label(network, scan, location, numbers, options.device, options.precision)
        return cls(case, scan, location, numbers, labels, cut(case.reference, case.run.config.plane).data)

    def as_seen(self, labels: Labels) -> np.ndarray:
        """The volume as the user sees it; slices that are not judged are the reference's: nothing to paint there."""
        stack = self.truth.copy()
        for number, plane in labels.items():
            stack[number] = plane
        return np.ascontiguousarray(self.scan.geometry.restore(stack))


def measure(case: Case, options: Options, say: Callable[[str], None]) -> Iterator[Row]:
    """Rows of all rounds."""
    prepared = Prepared.of(case, options)
    strokes: Strokes | None = None
    refined: Refined | None = None
    labels = prepared.labels
    for number in range(1, options.rounds + 1):
        seen = prepared.as_seen(labels)
        plane = case.run.config.plane
        strokes = paint(options.user, seen, case.reference, plane, strokes, options.seed + number)
        if set(prepared.numbers) <= set(painted_slices(strokes, prepared.scan.geometry)):
            say(f"{case.name}, round {number}: every slice has strokes, none is left to be judged")
            return
        clock, cpu = time.monotonic(), time.process_time()
        refined = drain(
            refine(
                case.scan,
                case.run,
                strokes,
                start=None if options.again else refined,
                config=options.config,
                scan=prepared.scan,
                location=prepared.location,
                device=options.device,
            )
        )
        spent = time.monotonic() - clock, time.process_time() - cpu
        labels = label(
            refined.network, prepared.scan, prepared.location, prepared.numbers, options.device, options.precision
        )
        rows = list(judge(prepared, options, strokes, refined, labels, number, spent))
        changes = [row.change for row in rows if np.isfinite(row.change)]
        worst = min(rows, key=lambda row: row.change if np.isfinite(row.change) else 0.0)
        say(
            f"{case.name}, round {number}: {np.mean(changes):+.2f} points on slices without strokes, {worst.name} "
            f"{worst.change:+.2f}; {spent[0]:.0f} s"
        )
        yield from rows


def judge(
    prepared: Prepared,
    options: Options,
    strokes: Strokes,
    refined: Refined,
    labels: Labels,
    number: int,
    spent: tuple[float, float],
) -> Iterator[Row]:
    """One row for each structure."""
    case, geometry = prepared.case, prepared.scan.geometry
    with_strokes = set(painted_slices(strokes, geometry))
    free = [n for n in prepared.numbers if n not in with_strokes]
    before, after = (_dice(which, prepared.truth, free) for which in (prepared.labels, labels))
    painted_in, taught = (_paint_in(which, strokes, case) for which in (prepared.labels, labels))
    whole = [_dice(which, prepared.truth, prepared.numbers) for which in (prepared.labels, painted_in, taught)]
    voxels = {value: int(sum(np.count_nonzero(prepared.truth[n] == value) for n in free)) for value in case.names}
    nan = float("nan")
    for value, name in case.names.items():
        yield Row(
            case=case.name,
            text=case.text,
            run=case.run.name,
            weights=refined.checkpoint[:8],
            settings=options.settings,
            precision=options.precision,
            seed=options.seed,
            every=options.step(case),
            round=number,
            slices=len(with_strokes),
            voxels=int(strokes.painted.sum()),
            right_before=round(refined.right_before, 4),
            right_after=round(refined.right_after, 4),
            seconds=round(spent[0], 1),
            cpu_seconds=round(spent[1], 1),
            structure=value,
            name=name,
            unpainted=len(free),
            reference=voxels[value],
            before=round(before.get(value, nan), 5),
            after=round(after.get(value, nan), 5),
            whole_before=round(whole[0].get(value, nan), 5),
            whole_painted=round(whole[1].get(value, nan), 5),
            whole_after=round(whole[2].get(value, nan), 5),
        )


def weights_of(case: Case) -> str:
    """The start of the SHA-256 of the weights that are taught."""
    return sha256_of(case.run.checkpoint(case.run.resolve_epoch("best")))[:8]


def _dice(labels: Labels, truth: np.ndarray, numbers: Sequence[int]) -> dict[int, float]:
    found = overlaps(np.stack([labels[n] for n in numbers]), np.stack([truth[n] for n in numbers]))
    return {int(value): overlap.dice for value, overlap in found.items() if value and overlap.reference}


def _paint_in(labels: Labels, strokes: Strokes, case: Case) -> Labels:
    plane = case.run.config.plane
    values = cut(LabelVolume(strokes.labels, case.reference.affine), plane).data
    painted = cut(LabelVolume(strokes.painted.astype(np.uint8), case.reference.affine), plane).data > 0
    return {n: np.where(painted[n], values[n], found) for n, found in labels.items()}
