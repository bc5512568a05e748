"""A screen to draw napari's window on: the one there is, or a virtual one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from napari_scse.diagnosis.window import has_display
from napari_scse.errors import InputError

_SIZE = "1600x1000x24"
_NO_XVFB = (
    "There is no display, and no Xvfb to draw the window on without one: install it (on Debian and Ubuntu "
    "“apt-get install xvfb”), or run the demo on a desktop."
)


@contextmanager
def screen() -> Iterator[dict[str, str]]:
    """Give the environment variables for a process that opens a window; Xvfb runs meanwhile where there is no display.

    Raises
    ------
    InputError
        If there is neither a display nor Xvfb, or Xvfb does not start.
    """
    if has_display():
        yield dict(os.environ)
        return
    xvfb = shutil.which("Xvfb")
    if xvfb is None:
        raise InputError(_NO_XVFB)
    reading, writing = os.pipe()
    command = [xvfb, "-displayfd", str(writing), "-screen", "0", _SIZE, "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.PIPE, text=True)
    os.close(writing)
    try:
        with os.fdopen(reading) as numbers:
            number = numbers.readline().strip()  # empty if it ended without having found a display
        if not number:
            lines = (server.stderr.read() if server.stderr else "").strip().splitlines()
            raise InputError(f"Xvfb did not start: {lines[-1] if lines else 'it said nothing'}.")
        with tempfile.TemporaryDirectory(prefix="napari-scse-") as runtime:
            drawn_by_mesa = {"DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb", "LIBGL_ALWAYS_SOFTWARE": "1"}
            yield {"XDG_RUNTIME_DIR": runtime, **os.environ, **drawn_by_mesa}
    finally:
        server.terminate()
        server.communicate()
