"""Which runs there are, whether they may stand in one table, and what they were held back from."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from napari_scse.errors import InputError
from napari_scse.images import SUFFIXES
from napari_scse.nn.architectures import Excitation, NetworkConfig
from napari_scse.nn.parameters import count_parameters
from napari_scse.runs import Run, make_classes
from napari_scse.structures import FREESURFER27
from napari_scse.synthesis import SynthesisConfig
from variant_study.scores import RunFacts

_FREE = {"seed", "device"}  # of a training: may differ between the runs of a table
_SHOWN = 40  # characters of a value in a message


def find_runs(folder: Path, pattern: str) -> tuple[list[Run], list[str]]:
    """The finished runs in `folder` whose names match `pattern`, and sentences on the others of that name.

    Raises
    ------
    InputError
        There is no finished run, or one says nothing of its training.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.")
    runs, passed_over = [], []
    for path in sorted(folder.glob(pattern)):
        if not (path / "run.json").exists():
            continue
        run = Run(path)
        if not {"epochs", "slices", "batch", "seed"} <= run.config.training.keys():
            raise InputError(f"{path} does not say how it was trained, so that it cannot be compared.")
        wanted, done = int(run.config.training["epochs"]), max(run.epochs, default=0)
        if done < wanted:
            passed_over.append(f"{path.name} is passed over: {done} of its {wanted} epochs are trained.")
        else:
            runs.append(run)
    if not runs:
        raise InputError(" ".join([f"There is no finished run in {folder} that is called {pattern}.", *passed_over]))
    return runs, passed_over


def shared_training(run: Run) -> dict[str, Any]:
    """All that a run's training and labels depend on but the seed, the device and the network."""
    config = run.config
    training = {name: value for name, value in config.training.items() if name not in _FREE}
    others = {"intensity": asdict(config.intensity), "smoothing": config.smoothing}
    return training | {"training files": dict(config.data)} | others


def require_comparable(runs: Sequence[Run]) -> None:
    """Refuse runs that differ in more than the network, its SE variant and the seed.

    Raises
    ------
    InputError
        Names two runs and what they differ in.
    """
    plain: dict[str, tuple[Run, dict[str, Any]]] = {}
    for run in runs:
        if run.config.classes != make_classes(FREESURFER27):
            raise InputError(f"{run.path.name} does not label the paper's 27 structures.")
        _require_same(runs[0], shared_training(runs[0]), run, shared_training(run))
        layout = _plain(run).to_dict()
        first, known = plain.setdefault(run.config.network.kind, (run, layout))
        _require_same(first, known, run, layout)


def describe(run: Run, epoch: str) -> RunFacts:
    """What the table says of `run` with the weights of `epoch` ("best", "last" or a number)."""
    number, training = run.resolve_epoch(epoch), run.config.training
    shared = json.dumps(shared_training(run), sort_keys=True).encode()
    parameters, reference = count_parameters(run.config.network), count_parameters(_plain(run))
    epochs, slices = int(training["epochs"]), int(training["slices"])
    return RunFacts(
        run=run.path.name,
        network=run.config.network.kind,
        variant=str(run.config.network.excitation),
        seed=int(training["seed"]),
        weights=short_sha(run.checkpoint(number).read_bytes()),
        epoch=number,
        epochs=epochs,
        slices=slices,
        steps=epochs * math.ceil(slices / int(training["batch"])),
        training=short_sha(shared),
        torch=run.config.versions.get("torch", "unknown"),
        parameters=parameters,
        overhead_percent=round(100 * (parameters - reference) / reference, 4),
    )


def held_back(run: Run) -> dict[str, str]:
    """File name → SHA-256 of the label maps that `run` was not trained on, as `napari-scse train` chose them."""
    training, files = run.config.training, dict(run.config.data)
    if training.get("source") != "label maps":
        raise InputError(f"{run.path.name} was not trained on label maps, so that none are held back.")
    names = sorted(files)
    chosen = training.get("validation") or [stem(name) for name in names[len(names) - max(1, len(names) // 5) :]]
    return {name: files[name] for name in names if stem(name) in chosen}


def synthesis_of(run: Run) -> SynthesisConfig:
    """How far the synthetic scans strayed that `run` was trained on."""
    recorded: Mapping[str, Any] = run.config.training.get("synthesis", {})
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in recorded.items()
    }
    try:
        return SynthesisConfig(**values)
    except TypeError as error:
        raise InputError(f"{run.path.name} was trained on scans that this version cannot draw: {error}.") from error


def stem(name: str) -> str:
    """A file's name without the suffix of an image."""
    return next((name[: -len(suffix)] for suffix in SUFFIXES if name.lower().endswith(suffix)), name)


def short_sha(content: bytes) -> str:
    """The first eight digits of the SHA-256."""
    return hashlib.sha256(content).hexdigest()[:8]


def _plain(run: Run) -> NetworkConfig:
    return replace(run.config.network, excitation=Excitation.NONE)


def _require_same(first: Run, one: Mapping[str, Any], run: Run, other: Mapping[str, Any]) -> None:
    names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    if names:
        raise InputError(
            f"{first.path.name} and {run.path.name} cannot stand in one table: they differ in "
            f"{', '.join(_told(name, one.get(name), other.get(name)) for name in names)}."
        )


def _told(name: str, one: object, other: object) -> str:
    values = f"{one} and {other}"
    return f"{name} ({values})" if len(values) <= _SHOWN else name
