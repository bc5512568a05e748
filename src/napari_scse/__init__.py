"""Segment scans with squeeze-and-excitation networks, and see where those look at every epoch of their training.

The names in `__all__` are the public interface. They are imported when first asked for, so that ``import napari_scse``
(and with it the start of napari) loads neither torch nor Qt nor napari.

Examples
--------
>>> import napari_scse as scse
>>> volume = scse.read("T1.nii.gz")  # doctest: +SKIP
>>> result = scse.drain(scse.segment(volume, scse.default_model()))  # doctest: +SKIP
>>> scse.write_labels("labels.nii.gz", result.labels)  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_scse.errors import DeviceError, InputError, RunError, ScseError, SpaceError
    from napari_scse.evaluation import compare, evaluate, evaluate_cases, find_cases, plot_boxes
    from napari_scse.events import drain
    from napari_scse.exploration import (
        develop,
        excite,
        measure_dynamics,
        open_film,
        open_maps,
        plot_dynamics,
        plot_figure7,
        probe_slice,
        what_if,
    )
    from napari_scse.images import read, read_labels, write, write_labels
    from napari_scse.inference import segment
    from napari_scse.nn.architectures import NetworkConfig, build_network
    from napari_scse.nn.insertion import add_excitation
    from napari_scse.nn.overrides import override_gates
    from napari_scse.nn.recorder import record_excitations
    from napari_scse.nn.sites import sites
    from napari_scse.runs import default_model, default_run, list_models, list_runs, load_model, load_run
    from napari_scse.slices import Plane
    from napari_scse.training import train
    from napari_scse.volume import LabelVolume, Volume

__version__ = "0.1.0"

__all__ = [
    "DeviceError",
    "InputError",
    "LabelVolume",
    "NetworkConfig",
    "Plane",
    "RunError",
    "ScseError",
    "SpaceError",
    "Volume",
    "__version__",
    "add_excitation",
    "build_network",
    "compare",
    "default_model",
    "default_run",
    "develop",
    "drain",
    "evaluate",
    "evaluate_cases",
    "excite",
    "find_cases",
    "list_models",
    "list_runs",
    "load_model",
    "load_run",
    "measure_dynamics",
    "open_film",
    "open_maps",
    "override_gates",
    "plot_boxes",
    "plot_dynamics",
    "plot_figure7",
    "probe_slice",
    "read",
    "read_labels",
    "record_excitations",
    "segment",
    "sites",
    "train",
    "what_if",
    "write",
    "write_labels",
]

# public name -> the module of this package that owns it; the same table as the imports above, which type checkers read
_HOMES = {
    "DeviceError": "errors",
    "InputError": "errors",
    "LabelVolume": "volume",
    "NetworkConfig": "nn.architectures",
    "Plane": "slices",
    "RunError": "errors",
    "ScseError": "errors",
    "SpaceError": "errors",
    "Volume": "volume",
    "add_excitation": "nn.insertion",
    "build_network": "nn.architectures",
    "compare": "evaluation",
    "default_model": "runs",
    "default_run": "runs",
    "develop": "exploration",
    "drain": "events",
    "evaluate": "evaluation",
    "evaluate_cases": "evaluation",
    "excite": "exploration",
    "find_cases": "evaluation",
    "list_models": "runs",
    "list_runs": "runs",
    "load_model": "runs",
    "load_run": "runs",
    "measure_dynamics": "exploration",
    "open_film": "exploration",
    "open_maps": "exploration",
    "override_gates": "nn.overrides",
    "plot_boxes": "evaluation",
    "plot_dynamics": "exploration",
    "plot_figure7": "exploration",
    "probe_slice": "exploration",
    "read": "images",
    "read_labels": "images",
    "record_excitations": "nn.recorder",
    "segment": "inference",
    "sites": "nn.sites",
    "train": "training",
    "what_if": "exploration",
    "write": "images",
    "write_labels": "images",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value  # asked for once, an ordinary attribute from then on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
