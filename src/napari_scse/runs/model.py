"""A model: one run, or several that label the same structures in different planes and are asked together."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from napari_scse.errors import InputError, RunError
from napari_scse.runs.catalogue import find_run, list_runs, load_run, planes_of
from napari_scse.runs.registry import read_registry
from napari_scse.runs.run import Run
from napari_scse.sides import merge_sides
from napari_scse.slices import Plane

DEFAULT_MODEL = "brain-t1"


@dataclass(frozen=True)
class Model:
    """Runs that are asked together.

    Attributes
    ----------
    name
        What users pick it by.
    runs
        One per plane, in the order coronal, axial, sagittal. All know the first one's structures, a sagittal one
        without their sides, and work at the same spacing.
    """

    name: str
    runs: tuple[Run, ...]

    def __post_init__(self) -> None:
        first = self.runs[0].config
        for run in self.runs[1:]:
            if run.config.classes not in (first.classes, merge_sides(first.classes)):
                raise RunError(f"{run.name} and {self.runs[0].name} do not label the same structures.")
            if len({*first.spacing, *run.config.spacing}) > 1:
                raise RunError(f"The planes of {self.name} need one and the same spacing along all axes.")

    @classmethod
    def of(cls, run: Run) -> Self:
        """Make a model of a single run."""
        return cls(run.name, (run,))

    @property
    def planes(self) -> tuple[Plane, ...]:
        """The planes it has a run for."""
        return tuple(run.config.plane for run in self.runs)

    def select(self, planes: Sequence[Plane | str]) -> Self:
        """Return the model with these planes only.

        Raises
        ------
        InputError
            It has no run for one of them, or none was named.
        """
        missing = [str(plane) for plane in planes if plane not in self.planes]
        if missing or not planes:
            raise InputError(
                f"{self.name} has runs for {', '.join(self.planes)}, not for {', '.join(missing) or 'no plane at all'}."
            )
        return type(self)(self.name, tuple(run for run in self.runs if run.config.plane in planes))


def load_model(name: str | Path) -> Model:
    """Find a model by its name or path: a run of that name, or the runs NAME-coronal, NAME-axial and NAME-sagittal.

    What is registered and not here yet is fetched as `load_run` does.

    Raises
    ------
    RunError
        There is neither, or a run is broken.
    """
    parts = [part for part in (f"{name}-{plane}" for plane in Plane) if _is_known(part)]
    named = find_run(str(name)) is not None or str(name) in read_registry()
    if not parts or named or ((Path(name) / "run.json").exists() and not planes_of(str(name))):
        return Model.of(load_run(name))
    return Model(Path(name).name, tuple(load_run(part) for part in parts))


def default_model() -> Model:
    """The bundled model for segmentation: all its planes."""
    return load_model(DEFAULT_MODEL)


def to_fetch(name: str | Path) -> tuple[str, ...]:
    """The runs that `load_run` or `load_model` of this name would fetch first. Without the network."""
    if _is_here(name):
        return ()
    names = (str(name), *(f"{name}-{plane}" for plane in Plane))
    return tuple(part for part in names if part in read_registry() and not _is_here(part))


def list_models() -> list[Model]:
    """All models of several planes whose runs are on this computer, by name. Without the network.

    Runs that are only called alike, and cannot be asked together, make none.
    """
    stems: dict[Path, None] = {}
    for run in list_runs():
        stem, _, plane = run.path.name.rpartition("-")
        if plane == run.config.plane:
            stems[run.path.with_name(stem)] = None
    models = []
    for name in stems:
        with suppress(RunError):
            models.append(load_model(name))
    return [model for model in models if len(model.runs) > 1]


def _is_known(name: str | Path) -> bool:
    return _is_here(name) or str(name) in read_registry()


def _is_here(name: str | Path) -> bool:
    return find_run(str(name)) is not None or (Path(name) / "run.json").exists()
