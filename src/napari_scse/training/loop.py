"""The training loop."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from napari_scse.dataset import epoch_batches
from napari_scse.errors import DeviceError, InputError, RunError
from napari_scse.events import EpochDone, Event, Message, Progress, StepDone
from napari_scse.execution import choose_device, is_out_of_memory
from napari_scse.losses import median_frequency_weights
from napari_scse.nn.architectures import NetworkConfig, build_network
from napari_scse.runs import Run, RunConfig, create_run, library_versions, make_classes
from napari_scse.runs.weights import load_tensors, load_weights, save_tensors
from napari_scse.sizes import TypicalSize, typical
from napari_scse.structures import Structure
from napari_scse.training.alone import alone
from napari_scse.training.checks import check, first_weights
from napari_scse.training.config import TrainConfig
from napari_scse.training.files import RESUME_STATE, has_epochs
from napari_scse.training.steps import autocasts, make_optimizer, set_rate, take_step, validate, validation_set
from napari_scse.training.stored import save_config
from napari_scse.training.subjects import (
    find_files,
    find_structures,
    make_subject,
    measure_structures,
    split,
)


def train(config: TrainConfig, *, resume: bool = False) -> Generator[Event, None, Run]:
    """Train a network and keep a checkpoint of every epoch.

    Parameters
    ----------
    config
        See `TrainConfig`.
    resume
        Continue the run in `config.out` after its last finished epoch. On the CPU the weights are then bit-equal to
        those of an uninterrupted training (same threads, same configuration).

    Yields
    ------
    Event
        `Progress` while reading, `Message`, `StepDone` and `EpochDone`.

    Raises
    ------
    InputError
        If there is nothing to train on, or pairs do not match.
    RunError
        If the folder already holds a run (without `resume`) or has nothing to resume, or somebody else trains in it.
    """
    check(config, resume=resume)
    with alone(config.out):
        return (yield from _train(config, resume))


def _train(config: TrainConfig, resume: bool) -> Generator[Event, None, Run]:
    device = choose_device(config.device)
    torch.manual_seed(config.seed)
    files = find_files(config)
    structures = find_structures(config, files)
    subjects = []
    for name, paths in files.items():
        subjects.append(make_subject(config, structures, name, paths, device))
        yield Progress(len(subjects), len(files), "reading")
    learners, held_back = split(subjects, config.validation)
    network_config = _network_config(config, len(structures) + 1)
    network = build_network(network_config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    start = first_weights(config, resume)
    if start is not None:
        same = start.config.classes == make_classes(structures)
        file = start.checkpoint(start.last_epoch)
        load_weights(network, file, keep=None if same else "classifier", leave="held")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = config.norm_momentum
    optimizer = make_optimizer(config, network)
    validation = validation_set(config, held_back)
    if not any(labels.any() for _, labels in validation):
        rows, columns = config.canvas
        raise InputError(f"A canvas of {rows}x{columns} shows no structure of what is held back: choose a larger one.")
    measured = (measure_structures(config, structures, files[s.name]) for s in learners)
    described = _run_config(config, network_config, structures, files, typical(measured))
    if resume:
        run = Run(config.out)
        _require_same_training(run.config, described)
        first = _resume(run, network, optimizer) + 1
    else:
        run = create_run(config.out, described)
        first = 1
    save_config(config)
    counts = zip(*(s.class_pixels() for s in learners), strict=True)
    pixels, where_present = (torch.stack(parts).sum(0) for parts in counts)
    weights = median_frequency_weights(pixels, where_present, config.weight_power, config.weight_limit).to(device)
    steps = math.ceil(config.slices / config.batch)
    autocast = autocasts(config.precision, device)
    yield Message(
        f"Training on {', '.join(s.name for s in learners) if len(learners) < 4 else f'{len(learners)} subjects'}, "
        f"validating on {', '.join(s.name for s in held_back)}; "
        f"{'bfloat16' if autocast else 'float32'} on {device}."
    )
    converged = f"The validation loss has not fallen for {config.patience} epochs: done."
    if config.patience is not None and _converged(run, config.patience):  # before it was resumed
        yield Message(converged)
        return run
    for epoch in range(first, config.epochs + 1):
        started = time.monotonic()
        total = torch.zeros((), device=device)
        count = 0
        for images, labels in epoch_batches(learners, config.slices, config.batch, config.seed, epoch, device):
            set_rate(optimizer, config, (epoch - 1) * steps + count, steps)
            with _memory(config, device):
                loss = take_step(network, optimizer, images, labels, weights, config, autocast)
            total += loss
            count += 1
            yield StepDone(epoch, count, steps, float(loss))
        mean_loss = float(total) / count
        if not math.isfinite(mean_loss):
            raise RunError(f"The loss is no longer a number in epoch {epoch}; a smaller --learning-rate may help.")
        with _memory(config, device):
            scores = validate(network, validation, weights, config, autocast, device)
        seconds = time.monotonic() - started
        by_name = {run.config.classes[index].name: round(dice, 4) for index, dice in scores.by_class.items()}
        metrics = {"loss": mean_loss, "validation_loss": scores.loss, "validation_dice": scores.dice}
        if epoch == 1:  # before its checkpoint: without a state, there is no going on from that
            _save_resume_state(run, optimizer, epoch)
        run.save_epoch(epoch, network, metrics | {"seconds": round(seconds, 1), "structures": by_name})
        if epoch > 1:
            _save_resume_state(run, optimizer, epoch)
        yield EpochDone(epoch, config.epochs, mean_loss, scores.dice, seconds, scores.loss, by_name)
        if config.patience is not None and _converged(run, config.patience):
            yield Message(converged)
            break
    return run


@contextmanager
def _memory(config: TrainConfig, device: torch.device) -> Iterator[None]:
    """Say in a sentence that memory ran out."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        rows, columns = config.canvas
        raise DeviceError(
            f"The memory of {device} does not suffice for {config.batch} slices of {rows} x {columns} at a time: "
            "choose a smaller batch or canvas, or close other programs that use it."
        ) from error


