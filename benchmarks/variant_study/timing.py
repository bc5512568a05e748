"""How long a training step takes: the runs take turns, so that what else the machine does falls on all alike."""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from napari_scse.errors import InputError
from napari_scse.evaluation.tables import write_table
from napari_scse.execution import choose_device
from napari_scse.nn.architectures import build_network
from napari_scse.runs import Run
from napari_scse.training.config import TrainConfig
from napari_scse.training.steps import autocasts, make_optimizer, take_step
from variant_study.gains import PLAIN

STEPS = 3  # in a row, of which the fastest counts


@dataclass(frozen=True)
class Turn:
    """What a run took for a step in one round: milliseconds, at the precision and on the device given."""

    network: str
    variant: str
    round: int
    precision: str
    device: str
    threads: int
    milliseconds: float


_COLUMNS = tuple(field.name for field in fields(Turn))


def take_turns(
    runs: Sequence[Run], rounds: int, precision: str, device: str, say: Callable[[str], None] = print
) -> list[Turn]:
    """Train new networks, laid out and trained as those of `runs` were, on random slices of their size."""
    place = choose_device(device)
    chosen = {(run.config.network.kind, str(run.config.network.excitation)): run for run in reversed(runs)}
    steps = {key: _make_step(chosen[key], precision, place) for key in sorted(chosen)}
    for step in steps.values():
        step()
    name = "bfloat16" if autocasts(precision, place) else "float32"
    turns = []
    for number in range(1, rounds + 1):
        for (network, variant), step in steps.items():
            taken = round(min(step() for _ in range(STEPS)), 1)
            turns.append(Turn(network, variant, number, name, place.type, torch.get_num_threads(), taken))
        say(f"round {number} of {rounds}")
    return turns


def _make_step(run: Run, precision: str, device: torch.device) -> Callable[[], float]:
    """A function that trains a network like that of `run` for one step, and returns the milliseconds it took."""
    config, training = run.config, run.config.training
    options = TrainConfig(
        out=run.path,
        network=config.network,
        precision=precision,
        **{name: training[name] for name in ("batch", "optimizer", "clip_gradient", "dice_weight")},
    )
    network = build_network(config.network).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(options, network)
    images = torch.rand(options.batch, config.network.in_channels, *config.canvas, device=device)
    labels = torch.randint(config.network.classes, (options.batch, *config.canvas), device=device)
    weights = torch.ones(config.network.classes, device=device)
    autocast = autocasts(precision, device)

    def step() -> float:
        started = time.perf_counter()
        loss: Tensor = take_step(network, optimizer, images, labels, weights, options, autocast)
        loss.item()  # waits for the device
        return 1000 * (time.perf_counter() - started)

    return step


@dataclass(frozen=True)
class StepTime:
    """Medians over the rounds: milliseconds, and how much longer than none in percent, round by round."""

    milliseconds: float
    percent: float


def step_times(turns: Sequence[Turn]) -> dict[tuple[str, str], StepTime]:
    """(network, variant) → what a step takes; the percentages of networks without a plain run are NaN."""
    taken: dict[tuple[str, str], dict[int, float]] = {}
    for turn in turns:
        taken.setdefault((turn.network, turn.variant), {})[turn.round] = turn.milliseconds
    times = {}
    for (network, variant), own in taken.items():
        plain = taken.get((network, PLAIN), {})
        ratios = [100 * (own[number] / plain[number] - 1) for number in own.keys() & plain.keys()]
        percent = statistics.median(ratios) if ratios else float("nan")
        times[network, variant] = StepTime(statistics.median(own.values()), percent)
    return times


def write_turns(path: Path, turns: Sequence[Turn]) -> None:
    """Write the table, whole or not at all."""
    write_table(path, _COLUMNS, [[getattr(turn, name) for name in _COLUMNS] for turn in turns])


def read_turns(path: Path) -> list[Turn]:
    """Read what `write_turns` wrote; nothing if there is no such file.

    Raises
    ------
    InputError
        It is another kind of table.
    """
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        try:
            if tuple(next(reader)) != _COLUMNS:
                raise ValueError("other columns")
            return [
                Turn(network, variant, int(number), precision, device, int(threads), float(taken))
                for network, variant, number, precision, device, threads, taken in reader
            ]
        except (ValueError, StopIteration) as error:
            raise InputError(f"{path} is not a table of step times: give another file, or remove it.") from error
