"""A training as a process of its own: it survives the program that started it, and any other can look after it.

Everything that is known of it lies in the run's folder::

    train.json      the whole configuration
    events.jsonl    what it says, one event a line
    process.json    PID and time of creation of the process
    control         what it is asked to do; usually not there
    train.log       its last words, if it failed
    from-layers/    scans and labels that were layers of a viewer
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from napari_scse.atomic import remove_parts, write_atomically
from napari_scse.errors import RunError
from napari_scse.events import Began, Ended, Paused
from napari_scse.training.alone import LOCK_FILE
from napari_scse.training.control import CONTROL_FILE, Wish, ask
from napari_scse.training.files import RESUME_STATE, TRAIN_FILE, has_epochs
from napari_scse.training.record import EVENTS_FILE, Tail, last_event

if TYPE_CHECKING:
    from napari_scse.training.config import TrainConfig

PROCESS_FILE, LOG_FILE, LAYERS_FOLDER = "process.json", "train.log", "from-layers"
# before the first epoch ends
_WRITTEN = (PROCESS_FILE, LOG_FILE, EVENTS_FILE, CONTROL_FILE, LOCK_FILE, TRAIN_FILE, RESUME_STATE, "run.json")
_PROGRAM = "import sys; from napari_scse.cli import main; sys.exit(main())"
_SAME = 2.0  # seconds by which the computer's clock may be set while a process lives
_LOG_END = 1 << 14  # bytes of the log in which the last words are looked for


class Phase(StrEnum):
    """How a training stands."""

    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    FAILED = "failed"

    @property
    def is_alive(self) -> bool:
        """Whether there is a process."""
        return self in (Phase.RUNNING, Phase.PAUSED)


@dataclass(frozen=True)
class Status:
    """How a training stands, and where it ended too early, why, in a sentence."""

    phase: Phase
    text: str = ""


@dataclass(frozen=True)
class Training:
    """A training in its run's `folder`: running, or not any more."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name, which is the run's."""
        return self.folder.name

    @property
    def status(self) -> Status:
        """How it stands now; quick enough for a timer."""
        alive = _is_alive(self.folder)
        last = last_event(self.folder / EVENTS_FILE)
        if alive:
            return Status(Phase.PAUSED if isinstance(last, Paused) else Phase.RUNNING)
        if isinstance(last, Ended):
            return Status(Phase(last.how), last.text)
        words = _last_words(self.folder / LOG_FILE)
        if words:
            return Status(Phase.FAILED, words)
        return Status(Phase.INTERRUPTED, "The training was ended from outside: killed, out of memory, or a shutdown.")

    @property
    def has_epochs(self) -> bool:
        """Whether an epoch is finished."""
        return has_epochs(self.folder)

    def events(self) -> Tail:
        """Return a reader of all that it said and will say."""
        return Tail(self.folder / EVENTS_FILE)

    def pause(self) -> None:
        """Ask it to finish its step and wait."""
        self._ask("pause")

    def go_on(self) -> None:
        """Ask it to end its pause."""
        self._ask("go on")

    def stop(self) -> None:
        """Ask it to finish its step and end; finished epochs stay, and it can be resumed."""
        self._ask("stop")

    def resume(self) -> None:
        """Start a process that goes on after the last finished epoch, with the same configuration.

        Raises
        ------
        RunError
            It is still running, or the folder has no configuration.
        """
        require_idle(self.folder)
        _launch(self.folder, resume=(self.folder / "run.json").exists())

    def discard(self) -> None:
        """Remove what a training that has nothing to show has written, and its folder if nothing else lies there.

        Raises
        ------
        RunError
            It is still running, or has finished epochs.
        """
        if _is_alive(self.folder) or self.has_epochs:
            raise RunError(f"The training {self.name} is running or has finished epochs: it was not removed.")
        for name in _WRITTEN:
            (self.folder / name).unlink(missing_ok=True)
        remove_parts(self.folder)
        shutil.rmtree(self.folder / LAYERS_FOLDER, ignore_errors=True)
        with suppress(OSError):  # something else lies there
            self.folder.rmdir()

    def _ask(self, wish: str) -> None:
        ask(self.folder, Wish(wish))


def require_free(folder: Path) -> None:
    """Raise `RunError` if `folder` holds a run, a training that is still running, or files that no training wrote."""
    if (folder / "run.json").exists() or _is_alive(folder):
        raise RunError(f"There is already a run called {folder.name}: give another name.")
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if there - {LAYERS_FOLDER} and TRAIN_FILE not in there:
        raise RunError(f"There is already a folder called {folder.name}, with other files: give another name.")


def require_idle(folder: Path) -> None:
    """Raise `RunError` if a process other than this one trains in `folder`."""
    if not _is_own(folder) and _is_alive(folder):
        raise RunError(f"The training {folder.name} is still running.")


def start_training(config: TrainConfig) -> Training:
    """Start a process that trains as `config` says; it goes on whatever becomes of this one.

    Raises
    ------
    RunError
        The folder holds a run already, or cannot be written.
    """
    from dataclasses import replace

    from napari_scse.training.stored import save_config

    folder = config.out.resolve()
    require_free(folder)
    save_config(replace(config, out=folder))
    for name in (EVENTS_FILE, LOG_FILE, PROCESS_FILE):
        (folder / name).unlink(missing_ok=True)
    return _launch(folder, resume=False)


def find_trainings(root: Path | None = None) -> list[Training]:
    """Return all trainings of the user's runs (or those in `root`) that were started as processes, newest first."""
    if root is None:
        from napari_scse.runs.places import user_runs

        root = user_runs()
    found: list[tuple[float, Path]] = []
    for file in root.glob(f"*/{PROCESS_FILE}"):
        with suppress(FileNotFoundError):  # somebody removes it just now
            found.append((file.stat().st_mtime, file.parent))
    return [Training(folder) for _, folder in sorted(found, reverse=True)]


