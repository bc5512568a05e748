"""Runs: a trained network with everything needed to use it, one checkpoint per epoch.

A run is a folder::

    run.json                   the network, the classes, the space and intensities it expects, how it was made
    epoch-0001.safetensors …   the weights after each epoch (those that are kept)
    metrics.jsonl              one line per epoch: loss, validation Dice, seconds …

Weights are safetensors only: nothing in a run is ever unpickled. Loading is strict: a checkpoint that does not fit its
network is refused, never half-loaded.
"""

from napari_scse.runs.catalogue import (
    BUNDLED,
    DEFAULT_EXPLORE_RUN,
    DEFAULT_RUN,
    default_run,
    list_runs,
    load_run,
    user_runs,
)
from napari_scse.runs.config import Intensity, RunClass, RunConfig, make_classes
from napari_scse.runs.run import Run, create_run, export_run, library_versions

__all__ = [
    "BUNDLED",
    "DEFAULT_EXPLORE_RUN",
    "DEFAULT_RUN",
    "Intensity",
    "Run",
    "RunClass",
    "RunConfig",
    "create_run",
    "default_run",
    "export_run",
    "library_versions",
    "list_runs",
    "load_run",
    "make_classes",
    "user_runs",
]
