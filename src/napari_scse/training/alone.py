"""One training at a time in a run's folder, whichever process it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from napari_scse.atomic import remove_parts
from napari_scse.errors import RunError

LOCK_FILE = "training.lock"  # there while somebody trains; the system forgets the lock of a process that was killed


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Have `folder`, which is made where it is not there, for this training alone.

    Raises
    ------
    RunError
        Somebody else trains in it, or it cannot be written.
    """
    lock = FileLock(folder / LOCK_FILE, thread_local=False)  # a generator may be closed in another thread
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(f"The training {folder.resolve().name} is still running.") from error
    except OSError as error:
        raise RunError(f"The run cannot be written to {folder}: {error.strerror or error}.") from error
    try:
        remove_parts(folder, ".safetensors")
        yield
    finally:
        with suppress(OSError):  # before it is released: whoever comes next makes a new one
            (folder / LOCK_FILE).unlink(missing_ok=True)
        with suppress(OSError):  # something lies in it
            if made:
                folder.rmdir()
        lock.release()
