"""What is wrong with a training, said before anything is read or written."""

from __future__ import annotations

from napari_scse.errors import InputError, RunError
from napari_scse.execution import choose_device
from napari_scse.runs import Run, load_run
from napari_scse.training.config import CHOICES, TrainConfig
from napari_scse.training.files import RESUME_STATE, has_epochs
from napari_scse.training.subjects import check_names, find_files

_SEEDS = 2**31


def check(config: TrainConfig, *, resume: bool = False) -> None:
    """Refuse what cannot be trained; it takes no longer than listing the files.

    Raises
    ------
    InputError
        A value is none that it can have; there are no files, or some without a partner; a subject to hold back that
        is not there.
    RunError
        The folder already holds a run (without `resume`), or has nothing to resume; there is no run to start from.
    DeviceError
        The device is unknown or not there.
    """
    for name, allowed in CHOICES.items():
        value = getattr(config, name)
        if value not in allowed:
            raise InputError(f"The {name} must be one of {', '.join(allowed)}; got {value!r}.")
    if not 0 < config.norm_momentum <= 1:
        raise InputError(f"The norm momentum must be above 0 and at most 1; got {config.norm_momentum}.")
    if min(config.epochs, config.slices, config.batch, config.step_epochs, *config.canvas) < 1:
        raise InputError("Epochs, slices, batch and canvas must be at least 1.")
    if config.patience is not None and config.patience < 1:
        raise InputError(f"The patience is a number of epochs from 1 on; got {config.patience}.")
    for name in ("clip_gradient", "weight_limit"):
        limit = getattr(config, name)
        if limit is not None and not limit > 0:
            raise InputError(f"The {name.replace('_', ' ')} is a number above 0; got {limit}.")
    for name in ("learning_rate", "momentum", "weight_decay", "dice_weight", "weight_power"):
        value = getattr(config, name)
        if not 0 <= value < float("inf"):
            raise InputError(f"The {name.replace('_', ' ')} is a number from 0 on; got {value}.")
    if not 0 <= config.seed < _SEEDS or config.neighbours < 0:
        raise InputError(f"The seed and the neighbours are whole numbers from 0 on, the seed below {_SEEDS}.")
    if not all(0 < size < float("inf") for size in config.spacing):
        raise InputError(f"The spacing is three positive lengths in mm; got {config.spacing}.")
    if resume and not (config.out / "run.json").exists():
        raise RunError(f"There is nothing to resume in {config.out}.")
    if not config.intensity.is_possible:
        raise InputError("The labelled median and the intensity that others are cut off at are numbers above 0.")
    if resume and has_epochs(config.out) and not (config.out / RESUME_STATE).exists():
        raise RunError(
            f"{config.out} cannot be resumed: its {RESUME_STATE}, which has the optimiser's state, is gone. "
            f"Begin another run with its weights (--init {config.out})."
        )
    if not resume and has_epochs(config.out):
        raise RunError(f"{config.out} already holds a run; say --resume to continue it, or give another folder.")
    choose_device(config.device)
    check_names(tuple(find_files(config)), config.validation)
    first_weights(config, resume)


def first_weights(config: TrainConfig, resume: bool) -> Run | None:
    """Return the run that a training begins with; None where it begins from scratch, or goes on with its own weights.

    Raises
    ------
    RunError
        There is no such run.
    """
    goes_on = resume and has_epochs(config.out)
    return load_run(config.init) if config.init and not goes_on else None
