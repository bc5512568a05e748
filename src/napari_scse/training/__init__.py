"""Train a run: one checkpoint per epoch, a kill at any moment loses at most the running epoch.

`train` is the work itself. `process` has it done by a process of its own, which survives the program that started it.
The names here are imported when first asked for: whoever only looks after a process needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_scse.training.checks import check
    from napari_scse.training.config import TrainConfig
    from napari_scse.training.loop import train
    from napari_scse.training.process import Training, find_trainings, start_training
    from napari_scse.training.stored import load_config, save_config

__all__ = [
    "TrainConfig",
    "Training",
    "check",
    "find_trainings",
    "load_config",
    "save_config",
    "start_training",
    "train",
]

_HOMES = {
    "TrainConfig": "config",
    "Training": "process",
    "check": "checks",
    "find_trainings": "process",
    "load_config": "stored",
    "save_config": "stored",
    "start_training": "process",
    "train": "loop",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
