"""Runs: a trained network with everything needed to use it, one checkpoint per epoch.

A run is a folder::

    run.json                   the network, the classes, the space and intensities it expects, how it was made
    epoch-0001.safetensors …   the weights after each epoch (those that are kept)
    metrics.jsonl              one line per epoch: loss, validation Dice, seconds …

Weights are safetensors only: nothing in a run is ever unpickled. Loading is strict: a checkpoint that does not fit its
network is refused, never half-loaded.
"""

from napari_scse.runs.catalogue import (
    DEFAULT_EXPLORE_RUN,
    DEFAULT_RUN,
    Place,
    default_run,
    find_run,
    is_taken,
    list_fetchable,
    list_runs,
    load_run,
    place_of,
)
from napari_scse.runs.config import Intensity, RunConfig, make_classes
from napari_scse.runs.fetching import fetch_run, find_base, how_to_get
from napari_scse.runs.installing import install_run
from napari_scse.runs.model import DEFAULT_MODEL, Model, default_model, list_models, load_model, to_fetch
from napari_scse.runs.places import BUNDLED, fetched_runs, user_runs
from napari_scse.runs.registry import RegisteredFile, RegisteredRun, read_registry
from napari_scse.runs.run import Run, create_run, export_run, library_versions

__all__ = [
    "BUNDLED",
    "DEFAULT_EXPLORE_RUN",
    "DEFAULT_MODEL",
    "DEFAULT_RUN",
    "Intensity",
    "Model",
    "Place",
    "RegisteredFile",
    "RegisteredRun",
    "Run",
    "RunConfig",
    "create_run",
    "default_model",
    "default_run",
    "export_run",
    "fetch_run",
    "fetched_runs",
    "find_base",
    "find_run",
    "how_to_get",
    "install_run",
    "is_taken",
    "library_versions",
    "list_fetchable",
    "list_models",
    "list_runs",
    "load_model",
    "load_run",
    "make_classes",
    "place_of",
    "read_registry",
    "to_fetch",
    "user_runs",
]
