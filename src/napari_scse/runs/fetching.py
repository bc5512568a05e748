"""Runs are fetched file by file: pooch compares each with its SHA-256, and puts it in place only if they agree.

``run.json`` comes last, so that a folder is no run before it is whole. Two that fetch the same run at once do the work
twice and leave the same files. What is whole when a fetch is stopped stays, and the next one goes on from there.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_scse.errors import RunError
from napari_scse.events import Event, Progress
from napari_scse.runs.places import fetched_runs
from napari_scse.runs.registry import RegisteredFile, RegisteredRun, is_whole, read_registry, sha256_of
from napari_scse.runs.run import Run
from napari_scse.settings import MODELS_VARIABLE, models_base

if TYPE_CHECKING:
    import requests

_SILENCE = 15.0  # seconds without a byte, after which a server is given up
_BEAT = 0.1  # seconds between two events
_CHUNK = 1 << 16  # bytes


def find_base(base: str | Path | None = None) -> str | Path | None:
    """Where runs are fetched from: `base`, what NAPARI_SCSE_MODELS says, what is preferred, or nowhere (None).

    Returns
    -------
    str or Path
        An address (http or https) or a folder.

    Raises
    ------
    RunError
        If it is neither.
    """
    given = str(base or "").strip() or models_base()
    if not given:
        return None
    if given.lower().startswith(("http://", "https://")):
        return given.rstrip("/")
    if "://" in given or not Path(given).expanduser().is_dir():
        raise RunError(f"Runs are fetched from an address (https://…) or a folder; {given} is neither.")
    return Path(given).expanduser()


def how_to_get(run: RegisteredRun) -> str:
    """Say how a run can be had that is not here, while nothing says where to fetch it from."""
    return (
        f"The run {run.name} ({run.megabytes}) is not on this computer, and nothing says where to fetch it from: set "
        f"{MODELS_VARIABLE} to the address or folder that has it, or use 'napari-scse fetch {run.name} --from "
        "URL|FOLDER'; 'napari-scse install PATH' installs a run from a folder or a zip file."
    )


def fetch_run(name: str, base: str | Path | None = None) -> Generator[Event, None, Run]:
    """Fetch a registered run into `fetched_runs`, or complete and repair what is there.

    Parameters
    ----------
    name
        The name of a run in the registry.
    base
        See `find_base`. A folder has the runs' folders, or the files as ``<run>--<file>``; below an address are the
        latter.

    Yields
    ------
    Progress
        In kB, several times a second, also while nothing arrives.

    Raises
    ------
    RunError
        If the registry does not know `name`, nothing says where to fetch from, it cannot be reached, or it has
        something else than what is registered.
    """
    run = read_registry().get(name)
    if run is None:
        known = ", ".join(read_registry()) or "none"
        raise RunError(f"There is no run called {name!r} to fetch; there are: {known}.")
    folder, source = fetched_runs() / run.name, find_base(base)
    if source is None:
        if is_whole(run, folder):
            return Run(folder)
        raise RunError(how_to_get(run))
    transfer = _Transfer(run, source, folder)
    with ThreadPoolExecutor(1) as pool:  # its end waits for the thread
        work = pool.submit(transfer.carry_out)
        try:
            while not wait([work], timeout=_BEAT).done:
                yield transfer.progress
        finally:
            transfer.stop.set()
        work.result()
    yield transfer.progress
    return Run(folder)


class _Transfer:
    """Brings the files of a run into a folder, in a thread of its own."""

    def __init__(self, run: RegisteredRun, base: str | Path, folder: Path) -> None:
        self._run, self._base, self._folder = run, base, folder
        self._before = self._arrived = 0  # bytes of the finished files, and of the one in progress
        self.stop = threading.Event()

    @property
    def progress(self) -> Progress:
        """How far it is."""
        total = max(1, round(self._run.size / 1000))
        return Progress(min(total, round((self._before + self._arrived) / 1000)), total, "kB fetched")

    def carry_out(self) -> None:
        """Fetch what is missing or different, until `stop` is set."""
        import pooch

        files = self._run.files
        self._forget_older(files[-1])
        try:
            with _silent(pooch.get_logger()), suppress(CancelledError):
                for file in files:
                    self._fetch(file, self._find(file))
                    self._before, self._arrived = self._before + file.size, 0
        finally:
            with suppress(OSError):  # it is not empty, or was not made
                self._folder.rmdir()

    def _forget_older(self, description: RegisteredFile) -> None:
        """Remove the run.json of an older version: it would describe a mixture while other files are replaced."""
        file = self._folder / description.name
        try:
            if sha256_of(file) != description.sha256:
                file.unlink(missing_ok=True)
        except FileNotFoundError:
            pass  # none is there, or another process has just removed it
        except OSError as error:
            raise RunError(f"{file} cannot be replaced: {error.strerror or error}.") from error

    def _find(self, file: RegisteredFile) -> str:
        asset = self._run.asset_name(file)
        if isinstance(self._base, str):
            return f"{self._base}/{asset}"
        places = (self._base / self._run.name / file.name, self._base / asset)
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise RunError(f"The folder {self._base} has no {self._run.name}/{file.name}, and no {asset} either.")
        return str(found)

    def _fetch(self, file: RegisteredFile, source: str) -> None:
        import pooch
        import requests

        hashes, urls = {file.name: f"sha256:{file.sha256}"}, {file.name: source}
        store = pooch.Pooch(self._folder, base_url="", registry=hashes, urls=urls)
        try:
            store.fetch(file.name, downloader=partial(self._receive, file))
        except requests.RequestException as error:
            raise RunError(f"{source} cannot be fetched: {_reason(error)}.") from error
        except OSError as error:
            raise RunError(f"{source} cannot be copied to {self._folder}: {error.strerror or error}.") from error
        except ValueError as error:  # pooch's answer to another SHA-256; it has removed the file
            raise RunError(
                f"{source} is not the file that was published (its SHA-256 differs), and nothing was kept of it. Try "
                "again; if that does not help, fetch the run from somewhere else."
            ) from error

    def _receive(self, file: RegisteredFile, source: str, part: str, _: object) -> None:
        """Write what `source` has to the file `part`: pooch calls this where a file is missing or different."""
        chunks = _from_server(source) if isinstance(self._base, str) else _from_disk(Path(source))
        with closing(chunks), Path(part).open("wb") as stream:
            for chunk in chunks:
                if self.stop.is_set():
                    raise CancelledError
                self._arrived += len(chunk)
                if self._arrived > file.size:
                    raise RunError(f"{source} is larger than the {file.size} bytes of the file that was published.")
                stream.write(chunk)
        Path(part).chmod(_file_mode())  # pooch makes it for its owner only; a cache may be shared


def _file_mode() -> int:
    """The permissions that a new file gets."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _from_server(url: str) -> Generator[bytes, None, None]:
    import requests

    with requests.get(url, stream=True, timeout=_SILENCE, headers={"Accept-Encoding": "identity"}) as response:
        response.raise_for_status()
        yield from response.iter_content(_CHUNK)


def _from_disk(file: Path) -> Generator[bytes, None, None]:
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _reason(error: requests.RequestException) -> str:
    """Say in a few words why a server did not give a file."""
    import requests

    if error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"the server did not answer within {_SILENCE:.0f} seconds"
    if isinstance(error, requests.exceptions.SSLError):
        return "there is no secure connection to the server"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off before the end of the file"
    if isinstance(error, requests.ConnectionError):
        return "there is no connection to the server, or it broke off"
    return " ".join(str(error).split()).rstrip(".")


@contextmanager
def _silent(logger: logging.Logger) -> Iterator[None]:
    """Keep what this thread does out of `logger`, whose lines go to stderr; other users of it see theirs."""
    thread = threading.get_ident()

    def others(record: logging.LogRecord) -> bool:
        return record.thread != thread

    logger.addFilter(others)
    try:
        yield
    finally:
        logger.removeFilter(others)
