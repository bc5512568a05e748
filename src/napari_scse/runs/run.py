"""A run on disk."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from math import isfinite
from pathlib import Path, PureWindowsPath
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from napari_scse.atomic import write_atomically
from napari_scse.errors import RunError
from napari_scse.nn.architectures import EncoderDecoder, build_network
from napari_scse.runs.config import RunConfig
from napari_scse.runs.registry import require_name
from napari_scse.runs.weights import load_tensors, load_weights, save_tensors


class Run:
    """A run on disk.

    Raises
    ------
    RunError
        If the folder has no readable ``run.json``.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.config = RunConfig.from_dict(_read_json(self.path / "run.json"))

    def __repr__(self) -> str:
        network = self.config.network
        return f"Run({self.name!r}, {network.kind}, {network.excitation}, epochs {list(self.epochs)})"

    @property
    def name(self) -> str:
        """The run's name."""
        return self.config.name

    @property
    def epochs(self) -> tuple[int, ...]:
        """Epochs that have a checkpoint, ascending."""
        found = (re.fullmatch(r"epoch-(\d{4,})\.safetensors", p.name) for p in self.path.iterdir())
        return tuple(sorted(int(match[1]) for match in found if match))

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``, ascending by epoch; empty if there are none."""
        file = self.path / "metrics.jsonl"
        if not file.exists():
            return []
        try:
            lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{file} cannot be read: {error}.") from error
        if not all(isinstance(line, dict) and isinstance(line.get("epoch"), int) for line in lines):
            raise RunError(f"{file} is damaged: each of its lines describes an epoch, and one does not.")
        return lines

    @property
    def last_epoch(self) -> int:
        """The last epoch that has a checkpoint."""
        if not self.epochs:
            raise RunError(f"The run {self.name} has no checkpoint in {self.path}.")
        return self.epochs[-1]

    @property
    def best_epoch(self) -> int:
        """The epoch with the highest validation Dice among those with a checkpoint; the last if none was measured."""
        lines = ((m["epoch"], m.get("validation_dice")) for m in self.metrics())
        scores = {epoch: dice for epoch, dice in lines if isinstance(dice, int | float) and isfinite(dice)}
        measured = [epoch for epoch in self.epochs if epoch in scores]
        return max(measured, key=scores.__getitem__) if measured else self.last_epoch

    def resolve_epoch(self, epoch: int | str = "best") -> int:
        """Turn ``"best"``, ``"last"`` or a number into an epoch that has a checkpoint, or raise `RunError`."""
        if epoch == "best":
            return self.best_epoch
        if epoch == "last":
            return self.last_epoch
        try:
            number = int(epoch)
        except ValueError:
            number = -1
        if number not in self.epochs:
            have = ", ".join(map(str, self.epochs)) or "none"
            raise RunError(f"The run {self.name} has no epoch {epoch!r}; it has {have} (or say best or last).")
        return number

    def checkpoint(self, epoch: int) -> Path:
        """Where the weights of `epoch` are or would be."""
        return self.path / f"epoch-{epoch:04d}.safetensors"

    def network(self, epoch: int | str = "best") -> EncoderDecoder:
        """Build the network with the weights of `epoch`: float32, evaluation mode, on the CPU."""
        number = self.resolve_epoch(epoch)
        network = build_network(self.config.network)
        load_weights(network, self.checkpoint(number))
        return network.eval()

    def save_epoch(self, epoch: int, network: nn.Module, metrics: Mapping[str, Any]) -> None:
        """Write the weights of `epoch`, then its metrics line; both atomically. Later epochs are forgotten."""
        save_tensors(self.checkpoint(epoch), network.state_dict())
        lines = [m for m in self.metrics() if m["epoch"] < epoch] + [{"epoch": epoch, **metrics}]
        write_atomically(self.path / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())


def create_run(path: Path | str, config: RunConfig) -> Run:
    """Make the folder of a new run and write its ``run.json``."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_atomically(path / "run.json", (json.dumps(config.to_dict(), indent=1) + "\n").encode())
    except OSError as error:
        raise RunError(f"The run cannot be written to {path}: {error.strerror or error}.") from error
    return Run(path)


def export_run(
    run: Run,
    path: Path | str,
    epochs: Sequence[int],
    half: bool = True,
    smoothing: tuple[float, float, float] | None = None,
    vote: float | None = None,
) -> Run:
    """Copy a run with some of its epochs, by default with weights in float16 (batch-norm statistics stay float32).

    The copy is called as its folder, which is there when it is complete. What the training read and wrote is named
    without the folders it lay in: nobody else has these. With `smoothing` or `vote` it labels otherwise
    than the run does; see `RunConfig`.

    Raises
    ------
    RunError
        There is something at `path` already, a run cannot be called so, it cannot be written, or there are no `epochs`.
    """
    if not epochs:
        raise RunError(f"{run.name} has no finished epoch yet.")
    path = Path(path).resolve()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RunError(f"{path} exists already; give a new folder.")
    require_name(path.name)
    config = replace(
        run.config,
        name=path.name,
        smoothing=smoothing or run.config.smoothing,
        vote=run.config.vote if vote is None else vote,
        training={name: _bare(value) if name == "init" else value for name, value in run.config.training.items()},
        command=_without_folders(run.config.command),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".exporting-", dir=path.parent, ignore_cleanup_errors=True) as folder:
            exported = create_run(Path(folder) / "run", config)
            _copy(run, exported, sorted(epochs), half)
            if path.exists():
                path.rmdir()
            exported.path.rename(path)
    except OSError as error:
        raise RunError(f"The run cannot be written to {path}: {error.strerror or error}.") from error
    return Run(path)


def _bare(word: Any) -> Any:
    """A word of a command without the folders of the path that it is, if it is one."""
    if not isinstance(word, str) or not {"/", "\\"} & set(word):
        return word
    option, equals, path = word.partition("=") if word.startswith("--") else ("", "", word)
    return option + equals + (PureWindowsPath(path).name or path)


def _without_folders(command: str) -> str:
    try:
        return shlex.join(_bare(word) for word in shlex.split(command))
    except ValueError:  # it is none
        return command


def _copy(run: Run, exported: Run, epochs: Sequence[int], half: bool) -> None:
    metrics = {m["epoch"]: m for m in run.metrics()}
    for epoch in epochs:
        tensors = load_tensors(run.checkpoint(run.resolve_epoch(epoch)))
        if half:
            tensors = {k: v.half() if v.is_floating_point() and "running_" not in k else v for k, v in tensors.items()}
        save_tensors(exported.checkpoint(epoch), tensors)
    lines = [json.dumps(metrics[e]) + "\n" for e in sorted(metrics) if e <= max(epochs)]
    write_atomically(exported.path / "metrics.jsonl", "".join(lines).encode())


def library_versions() -> dict[str, str]:
    """Versions of what a run's numbers depend on."""
    return {name: version(name) for name in ("napari-scse", "numpy")} | {"torch": torch.__version__}


def _read_json(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"There is no readable run.json in {file.parent}: {error}.") from error
    if not isinstance(data, dict):
        raise RunError(f"{file} does not describe a run.")
    return data
