"""A training's whole configuration in a file, so that it can be resumed without being said again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from napari_scse.atomic import write_atomically
from napari_scse.errors import RunError
from napari_scse.nn.architectures import NetworkConfig
from napari_scse.runs import Intensity
from napari_scse.slices import Plane
from napari_scse.structures import Structure
from napari_scse.synthesis import SynthesisConfig
from napari_scse.training.config import TrainConfig
from napari_scse.training.files import TRAIN_FILE

_FORMAT = 1
_FOLDERS = ("images", "labels", "label_maps")


def save_config(config: TrainConfig) -> Path:
    """Write ``train.json`` into the run's folder, which is made where it is missing.

    Folders of data inside the run's folder are named relative to it, so that all of it can be moved; others by their
    whole path.
    """
    file = config.out / TRAIN_FILE
    try:
        config.out.mkdir(parents=True, exist_ok=True)
        write_atomically(file, (json.dumps(_to_dict(config), indent=1) + "\n").encode())
    except OSError as error:
        raise RunError(f"The training cannot be written to {config.out}: {error.strerror or error}.") from error
    return file


def load_config(file: Path | str, out: Path | str | None = None) -> TrainConfig:
    """Read what `save_config` wrote.

    Parameters
    ----------
    file
        A ``train.json``.
    out
        Another folder for the run; None: the one that the file lies in.

    Raises
    ------
    RunError
        The file is not there, damaged, or of another format.
    """
    file = Path(file)
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if data.pop("format", None) != _FORMAT:
            raise RunError(f"{file} has another format; this version of napari-scse reads format {_FORMAT}.")
        return _from_dict(data, file.resolve().parent, Path(out or file.parent))
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{file} is not a readable configuration of a training: {error}.") from error


def _to_dict(config: TrainConfig) -> dict[str, Any]:
    data = {field.name: getattr(config, field.name) for field in fields(config)}
    del data["out"]
    here = config.out.resolve()
    for name in _FOLDERS:
        if data[name] is not None:
            path = data[name].resolve()
            data[name] = str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
    if config.init and (Path(config.init) / "run.json").exists():
        data["init"] = str(Path(config.init).resolve())
    return data | {
        "format": _FORMAT,
        "network": config.network.to_dict(),
        "structures": None if config.structures is None else [asdict(s) for s in config.structures],
        "plane": str(config.plane),
        "intensity": asdict(config.intensity),
        "synthesis": asdict(config.synthesis),
    }


def _from_dict(data: Mapping[str, Any], beside: Path, out: Path) -> TrainConfig:
    structures, synthesis = data["structures"], dict(data["synthesis"])
    ranges = {name: tuple(value) for name, value in synthesis.items() if isinstance(value, list)}
    return replace(
        TrainConfig(
            **dict(data)
            | {name: None if data[name] is None else beside / data[name] for name in _FOLDERS}
            | {name: tuple(data[name]) for name in ("spacing", "canvas", "validation")},
            out=out,
        ),
        network=NetworkConfig.from_dict(data["network"]),
        structures=None if structures is None else tuple(Structure(**s) for s in structures),
        plane=Plane(data["plane"]),
        intensity=Intensity(**data["intensity"]),
        synthesis=SynthesisConfig(**synthesis | ranges),
    )
