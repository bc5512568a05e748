"""What Segment, Learn and Explore do, as a command and as Python; and as plain settings that a layer remembers.

Segment's and Learn's leave out whatever is at its default. A run that is found by its name is called by it.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from napari_scse._napari.layers import METADATA_KEY
from napari_scse._widgets.cards import RunCard
from napari_scse._widgets.opening import Explored
from napari_scse._widgets.state import ExploreState

_UNSAVED = "scan.nii.gz"  # for a layer that came from no file
_SETTINGS = ("sites", "epochs", "labels", "winners", "precision")
_PYTHON = """\
from napari_scse import load_run, read
from napari_scse.events import drain
from napari_scse.exploration import View, develop, open_film

film = drain(
    open_film(
        read({scan}),
        load_run({run!r}),
        sites={sites!r},
        epochs={epochs!r},
        labels={labels!r},
        winners={winners!r},
        device={device!r},
        precision={precision!r},
    )
)
drain(develop(film, lambda: View(number={number}, epoch={epoch})))  # reach=None: every slice
film.maps[{site!r}][:, {number}]  # (epochs, rows, columns)
"""


_SEGMENT = """\
from napari_scse import drain, read, segment, write_labels
from napari_scse.runs import load_model

result = drain(segment(read({scan}), load_model({run!r}){options}))
write_labels("labels.nii.gz", result.labels)
"""
_REFINE = """\
from napari_scse import drain, load_run, read
from napari_scse.refinement import keep, read_strokes, refine

scan = read({scan})
strokes = read_strokes({strokes!r}, scan)  # label values, and -1 where nothing is painted
refined = drain(refine(scan, load_run({run!r}), strokes{options}))
keep(refined, {name!r})
"""
# options of `segment` and `refine` as they are if nothing is said
_DEFAULTS = {"epoch": "best", "device": "auto", "precision": "float32", "mirror": None, "uncertainty": False}


def command_line(*words: object) -> str:
    """Join words to a line that can be pasted into this system's shell."""
    plain = [str(word) for word in words]
    return subprocess.list2cmdline(plain) if sys.platform == "win32" else shlex.join(plain)


def run_word(card: RunCard) -> str:
    """Return a run's name where it is found by it, otherwise its folder."""
    from napari_scse.runs import BUNDLED, fetched_runs, user_runs

    return card.name if card.path.parent in (BUNDLED, user_runs(), fetched_runs()) else str(card.path)


def segment_command(card: RunCard, scan: str, options: Mapping[str, Any], frame: int | None = None) -> str:
    """Return the command that labels the whole scan.

    Parameters
    ----------
    options
        What `segment` is called with: planes, epoch, device, precision, mirror, uncertainty.
    frame
        Of a 4-D scan.
    """
    words = ["napari-scse", "segment", scan, "labels.nii.gz", "--run", run_word(card)]
    told = _told(card, options)
    if "planes" in told:
        words += ["--planes", ",".join(told["planes"])]
    for name in ("epoch", "device", "precision"):
        words += [f"--{name}", told[name]] if name in told else []
    words += [] if "mirror" not in told else ["--mirror" if told["mirror"] else "--no-mirror"]
    words += ["--uncertainty", "uncertainty.nii.gz"] if "uncertainty" in told else []
    return command_line(*words, *([] if frame is None else ["--frame", frame]))


def segment_python(card: RunCard, scan: str, options: Mapping[str, Any], frame: int | None = None) -> str:
    """Return a script that labels the whole scan; see `segment_command`."""
    return _SEGMENT.format(scan=_read(scan, frame), run=run_word(card), options=_arguments(_told(card, options)))


def refine_command(
    card: RunCard, scan: str, strokes: str, options: Mapping[str, Any], name: str, frame: int | None = None
) -> str:
    """Return the command that teaches a copy of a run with strokes, keeps it as `name`, and labels the scan with it.

    Parameters
    ----------
    strokes
        The file that holds what was painted, -1 elsewhere.
    options
        What `refine` is called with: epoch, device.
    """
    words = ["napari-scse", "refine", scan, strokes, "labels.nii.gz", "--run", run_word(card), "--name", name]
    told = _told(card, options)
    for option in ("epoch", "device"):
        words += [f"--{option}", told[option]] if option in told else []
    return command_line(*words, *([] if frame is None else ["--frame", frame]))


def refine_python(
    card: RunCard, scan: str, strokes: str, options: Mapping[str, Any], name: str, frame: int | None = None
) -> str:
    """Return a script that teaches a copy of a run with strokes and keeps it as `name`; see `refine_command`."""
    told = {key: value for key, value in _told(card, options).items() if key in ("epoch", "device")}
    parts = {"run": run_word(card), "strokes": strokes, "options": _arguments(told), "name": name}
    return _REFINE.format(scan=_read(scan, frame), **parts)


def _told(card: RunCard, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are not at their defaults, planes as plain words."""
    told = {name: value for name, value in options.items() if name in _DEFAULTS and value != _DEFAULTS[name]}
    planes = tuple(str(plane) for plane in options.get("planes") or ())
    return ({"planes": planes} if planes and planes != tuple(map(str, card.planes)) else {}) | told


def _read(scan: str, frame: int | None) -> str:
    return repr(scan) if frame is None else f"{scan!r}, frame={frame}"


def _arguments(options: Mapping[str, Any]) -> str:
    return "".join(f", {name}={value!r}" for name, value in options.items())


def scan_path(layer: Any) -> str:
    """Return the file that a layer was opened from, or a name to fill in."""
    path = getattr(getattr(layer, "source", None), "path", None)
    return str(path) if path else _UNSAVED


def as_command(explored: Explored) -> str:
    """Return the command that records the same maps of the whole scan, by the first run where two are compared."""
    chosen, run, frame = explored.choices, run_word(explored.cards[0]), explored.source.frame
    options = ["--run", run, "--sites", ",".join(chosen.sites), "--epochs", ",".join(map(str, chosen.epochs))]
    options += ["--device", chosen.device, "--precision", chosen.precision, "--float"]
    options += [] if frame is None else ["--frame", str(frame)]
    return command_line("napari-scse", "excite", explored.path, "maps.zarr", *options)


def as_python(explored: Explored, number: int, epoch: int) -> str:
    """Return a script that shows the same frames: slice `number` of the film, at the epoch of index `epoch`."""
    chosen = explored.choices
    return _PYTHON.format(
        scan=_read(explored.path, explored.source.frame),
        run=run_word(explored.cards[0]),
        sites=chosen.sites,
        epochs=chosen.epochs,
        labels=chosen.labels,
        winners=chosen.winners,
        device=chosen.device,
        precision=chosen.precision,
        number=number,
        epoch=epoch,
        site=chosen.sites[0],
    )


def remember(layer: Any, state: ExploreState) -> None:
    """Write what was chosen into a layer's metadata."""
    settings = {name: getattr(state, name) for name in _SETTINGS} | {"run": str(state.run)}
    layer.metadata.setdefault(METADATA_KEY, {})["explore"] = settings


def restore(layer: Any, state: ExploreState) -> str:
    """Choose again what a layer was made with; return a sentence that says what came of it."""
    settings = getattr(layer, "metadata", {}).get(METADATA_KEY, {}).get("explore")
    if settings is None:
        return "Select a layer that Explore made: it remembers what was chosen."
    card = next((one for one in state.catalogue.cards if str(one.path) == settings["run"]), None)
    if card is None:
        return f"The run that made this layer is not there any more: {settings['run']}."
    state.choose(card)
    for name in _SETTINGS:
        setattr(state, name, settings[name])
    return f"Chosen as for “{layer.name}”."
