"""Teach a run with strokes: `refine` returns a network that has learnt them; `keeping` makes a run of it."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import torch

from napari_scse.errors import InputError
from napari_scse.events import Event, Message, Progress, StepDone
from napari_scse.execution import Executor, choose_device
from napari_scse.inference import Location, Scan, locate
from napari_scse.inference.labelling import sees_both_sides
from napari_scse.nn.architectures import EncoderDecoder
from napari_scse.refinement.config import RefineConfig
from napari_scse.refinement.judging import judge, remarks
from napari_scse.refinement.learning import Learner, order
from napari_scse.refinement.lessons import Lesson, other_lessons, painted_lessons, partners
from napari_scse.refinement.strokes import Placed, Strokes, place
from napari_scse.runs import Run
from napari_scse.runs.registry import sha256_of
from napari_scse.volume import Volume

FEW = 20  # painted voxels: with fewer the user is told


@dataclass(frozen=True, eq=False)
class Refined:
    """What `refine` returns.

    Attributes
    ----------
    network
        The network that has learnt: float32, evaluation mode, on the CPU.
    run, epoch, checkpoint
        The run it was copied from, the epoch, and the SHA-256 of that epoch's file.
    config
        How it was taught.
    rounds
        How many times it was taught, one after the other.
    strokes
        Label value → painted voxels.
    right_before, right_after
        Share of the painted voxels (as the run sees them) that are labelled as painted, before this round and after.
    loss
        On the painted voxels, of each step.
    seconds
        What it took.
    messages
        What the user was told.
    location
        Where the run's structures lie.
    """

    network: EncoderDecoder
    run: Run
    epoch: int
    checkpoint: str
    config: RefineConfig
    rounds: int
    strokes: Mapping[int, int]
    right_before: float
    right_after: float
    loss: tuple[float, ...]
    seconds: float
    messages: tuple[str, ...]
    location: Location


def refine(
    volume: Volume,
    run: Run,
    strokes: Strokes,
    *,
    epoch: int | str = "best",
    start: Refined | None = None,
    config: RefineConfig | None = None,
    scan: Scan | None = None,
    location: Location | None = None,
    device: str | torch.device = "auto",
) -> Generator[Event, None, Refined]:
    """Teach a copy of a run's network with strokes; to cancel, stop iterating and close the generator.

    Parameters
    ----------
    volume
        What the strokes were painted on.
    run
        Whose network learns; nothing of it is changed.
    strokes
        On the volume's grid: all that were painted so far, those of earlier rounds too.
    epoch
        A number, ``"best"`` or ``"last"``.
    start
        An earlier round to go on from, of the same run and epoch; None: begin with the run's own weights. What is not
        painted is held to what its decoders say that learnt so far.
    config
        See `RefineConfig`; None: the defaults.
    scan, location
        The volume laid out for the run, and where its structures lie, if that is known already: it saves seconds.
    device
        See `execution`.

    Yields
    ------
    Progress
        While the structures are located, and slices without strokes are looked at.
    StepDone
        One for each step; its loss is that on the painted voxels.
    Message
        Sentences for the user.

    Raises
    ------
    InputError
        The strokes have another shape than the volume, none is painted, or one is of a structure unknown to the run;
        `start` is of another run.
    RunError, DeviceError
        The run has no such epoch; the loss is not a number; the device is not there or too small.
    """
    began = time.monotonic()
    config = config or RefineConfig()
    number = run.resolve_epoch(epoch)
    if start is not None and (start.run.path, start.epoch) != (run.path, number):
        raise InputError(f"A round can only go on from one of {run.name}, epoch {number}, not of {start.run.name}.")
    device = choose_device(device)
    strokes.class_indices(run.config)  # refused before the seconds that laying the volume out takes
    scan = scan or Scan.of(volume, run.config)
    placed = place(strokes, run.config, scan.geometry, scan.conformation)
    if not len(placed.classes):
        raise InputError("Nothing is left of the strokes: voxels that are one to the run were painted differently.")
    messages = _on_strokes(placed)
    yield from map(Message, messages)
    network = run.network(number) if start is None else start.network
    if location is None:
        with Executor(network, device, "bfloat16" if config.in_bfloat16(device) else "float32") as executor:
            location = yield from locate(scan, executor)
    learner = Learner(network, config, device)
    taught = list(painted_lessons(scan, location, placed))
    others = list(other_lessons(scan, location, placed, config.others))
    for done, lesson in enumerate(others, start=1):
        learner.remember(lesson)
        yield Progress(done, len(others), "looking")
    losses: list[float] = []
    for lessons in order(config, _both_sides(scan, taught), others, learner.present(others)):
        losses.append(learner.take_step(lessons, len(losses)))
        yield StepDone(1, len(losses), config.steps, losses[-1])
    learner.settle()
    judgement = judge(learner, taught)
    for text in remarks(run.config.classes, judgement):
        messages.append(text)
        yield Message(text)
    return Refined(
        network=learner.result(judgement.taught),
        run=run,
        epoch=number,
        checkpoint=sha256_of(run.checkpoint(number)),
        config=config,
        rounds=1 if start is None else start.rounds + 1,
        strokes=strokes.counts(),
        right_before=judgement.share(judgement.before),
        right_after=judgement.share(judgement.after),
        loss=tuple(losses),
        seconds=time.monotonic() - began,
        messages=tuple(messages),
        location=location,
    )


def _both_sides(scan: Scan, lessons: Sequence[Lesson]) -> list[Lesson]:
    """The lessons and their mirror images, where a slice shows both sides and the run knows left from right."""
    sides = partners(scan)
    return [*lessons, *(lesson.mirrored(sides) for lesson in lessons)] if sees_both_sides(scan.config) else [*lessons]


def _on_strokes(placed: Placed) -> list[str]:
    """Sentences on strokes that will not teach much."""
    remarks = []
    if len(placed.classes) < FEW:
        remarks.append(
            f"Only {len(placed.classes)} voxels are painted: a few strokes of {FEW} voxels or more, on several slices, "
            "teach much more."
        )
    if placed.contested:
        remarks.append(
            f"{placed.contested} voxels of the run's grid are painted with different labels, none of which has more; "
            "they were left out."
        )
    return remarks