def claim(folder: Path) -> Began:
    """Note that this process trains the run in `folder`; what an earlier one was asked to do is forgotten."""
    if not _is_own(folder):
        ask(folder, Wish.GO_ON)
    return register(folder)


def register(folder: Path, pid: int | None = None) -> Began:
    """Note which process (None: this one) trains the run in `folder`."""
    process = psutil.Process(pid)
    began = Began(process.pid, process.create_time())
    write_atomically(folder / PROCESS_FILE, json.dumps({"pid": began.pid, "since": began.since}).encode())
    return began


def _launch(folder: Path, resume: bool) -> Training:
    ask(folder, Wish.GO_ON)
    options = ["train", "--config", str(folder / TRAIN_FILE), "--events", str(folder / EVENTS_FILE)]
    command = [sys.executable, "-P", "-c", _PROGRAM, *options, *(["--resume"] if resume else [])]
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "cwd": folder}
    if sys.platform == "win32":
        quiet["creationflags"] = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
    else:
        quiet["start_new_session"] = True  # closing a terminal, or Ctrl-C in it, does not reach it
    try:
        with (folder / LOG_FILE).open("wb") as log:
            process = subprocess.Popen(command, stdout=log, **quiet)
        threading.Thread(target=process.wait, name=f"end of {folder.name}", daemon=True).start()  # leaves no zombie
        register(folder, process.pid)
    except psutil.NoSuchProcess:
        pass  # it has ended already: its log says why
    except OSError as error:
        raise RunError(f"The training could not be started in {folder}: {error.strerror or error}.") from error
    return Training(folder)


def _is_own(folder: Path) -> bool:
    """Whether the process that was noted is this one."""
    try:
        return int(json.loads((folder / PROCESS_FILE).read_text(encoding="utf-8"))["pid"]) == os.getpid()
    except (OSError, KeyError, TypeError, ValueError):
        return False


def _is_alive(folder: Path) -> bool:
    """Whether the process that was noted is there: the same one, not another that has got its number since."""
    try:
        noted = json.loads((folder / PROCESS_FILE).read_text(encoding="utf-8"))
        process = psutil.Process(int(noted["pid"]))
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        same_time = abs(process.create_time() - float(noted["since"])) < _SAME
        return same_time or str(folder / TRAIN_FILE) in process.cmdline()
    except (OSError, KeyError, TypeError, ValueError, psutil.Error):
        return False


def _last_words(log: Path) -> str:
    """The sentence that a failed process left; empty where it left none, because it was ended from outside."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _LOG_END))
            lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    except OSError:
        return ""
    said = [line.partition(": ")[2] for line in lines if line.startswith("napari-scse: ")]
    if said:
        return "" if said[-1].startswith(("terminated", "interrupted")) else said[-1]
    if "Traceback (most recent call last):" in lines:
        return (
            f"Something unexpected ended the training ({lines[-1][:200]}). {log} has the details; please report them."
        )
    return ""
