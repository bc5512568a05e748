"""What the Train widget shows, and its long work: finding trainings, and starting one. No Qt."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from psygnal import SignalGroupDescriptor

from napari_scse._napari.pairs import LabelledInput, write_pairs
from napari_scse._widgets.cards import Choice
from napari_scse._widgets.state import JobState
from napari_scse.errors import RunError
from napari_scse.events import Event
from napari_scse.training.files import TRAIN_FILE
from napari_scse.training.process import LAYERS_FOLDER, Phase, Training, require_free

if TYPE_CHECKING:
    from napari_scse.training import TrainConfig


@dataclass
class TrainState:
    """What the Train widget shows.

    Attributes
    ----------
    trainings
        Those of this user, newest first, and how each stands.
    chosen
        The folder of the one that is shown; None: a new one is set up.
    ready
        Whether torch is loaded, and the form can be made.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    trainings: tuple[tuple[Training, Phase], ...] = ()
    chosen: Path | None = None
    ready: bool = False
    full_range: bool = False
    job: JobState = field(default_factory=JobState)

    @property
    def training(self) -> Training | None:
        """The one that is shown."""
        return None if self.chosen is None else Training(self.chosen)

    @property
    def choices(self) -> list[Choice]:
        """A new training, and all others."""
        listed = [Choice(t.folder, f"{t.name}  –  {phase}", str(t.folder)) for t, phase in self.trainings]
        return [Choice(None, "a new one", "Set up and start a training."), *listed]


def look_around() -> tuple[tuple[Training, Phase], ...]:
    """Find this user's trainings, and see how each stands."""
    from napari_scse.training.process import find_trainings

    return tuple((training, training.status.phase) for training in find_trainings())


def prepare() -> Generator[Event, None, tuple[tuple[Training, Phase], ...]]:
    """Load what the form is made from (torch takes a second or two) and find the trainings. A job's generator."""
    import napari_scse.training.checks  # noqa: F401

    yield from ()
    return look_around()


def begin(config: TrainConfig, pairs: Sequence[LabelledInput]) -> Generator[Event, None, Training]:
    """Write layers to learn from into the run's folder, check everything, and start the process. A job's generator.

    Nothing of a training that is not started stays behind.
    """
    from napari_scse.runs import is_taken
    from napari_scse.training import check, start_training

    require_free(config.out)
    if is_taken(config.out.name):
        raise RunError(f"A run called {config.out.name} is published already: give another name.")
    was_there, layers = config.out.exists(), config.out / LAYERS_FOLDER
    started = False
    try:
        if pairs:
            shutil.rmtree(layers, ignore_errors=True)
            images, labels, structures = yield from write_pairs(pairs, layers)
            config = replace(config, images=images, labels=labels, structures=structures)
        check(config)
        training = start_training(config)
        started = True
    finally:
        if not started:
            shutil.rmtree(layers if was_there else config.out, ignore_errors=True)
    return training


def resume(training: Training) -> Generator[Event, None, Training]:
    """Start the process of a training again. A job's generator."""
    training.resume()
    yield from ()
    return training


def discard(training: Training) -> Generator[Event, None, None]:
    """Remove a training that has nothing to show. A job's generator."""
    training.discard()
    yield from ()


def colors_of(folder: Path) -> dict[str, str]:
    """Return the colours of a run's structures by name; empty while there is no run yet."""
    from napari_scse.runs import Run

    if not (folder / "run.json").exists():
        return {}
    return {structure.name: structure.color for structure in Run(folder).config.classes}


def epochs_of(folder: Path) -> int:
    """Return how many epochs a training is to have."""
    from napari_scse.training import load_config

    return load_config(folder / TRAIN_FILE).epochs


_PYTHON = """\
from napari_scse import drain, train
from napari_scse.training import load_config

config = load_config({file!r}, out="another-run")
run = drain(train(config), print)
"""


def as_python(folder: Path) -> str:
    """Return a script that trains the same once more."""
    return _PYTHON.format(file=str(folder / TRAIN_FILE))


def as_command(folder: Path) -> str:
    """Return a command that trains the same once more."""
    return shlex.join(["napari-scse", "train", "--config", str(folder / TRAIN_FILE), "--out", "another-run"])
