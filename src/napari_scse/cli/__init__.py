"""The command line: `napari-scse VERB …`, one small module per verb.

`main` is the only place where an error becomes a line and an exit code:

* 0: done; what was asked for is on stdout or in the output file.
* 2: the input, the options or the surroundings do not allow it; one line on stderr says why, and nothing was written
  but what is whole in itself (finished epochs, files that were fetched).
* 130 (143): interrupted from the keyboard (ended by the system); one line, and nothing half-written stays behind.

Anything else that escapes is a defect of this program and keeps its traceback.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

__all__ = ["main"]

PROGRAM = "napari-scse"
BAD_INPUT = 2
INTERRUPTED = 130
TERMINATED = 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments
        What follows the program's name. None: this process was started as the program; the arguments are the
        process's own, libraries' warnings are hidden from the user (unless Python was asked for them), and being
        terminated tidies up like being interrupted.
    """
    if arguments is None:
        arguments = sys.argv[1:]
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
        signal.signal(signal.SIGTERM, _terminated)
        if isinstance(sys.stdout, io.TextIOWrapper):  # a name that the terminal cannot show is no reason to stop
            sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run(arguments or ["--help"])
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except _Terminated:
        return _fail("terminated; nothing half-written was left.", TERMINATED)
    except BrokenPipeError:  # whoever read our output has seen enough (`napari-scse params | head -3`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return _fail("interrupted; nothing half-written was left.", code) if code == INTERRUPTED else code


def _run(arguments: Sequence[str]) -> int:
    import typer

    from napari_scse.cli.app import app
    from napari_scse.errors import ScseError

    usage_error: type[Exception] = typer.BadParameter.__bases__[0]  # it lies elsewhere in other versions of typer
    try:
        code = app(args=list(arguments), prog_name=PROGRAM, standalone_mode=False)
    except ScseError as error:
        return _fail(str(error))
    except usage_error as error:
        return _fail(_usage_message(error))
    except typer.Abort:
        return INTERRUPTED
    except MemoryError:
        return _fail("There is not enough memory for this; close other programs or take a machine with more.")
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}.")
    return code if isinstance(code, int) else 0


def _usage_message(error: Exception) -> str:
    """Say what is wrong with the options, and where they are explained."""
    message: str = error.format_message()  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    command = PROGRAM if context is None else context.command_path
    return f"{message.rstrip('.')}. See '{command} --help'."


def _fail(message: str, code: int = BAD_INPUT) -> int:
    """Print `message` as one line on stderr and return `code`."""
    sys.stderr.write(f"{PROGRAM}: {' '.join(message.split())}\n")
    return code


class _Terminated(BaseException):
    """The system asks this process to end; every `finally` on the way out removes its temporary file."""


def _terminated(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - what a signal handler gets
    raise _Terminated
