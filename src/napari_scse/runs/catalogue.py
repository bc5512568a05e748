"""Which runs there are: those that come with the package, the user's own, those fetched, and those to be fetched."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from napari_scse.errors import RunError
from napari_scse.events import drain
from napari_scse.runs.fetching import fetch_run
from napari_scse.runs.places import BUNDLED, fetched_runs, user_runs
from napari_scse.runs.registry import RegisteredRun, is_whole, read_registry
from napari_scse.runs.run import Run
from napari_scse.slices import Plane

DEFAULT_RUN = "brain-t1-coronal"
DEFAULT_EXPLORE_RUN = "brain-t1-densenet-sse"


class Place(StrEnum):
    """Where a run is."""

    BUNDLED = "bundled"
    YOURS = "yours"
    FETCHED = "fetched"
    ELSEWHERE = "elsewhere"


def place_of(run: Run) -> Place:
    """Tell where a run is."""
    places = {BUNDLED: Place.BUNDLED, user_runs(): Place.YOURS, fetched_runs(): Place.FETCHED}
    return places.get(run.path.parent, Place.ELSEWHERE)


def list_runs() -> list[Run]:
    """All runs on this computer that can be picked by name: the bundled ones, the user's own, those fetched.

    Broken folders are left out, and so is what was fetched of a run that the user has as well. Without the network.
    """
    runs = []
    for path in _folders():
        try:
            runs.append(Run(path))
        except RunError:
            continue
    return runs


def list_fetchable() -> list[RegisteredRun]:
    """The registered runs that are not on this computer, by name. Without the network."""
    here = {path.name for path in _folders()}
    return [run for name, run in read_registry().items() if name not in here]


def find_run(name: str) -> Run | None:
    """Return the run of this computer that is called `name`, or None. Without the network."""
    return next((Run(path) for path in _folders() if path.name == name), None)


def planes_of(name: str) -> list[str]:
    """The runs, here or published, that make the model `name`: NAME-coronal and so on. Without the network."""
    known = {path.name for path in _folders()} | read_registry().keys()
    return [run for plane in Plane if (run := f"{name}-{plane}") in known]


def is_taken(name: str) -> bool:
    """Tell whether a run of this computer, a published one, or a model of those is called `name`. No network."""
    return any(path.name == name for path in _folders()) or name in read_registry() or bool(planes_of(name))


def load_run(name: str | Path) -> Run:
    """Find a run by its name, or by the path of its folder: ``"./name"`` if a run is called as a folder is.

    One that is registered, and not here yet, is fetched if NAPARI_SCSE_MODELS says from where.

    Raises
    ------
    RunError
        If there is no such run, or it cannot be fetched.
    """
    found, path = find_run(name) if isinstance(name, str) else None, Path(name)
    if found is not None:
        return found
    if (path / "run.json").exists():
        return Run(path)
    if str(name) in read_registry():
        return drain(fetch_run(str(name)))
    if len(parts := planes_of(str(name))) > 1:
        raise RunError(f"{name} is a model of several planes; name one of its runs: {', '.join(parts)}.")
    if path.is_dir():
        raise RunError(f"The folder {path} holds no run (there is no run.json in it).")
    have = ", ".join(r.name for r in list_runs()) or "none"
    to_fetch = ", ".join(r.name for r in list_fetchable())
    also = f"; to be fetched: {to_fetch}" if to_fetch else ""
    raise RunError(f"There is no run called {str(name)!r}, and no such folder; installed runs: {have}{also}.")


def default_run() -> Run:
    """The bundled run for segmentation by coronal slices: quicker than the model it is a plane of, and to be taught."""
    return load_run(DEFAULT_RUN)


def _folders() -> Iterator[Path]:
    """The folders of runs that are found by name. Of those with one name only the first is, but for broken ones."""
    registry, before = read_registry(), set()
    for place in (BUNDLED, user_runs()):
        for file in sorted(place.glob("*/run.json")):
            before.add(file.parent.name)
            yield file.parent
    for file in sorted(fetched_runs().glob("*/run.json")):
        folder = file.parent
        registered = registry.get(folder.name)
        if folder.name not in before and (registered is None or is_whole(registered, folder)):
            yield folder
