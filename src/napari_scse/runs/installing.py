"""Install a run from files: copied beside its place, looked at there, and moved into place when all is well."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from napari_scse.errors import RunError
from napari_scse.events import Event, Progress
from napari_scse.nn.architectures import build_network
from napari_scse.runs.places import BUNDLED, user_runs
from napari_scse.runs.registry import read_registry, require_name, sha256_of
from napari_scse.runs.run import Run
from napari_scse.runs.sources import Member, open_source
from napari_scse.slices import Plane

_CHUNK = 1 << 20  # bytes


def install_run(path: Path | str, *, force: bool = False) -> Generator[Event, None, Run]:
    """Copy the run in a folder or a zip file to where runs are found by name (`user_runs`).

    Nothing is installed unless all of it is right: ``run.json`` can be read, all weights are safetensors that fit its
    network, and a run with the name of a registered one is that run, by SHA-256. Nothing is ever unpickled.

    Parameters
    ----------
    path
        The run's folder, or a zip file of it.
    force
        Replace a run of this name.

    Yields
    ------
    Progress
        In kB.

    Raises
    ------
    RunError
        If something is not right; if the name is taken; if the run cannot be written.
    """
    path, home = Path(path).expanduser(), user_runs()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _beside(home) as staging, open_source(path) as members:
            try:
                run = yield from _copy(members, staging / "run")
                _check(run)
            except RunError as error:  # of the copy, which is gone when this is read
                raise RunError(str(error).replace(str(staging / "run"), str(path))) from error
            return _move(run, home / run.name, force)
    except OSError as error:
        raise RunError(f"{path} cannot be installed in {home}: {error.strerror or error}.") from error


@contextmanager
def _beside(home: Path) -> Iterator[Path]:
    """A folder for what is not finished, on the same disk; its runs lie too deep to be listed."""
    with tempfile.TemporaryDirectory(prefix=".installing-", dir=home, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _copy(members: list[Member], folder: Path) -> Generator[Event, None, Run]:
    folder.mkdir()
    size, done = sum(member.size for member in members), 0
    if size > shutil.disk_usage(folder).free:
        raise RunError(f"There is no room for the run's {size / 1e6:.0f} MB in {folder.parent.parent}.")
    total = max(1, round(size / 1000))
    for member in members:
        with member.open() as source, (folder / member.name).open("wb") as target:
            while chunk := source.read(_CHUNK):
                target.write(chunk)
                done += len(chunk)
                yield Progress(min(total, round(done / 1000)), total, "kB installed")
    return Run(folder)


def _check(run: Run) -> None:
    require_name(run.name)
    if not run.epochs:
        raise RunError(f"The run {run.name} has no checkpoint (epoch-0001.safetensors and so on).")
    run.metrics()
    with torch.device("meta"):  # shapes only: no weights are made
        wanted = {name: tuple(tensor.shape) for name, tensor in build_network(run.config.network).state_dict().items()}
    for epoch in run.epochs:
        if _shapes(run.checkpoint(epoch)) != wanted:
            raise RunError(f"The weights of epoch {epoch} do not fit the network that run.json describes.")
    registered = read_registry().get(run.name)
    if registered is not None:
        hashes = {file.name: file.sha256 for file in registered.files}
        other = [file.name for file in sorted(run.path.iterdir()) if sha256_of(file) != hashes.get(file.name)]
        if other:
            raise RunError(
                f"The run calls itself {run.name}, but {other[0]} is not that of the published run of this name (its "
                "SHA-256 differs): change the name in its run.json, or get the published files."
            )


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor in a safetensors file, from its header."""
    try:
        with safe_open(file, framework="pt") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise RunError(f"{file.name} is not a readable safetensors file ({error}).") from error


def _move(run: Run, place: Path, force: bool) -> Run:
    if any((BUNDLED / name).exists() for name in (place.name, *(f"{place.name}-{plane}" for plane in Plane))):
        raise RunError(f"A run called {place.name} comes with the package; change the name in run.json.")
    if place.exists() and not force:
        raise RunError(
            f"There is a run called {place.name} already, in {place}; 'napari-scse install --force' replaces it."
        )
    if place.exists():
        place.rename(run.path.with_name("replaced"))
    run.path.rename(place)
    return Run(place)
