"""`napari-scse train`: train a run, one checkpoint per epoch."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_scse.cli.console import say
from napari_scse.cli.options import Device, SynthesisChanges

if TYPE_CHECKING:
    from napari_scse.events import Event
    from napari_scse.runs import Run
    from napari_scse.training import TrainConfig


_WITH_CONFIG = {"config", "out", "device", "resume", "events"}  # what can be said beside a whole configuration


def train(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option(metavar="RUN", show_default=False, help="The run's folder; needed without --config.")
    ] = None,
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            show_default=False,
            help="A whole configuration (the train.json of a training), instead of the options below.",
        ),
    ] = None,
    images: Annotated[Path | None, typer.Option(metavar="DIR", show_default=False, help="Scans …")] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="DIR", show_default=False, help="… and their labels, of the same names.")
    ] = None,
    label_maps: Annotated[
        Path | None,
        typer.Option(metavar="DIR", show_default=False, help="Whole-head label maps instead: scans are synthesised."),
    ] = None,
    network: Annotated[
        str, typer.Option(metavar="u-net|sd-net|fc-densenet|relaynet", help="The network.")
    ] = "fc-densenet",
    preset: Annotated[str, typer.Option(metavar="paper-count|paper-text", help="Its layout.")] = "paper-count",
    se: Annotated[str, typer.Option(metavar="none|cse|sse|scse", help="The squeeze & excitation variant.")] = "scse",
    aggregation: Annotated[
        str, typer.Option(metavar="max|add|multiply|concatenate", help="How scSE joins its two gates.")
    ] = "max",
    position: Annotated[str, typer.Option(metavar="P1…P6", help="Where the excitations stand.")] = "P5",
    reduction: Annotated[int, typer.Option(min=1, help="r of the channel gates.")] = 2,
    skip: Annotated[int, typer.Option(metavar="1|2", help="Skips after (1) or before (2) recalibration.")] = 1,
    maps: Annotated[int, typer.Option(min=1, help="Maps per block.")] = 64,
    plane: Annotated[str, typer.Option(metavar="coronal|axial|sagittal", help="How scans are sliced.")] = "coronal",
    spacing: Annotated[float, typer.Option(min=0.01, metavar="MM", help="Voxel size the network works at.")] = 1.0,
    canvas: Annotated[
        str, typer.Option(metavar="ROWSxCOLUMNS", help="Size of the slices it is trained on.")
    ] = "256x256",
    init: Annotated[
        str, typer.Option(metavar="NAME|DIR", show_default=False, help="Start from the last weights of this run.")
    ] = "",
    neighbours: Annotated[int, typer.Option(min=0, help="Slices seen on each side of the one to label.")] = 0,
    synthesis: SynthesisChanges = "",
    epochs: Annotated[int, typer.Option(min=1)] = 30,
    slices: Annotated[int, typer.Option(min=1, help="Slices per epoch.")] = 2000,
    batch: Annotated[int, typer.Option(min=1, help="Slices per step.")] = 4,
    optimizer: Annotated[str, typer.Option(metavar="sgd|adamw")] = "sgd",
    schedule: Annotated[str, typer.Option(metavar="step|one-cycle", help="step: × 0.1 every 10 epochs.")] = "step",
    learning_rate: Annotated[float, typer.Option(min=0.0)] = 0.01,
    momentum: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of SGD.")] = 0.95,
    weight_decay: Annotated[float, typer.Option(min=0.0)] = 1e-4,
    norm_momentum: Annotated[float, typer.Option(help="Of the batch-norm statistics that inference uses.")] = 0.1,
    clip_gradient: Annotated[float | None, typer.Option(metavar="NORM", show_default=False)] = None,
    dice_weight: Annotated[float, typer.Option(min=0.0, help="Of a Dice loss beside the logistic one.")] = 0.0,
    weight_power: Annotated[float, typer.Option(help="Exponent of the median-frequency weights.")] = 1.0,
    weight_limit: Annotated[float | None, typer.Option(show_default=False, help="Largest class weight.")] = None,
    precision: Annotated[str, typer.Option(metavar="auto|float32|bfloat16")] = "auto",
    validation: Annotated[
        str, typer.Option(metavar="NAME,NAME…", show_default=False, help="Subjects held back; default: the last fifth.")
    ] = "",
    patience: Annotated[
        int | None, typer.Option(metavar="EPOCHS", help="Stop when the validation loss has not fallen for so long.")
    ] = 10,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Continue after the last finished epoch.")] = False,
    events: Annotated[
        str | None,
        typer.Option(
            metavar="jsonl|FILE.jsonl",
            show_default=False,
            help="One JSON object per event, on stdout or appended to a file. A training among your runs can be looked "
            "after from napari if the file is events.jsonl in its folder.",
        ),
    ] = None,
) -> None:
    """Train a network: one checkpoint per epoch."""
    from napari_scse.errors import InputError
    from napari_scse.nn.architectures import NetworkConfig
    from napari_scse.slices import Plane
    from napari_scse.synthesis import SynthesisConfig
    from napari_scse.training import TrainConfig

    if events not in (None, "jsonl") and Path(events or "").suffix != ".jsonl":
        raise InputError(f"--events is jsonl, or a file whose name ends in .jsonl; got {events!r}.")
    if config_file is not None:
        _run(_stored(context, config_file, out, device), resume, events)
        return
    if out is None:
        raise InputError("Say with --out where the run is to be written, or give --config.")
    if plane not in list(Plane):
        raise InputError(f"--plane must be one of {', '.join(Plane)}; got {plane!r}.")
    layout = {
        "excitation": se,
        "aggregation": aggregation,
        "position": position,
        "reduction": reduction,
        "skip": skip,
        "maps": maps,
    }
    config = TrainConfig(
        out=out,
        network=NetworkConfig.preset(network, preset, **layout),
        images=images,
        labels=labels,
        label_maps=label_maps,
        plane=Plane(plane),
        spacing=(spacing, spacing, spacing),
        canvas=_canvas(canvas),
        neighbours=neighbours,
        init=init,
        synthesis=SynthesisConfig.parse(synthesis),
        epochs=epochs,
        slices=slices,
        batch=batch,
        optimizer=optimizer,
        schedule=schedule,
        learning_rate=learning_rate,
        momentum=momentum,
        weight_decay=weight_decay,
        norm_momentum=norm_momentum,
        clip_gradient=clip_gradient,
        dice_weight=dice_weight,
        weight_power=weight_power,
        weight_limit=weight_limit,
        precision=precision,
        validation=tuple(name for name in validation.split(",") if name),
        patience=patience,
        seed=seed,
        device=device,
        command=shlex.join(["napari-scse", *sys.argv[1:]]),
    )
    _run(config, resume, events)


def _stored(context: typer.Context, file: Path, out: Path | None, device: str) -> TrainConfig:
    """Read a configuration; other options beside it would be left unheard, so they are refused."""
    from dataclasses import replace

    from napari_scse.errors import InputError
    from napari_scse.training import load_config

    given = {name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")}
    others = sorted(given - _WITH_CONFIG - {"config_file"})
    if others:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in others)
        raise InputError(f"With --config, everything is in the file: leave {options} out, or change {file}.")
    config = load_config(file, out)
    command = config.command or f"napari-scse train --config {file.name}"
    return replace(config, command=command, device=device if "device" in given else config.device)


def _run(config: TrainConfig, resume: bool, events: str | None) -> None:
    from napari_scse.execution import tune_allocator
    from napari_scse.training import check
    from napari_scse.training import train as learn
    from napari_scse.training.process import require_idle

    tune_allocator()
    require_idle(config.out)
    work = learn(config, resume=resume)
    if events is None:
        run = _show(work, config.epochs)
        say(f"{run.path}: {len(run.epochs)} epochs, the best is {run.best_epoch}.")
    elif events == "jsonl":
        _tell(work)
    else:
        check(config, resume=resume)
        _record(work, config.out, Path(events))


def _canvas(text: str) -> tuple[int, int]:
    from napari_scse.errors import InputError

    rows, _, columns = text.lower().partition("x")
    if not (rows.isdigit() and columns.isdigit()):
        raise InputError(f"--canvas is written as ROWSxCOLUMNS, for example 160x160; got {text!r}.")
    return int(rows), int(columns)


def _tell(work: Generator[Event, None, Run]) -> None:
    """Print every event as one line of JSON: ``{"event": "EpochDone", "epoch": 1, …}``."""
    from napari_scse.events import drain
    from napari_scse.training.record import to_line

    with closing(work):
        drain(work, lambda event: print(to_line(event), flush=True))


def _record(work: Generator[Event, None, Run], folder: Path, file: Path) -> None:
    """Append every event to `file`, and do as the control file in `folder` asks."""
    from napari_scse.events import drain
    from napari_scse.training.control import attended
    from napari_scse.training.process import claim
    from napari_scse.training.record import Recorder

    for place in (folder, file.parent):
        place.mkdir(parents=True, exist_ok=True)
    with closing(attended(work, folder)) as guided, Recorder(file) as recorder:
        recorder.write(claim(folder))
        drain(guided, recorder.write)


def _show(work: Generator[Event, None, Run], epochs: int) -> Run:
    """Draw a bar for the running epoch (on a terminal) and print one line per finished epoch on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from napari_scse.events import EpochDone, Message, StepDone, drain
    from napari_scse.events import Progress as Reading

    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    bar = Progress(*columns, *times, console=console, transient=True, disable=not console.is_terminal)
    with closing(work), bar:
        task = bar.add_task("Reading", total=None, note="")

        def show(event: Event) -> None:
            if isinstance(event, Reading):
                bar.update(task, completed=event.done, total=event.total)
            elif isinstance(event, StepDone):
                heading, note = f"Epoch {event.epoch} of {epochs}", f"loss {event.loss:.3f}"
                bar.update(task, description=heading, completed=event.step, total=event.steps, note=note)
            elif isinstance(event, EpochDone):
                console.print(
                    f"epoch {event.epoch}: loss {event.loss:.4f}, validation Dice {event.validation_dice:.4f}, "
                    f"{event.seconds:.0f} s"
                )
            elif isinstance(event, Message):
                console.print(event.text)

        return drain(work, show)