def _network_config(config: TrainConfig, classes: int) -> NetworkConfig:
    return dataclasses.replace(config.network, classes=classes, in_channels=2 * config.neighbours + 1)


def _run_config(
    config: TrainConfig,
    network: NetworkConfig,
    structures: tuple[Structure, ...],
    files: dict[str, tuple[Path, ...]],
    sizes: dict[int, TypicalSize],
) -> RunConfig:
    return RunConfig(
        name=config.name or config.out.resolve().name,
        network=network,
        classes=make_classes(structures),
        plane=config.plane,
        spacing=config.spacing,
        canvas=config.canvas,
        neighbours=config.neighbours,
        intensity=config.intensity,
        sizes=sizes,
        training=config.recorded(),
        command=config.command,
        versions=library_versions(),
        data=_hashes(files),
    )


def _hashes(files: dict[str, tuple[Path, ...]]) -> dict[str, str]:
    """File name → SHA-256; a scan and its labels may have one name, so theirs say which of the two they are."""
    named: dict[str, Path] = {}
    for paths in files.values():
        folders = ("",) if len(paths) == 1 else ("images/", "labels/")
        named |= {folder + path.name: path for folder, path in zip(folders, paths, strict=True)}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in named.items()}


def _require_same_training(old: RunConfig, new: RunConfig) -> None:
    """A run is resumed with the configuration and the data it was begun with; only the device may change.

    The run that its weights came from may be called otherwise, and even be gone, by then.
    """
    free = {"device", "patience", "init"} | ({"epochs"} if new.training["schedule"] == "step" else set())
    # an option of synthesis that there was not then has the value that changes nothing
    usual = TrainConfig(Path(), new.network).recorded()["synthesis"]
    before = {**old.training, "synthesis": {**usual, **old.training.get("synthesis", {})}}
    keys = (before.keys() | new.training.keys()) - free
    differ = sorted(k for k in keys if before.get(k) != new.training.get(k))
    differ += [k for k in ("network", "classes", "data", "intensity") if getattr(old, k) != getattr(new, k)]
    if differ:
        raise RunError(f"The run {old.name} was begun with another {', '.join(differ)}; resume it with the same.")


def _save_resume_state(run: Run, optimizer: torch.optim.Optimizer, epoch: int) -> None:
    state = optimizer.state_dict()["state"].items()
    tensors = {f"{i}.{k}": torch.as_tensor(v) for i, values in state for k, v in values.items() if v is not None}
    save_tensors(run.path / RESUME_STATE, tensors | {"epoch": torch.tensor(epoch)})


def _resume(run: Run, network: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Put network and optimiser back to the end of the last finished epoch; return its number, or 0."""
    if not has_epochs(run.path) or not run.metrics():  # the first epoch was not written to its end
        return 0
    tensors = load_tensors(run.path / RESUME_STATE)
    epoch = int(tensors.pop("epoch"))
    load_weights(network, run.checkpoint(epoch))
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return epoch


def _converged(run: Run, patience: int) -> bool:
    losses = [m["validation_loss"] for m in run.metrics()]
    return len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience])
