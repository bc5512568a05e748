"""What Explore shows, as a command and as Python; and as plain settings that a layer remembers."""

from __future__ import annotations

import shlex
from typing import Any

from napari_scse._napari.layers import METADATA_KEY
from napari_scse._widgets.cards import RunCard
from napari_scse._widgets.state import ExploreState

_UNSAVED = "scan.nii.gz"  # for a layer that came from no file
_SETTINGS = ("sites", "epochs", "labels", "winners", "precision")
_PYTHON = """\
from napari_scse import load_run, read
from napari_scse.events import drain
from napari_scse.exploration import View, develop, open_film

film = drain(
    open_film(
        read({scan!r}),
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


def scan_path(layer: Any) -> str:
    """Return the file that a layer was opened from, or a name to fill in."""
    path = getattr(getattr(layer, "source", None), "path", None)
    return str(path) if path else _UNSAVED


def as_command(state: ExploreState, card: RunCard, scan: str) -> str:
    """Return the command that records the same maps of the whole scan."""
    options = ["--run", card.name, "--sites", ",".join(state.sites), "--epochs", ",".join(map(str, state.epochs))]
    options += ["--device", state.device, "--precision", state.precision, "--float"]
    return shlex.join(["napari-scse", "excite", scan, "maps.zarr", *options])


def as_python(state: ExploreState, card: RunCard, scan: str, number: int, epoch: int) -> str:
    """Return a script that shows the same frames: slice `number` of the film, at the epoch of index `epoch`."""
    return _PYTHON.format(
        scan=scan,
        run=card.name,
        sites=state.sites,
        epochs=state.epochs,
        labels=state.labels,
        winners=state.winners,
        device=state.device,
        precision=state.precision,
        number=number,
        epoch=epoch,
        site=state.sites[0],
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
