"""The program as a whole: quick to start, one line for every mistake, tidy when it is interrupted."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest

import napari_scse
from napari_scse.cli import main
from napari_scse.cli.app import VERBS
from napari_scse.images import write
from napari_scse.runs import Run
from napari_scse.volume import Volume

PROGRAM = (sys.executable, "-c", "import sys; from napari_scse.cli import main; sys.exit(main())")
NO_WINDOWS = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal and signals")
NAMES = [verb.__name__ for verb in VERBS]


def test_help_names_every_verb_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from napari_scse.cli import main; code = main();"
        "heavy = {'torch', 'numpy', 'scipy', 'nibabel', 'zarr', 'napari', 'qtpy', 'rich.progress'} & set(sys.modules);"
        "sys.exit(code or (str(heavy) if heavy else 0))"
    )
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(name in done.stdout for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_verb_explains_itself(name: str, cli: Callable[..., Any]) -> None:
    outcome = cli(name, "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert f"napari-scse {name}" in outcome.out
    assert cli(name, "-h").out == outcome.out


def test_without_arguments_it_explains_itself(cli: Callable[..., Any]) -> None:
    assert cli() == cli("--help")


def test_version(cli: Callable[..., Any]) -> None:
    outcome = cli("--version")
    assert (outcome.code, outcome.out.strip(), outcome.err) == (0, napari_scse.__version__, "")


def test_a_name_that_the_terminal_cannot_show_is_shown_otherwise() -> None:
    code = "from napari_scse.cli import main; main(); print('crâne')"
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "cr\\xe2ne"), done.stderr


def test_an_account_without_a_home_folder(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> str:
        raise RuntimeError("could not determine the home directory")

    for name in ("user_data_dir", "user_cache_dir"):
        monkeypatch.setattr(platformdirs, name, unknown)
    outcome = cli("runs")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "napari-scse: This account has no home folder: set HOME to a folder that can be written to.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("segmnt",),
        ("--colour",),
        ("segment",),
        ("segment", "scan.nii.gz"),
        ("segment", "a.nii", "b.nii", "c.nii"),
        ("segment", "a.nii", "b.nii", "--colour", "red"),
        ("segment", "a.nii", "b.nii", "--run"),
        ("segment", "a.nii", "b.nii", "--frame", "first"),
        ("excite", "a.nii"),
        ("excite", "a.nii", "b.zarr", "--slab", "wide"),
        ("train",),
        ("train", "--out", "run", "--epochs", "many"),
        ("evaluate", "a.nii"),
        ("evaluate", "a.nii", "b.nii", "--map", "atlas"),
        ("params", "all"),
        ("runs", "one", "two"),
        ("doctor", "who"),
    ],
    ids=" ".join,
)
def test_mistakes_in_the_options(arguments: tuple[str, ...], refuse: Callable[..., str]) -> None:
    refuse(*arguments)


def test_a_mistyped_verb_is_corrected(refuse: Callable[..., str]) -> None:
    line = refuse("segmnt")
    assert "segment" in line
    assert line.endswith("See 'napari-scse --help'.")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only X11 and Wayland say where the display is")
def test_the_demo_without_a_display(monkeypatch: pytest.MonkeyPatch, refuse: Callable[..., str]) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert "--headless" in refuse("demo")


def test_the_demo_into_a_file(scan_file: Path, refuse: Callable[..., str]) -> None:
    refuse("demo", "--headless", scan_file)
    refuse("demo", "--headless", scan_file / "demo")


def _start(*arguments: object, **streams: Any) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TERM": "xterm", "COLUMNS": "200"}
    return subprocess.Popen([*PROGRAM, *map(str, arguments)], env=environment, text=True, **streams)


def test_as_a_program_bad_input_is_one_line_too(tmp_path: Path) -> None:
    (tmp_path / "scan.nii.gz").write_bytes(b"no scan")
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path}
    calls = [("evaluate", "scan.nii.gz", "scan.nii.gz"), ("segment", "scan.nii.gz", "labels.txt"), ("nose",)]
    started = [_start(*call, **streams) for call in calls]
    for program in started:
        out, err = program.communicate(timeout=120)
        assert (program.returncode, out) == (2, "")
        assert err.startswith("napari-scse: ")
        assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["scan.nii.gz"]


def test_whoever_has_read_enough_may_stop() -> None:
    program = _start("--help", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stdout is not None
    program.stdout.close()
    assert program.wait(timeout=120) == 1
    assert program.stderr is not None
    assert program.stderr.read() == ""
    program.stderr.close()


def _read_to_end(terminal: int) -> bytes:
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError as error:
        if error.errno != errno.EIO:  # how a Linux terminal says that its other end is closed
            raise
    os.close(terminal)
    return shown


@pytest.fixture
def long_scan(tmp_path: Path) -> Path:
    """A scan of so many slices that there is time to interrupt the work."""
    noise = np.random.default_rng(0).integers(0, 200, (40, 3000, 40), np.uint8)
    write(tmp_path / "long.nii", Volume(noise, np.diag([1.0, -1.0, 1.0, 1.0])))
    return tmp_path / "long.nii"


@NO_WINDOWS
def test_interrupted_at_a_terminal(long_scan: Path, run: Run, tmp_path: Path) -> None:
    """The bar appears, Ctrl-C comes, one line is left and no file."""
    folder = tmp_path / "results"
    folder.mkdir()
    terminal, end = os.openpty()
    arguments = ("segment", long_scan, folder / "labels.nii.gz", "--run", run.path)
    program = _start(*arguments, stdin=end, stdout=subprocess.DEVNULL, stderr=end)
    os.close(end)
    shown = b""
    while b"Segmenting long" not in shown:
        shown += os.read(terminal, 4096)
    program.send_signal(signal.SIGINT)
    rest = _read_to_end(terminal)
    assert program.wait(timeout=60) == 130
    assert rest.decode().rstrip().endswith("napari-scse: interrupted; nothing half-written was left.")
    assert b"Traceback" not in rest
    assert list(folder.iterdir()) == []


@NO_WINDOWS
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "kill"])
def test_interrupted_while_it_writes(
    number: signal.Signals,
    code: int,
    long_scan: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The signal comes as soon as the store is begun beside its place; it is gone afterwards."""
    folder = tmp_path / "results"
    folder.mkdir()
    arguments = ["excite", long_scan, folder / "maps.zarr", "--run", run.path, "--sites", "first"]
    monkeypatch.setattr(sys, "argv", ["napari-scse", *map(str, arguments)])

    def interrupt() -> None:
        deadline = time.monotonic() + 60
        while not list(folder.rglob("*/zarr.json")) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    handler = signal.getsignal(signal.SIGTERM)
    watcher = threading.Thread(target=interrupt)
    watcher.start()
    try:
        assert main() == code
    finally:
        watcher.join()
        signal.signal(signal.SIGTERM, handler)
    assert capsys.readouterr().err.splitlines()[0].endswith("nothing half-written was left.")
    assert list(folder.iterdir()) == []
