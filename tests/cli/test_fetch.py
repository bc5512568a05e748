"""`napari-scse fetch`, `install`, and `runs` where there are runs to be fetched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from napari_scse.cli import main
from napari_scse.runs import RegisteredRun, Run, fetched_runs, list_fetchable, registry, user_runs
from napari_scse.runs.publishing import copy_assets, register_runs

Cli = Callable[..., Any]
Refuse = Callable[..., str]
Publish = Callable[..., RegisteredRun]

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the user's folders can only be moved by variables on Linux"
)


@pytest.fixture
def far(publish: Publish) -> RegisteredRun:
    """A published run that is not here."""
    return publish(epochs=2, excitation="sse")


def rows(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split() for line in text.splitlines()[1:]}


def test_a_run_is_listed_fetched_and_used(
    far: RegisteredRun, cli: Cli, tmp_path: Path, serve: Callable[..., str], scan_file: Path
) -> None:
    listed = rows(cli("runs").out)
    assert listed["far"][1:5] == ["fc-densenet", "sse", "coronal", "2"]
    assert listed["far"][-3:] == ["to", "be", "fetched"]
    assert listed["brain-t1-coronal"][-1] == "bundled"
    assert far.description in cli("runs", "far").out
    assert "epoch-0002.safetensors" in cli("runs", "far").out
    copy_assets(register_runs(tmp_path / "models"), tmp_path / "models", tmp_path / "assets")
    outcome = cli("fetch", "far", "--from", serve(tmp_path / "assets"))
    assert (outcome.code, outcome.out, outcome.err) == (0, f"{fetched_runs() / 'far'}\n", "")
    assert rows(cli("runs").out)["far"][-1] == "fetched"
    assert cli("runs", "far").out.split()[:2] == ["epoch", "loss"]
    assert cli("segment", scan_file, tmp_path / "labels.nii", "--run", "far").code == 0
    assert cli("fetch", "far").out == outcome.out  # again, without an address


def test_a_run_is_fetched_by_the_verb_that_needs_it(
    far: RegisteredRun, cli: Cli, refuse: Refuse, tmp_path: Path, scan_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("segment", scan_file, tmp_path / "labels.nii", "--run", far.name)
    assert "set NAPARI_SCSE_MODELS" in refuse(*arguments)
    monkeypatch.setenv("NAPARI_SCSE_MODELS", str(tmp_path / "models"))
    assert cli(*arguments).code == 0


@pytest.mark.usefixtures("far")
def test_what_cannot_be_fetched(refuse: Refuse, tmp_path: Path, serve: Callable[..., str]) -> None:
    assert "set NAPARI_SCSE_MODELS" in refuse("fetch", "far")
    assert "there are: far" in refuse("fetch", "near")
    assert "neither" in refuse("fetch", "far", "--from", tmp_path / "nowhere")
    fetched_runs().mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    assert "has no far/" in refuse("fetch", "far", "--from", tmp_path / "empty")
    assert "404" in refuse("fetch", "far", "--from", serve(tmp_path / "empty"))
    assert "no connection" in refuse("fetch", "far", "--from", "http://127.0.0.1:9")


def test_a_wrong_file_is_refused_and_removed(far: RegisteredRun, refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "models" / far.name / "README.md").write_text("something else, not longer")
    fetched_runs().mkdir(parents=True)
    assert "SHA-256 differs" in refuse("fetch", far.name, "--from", tmp_path / "models")


def test_listing_asks_nobody(far: RegisteredRun, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_SCSE_MODELS", "http://127.0.0.1:9")
    assert cli("runs").code == cli("runs", far.name).code == 0
    said = cli("doctor")
    assert said.code == 0
    assert "http://127.0.0.1:9" in said.out
    assert str(fetched_runs()) in said.out


@pytest.mark.usefixtures("far")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "kill"])
def test_interrupted(
    number: signal.Signals,
    code: int,
    serve: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The signal comes while a file arrives; nothing of it stays."""
    over = threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"#")
            self.wfile.flush()
            os.kill(os.getpid(), number)
            over.wait(1)

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setattr(sys, "argv", ["napari-scse", "fetch", "far", "--from", serve(Slow)])
    handler = signal.getsignal(signal.SIGTERM)
    try:
        assert main() == code
    finally:
        over.set()
        signal.signal(signal.SIGTERM, handler)
    assert capsys.readouterr().err.splitlines()[0].endswith("nothing half-written was left.")
    assert not list(fetched_runs().rglob("*"))


def test_two_programs_at_once(far: RegisteredRun, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from napari_scse.runs import registry; from napari_scse.cli import main;"
        "registry.REGISTRY = Path(sys.argv.pop(1)); sys.exit(main(sys.argv[1:]))"
    )
    arguments = (registry.REGISTRY, "fetch", far.name, "--from", tmp_path / "models")
    command = [sys.executable, "-c", code, *map(str, arguments)]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for program in started:
        out, err = program.communicate(timeout=120)
        assert (program.returncode, out, err) == (0, f"{fetched_runs() / far.name}\n", "")
    assert list_fetchable() == []


def test_install_from_a_folder_and_a_zip_file(
    publish: Publish, cli: Cli, refuse: Refuse, tiny_run: Callable[..., Run], tmp_path: Path
) -> None:
    assert publish is not None  # the user's folders are the test's own
    run = tiny_run(name="mailed", epochs=2)
    outcome = cli("install", run.path)
    assert (outcome.code, outcome.out, outcome.err) == (0, f"{user_runs() / 'mailed'}\n", "")
    assert rows(cli("runs").out)["mailed"][-1] == "yours"
    assert "--force" in refuse("install", run.path)
    archive = tmp_path / "mailed.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in run.path.iterdir():
            if "0002" not in path.name:
                file.write(path, f"mailed/{path.name}")
    assert cli("install", archive, "--force").code == 0
    assert Run(user_runs() / "mailed").epochs == (1,)
    assert [path.name for path in user_runs().iterdir()] == ["mailed"]
    assert "no such" in refuse("install", tmp_path / "no such.zip")
