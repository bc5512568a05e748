"""Fetching: from a folder and a server, whole or not at all, and never anything but what was published."""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pooch
import pytest
import torch

from napari_scse.errors import RunError
from napari_scse.events import Progress, drain
from napari_scse.runs import (
    Place,
    RegisteredRun,
    Run,
    fetch_run,
    fetched_runs,
    fetching,
    find_base,
    list_fetchable,
    list_runs,
    load_run,
    place_of,
    user_runs,
)
from napari_scse.runs.publishing import copy_assets, register_runs
from napari_scse.runs.registry import is_whole, sha256_of
from napari_scse.settings import MODELS_VARIABLE

Publish = Callable[..., RegisteredRun]
Serve = Callable[..., str]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Where `publish` makes runs."""
    return tmp_path / "models"


@pytest.fixture
def assets(tmp_path: Path, models: Path) -> Callable[[], Path]:
    """Copy what is published into one folder, as a release has it."""

    def copy() -> Path:
        copy_assets(register_runs(models), models, tmp_path / "assets")
        return tmp_path / "assets"

    return copy


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def assert_nothing_came(folder: Path) -> None:
    """Nothing of a run is there, nor a part of a file."""
    assert files_below(folder) == []
    assert [run.name for run in list_runs() if place_of(run) is Place.FETCHED] == []


@pytest.mark.parametrize("base", ["models", "assets", "server"])
def test_what_is_fetched_is_what_was_published(
    base: str, publish: Publish, models: Path, assets: Callable[[], Path], serve: Serve
) -> None:
    entry = publish(excitation="sse", epochs=2)
    where = {"models": lambda: models, "assets": assets, "server": lambda: serve(assets()) + "/"}[base]()
    assert [run.name for run in list_fetchable()] == ["far"]
    events: list[Progress] = []
    run = drain(fetch_run("far", where), events.append)
    assert run.path == fetched_runs() / "far"
    assert place_of(run) is Place.FETCHED
    assert {file.name: sha256_of(run.path / file.name) for file in entry.files} == {
        file.name: file.sha256 for file in entry.files
    }
    assert files_below(run.path) == sorted(file.name for file in entry.files)
    mask = os.umask(0)
    os.umask(mask)
    assert {stat.S_IMODE((run.path / file.name).stat().st_mode) for file in entry.files} == {0o666 & ~mask}
    assert run.epochs == (1, 2)
    x = torch.zeros(1, 1, 9, 11)
    with torch.inference_mode():
        assert torch.equal(run.network(2)(x), Run(models / "far").network(2)(x))
    assert list_fetchable() == []
    assert "far" in [one.name for one in list_runs()]
    assert all(isinstance(event, Progress) and event.done <= event.total for event in events)
    assert events[-1].done == events[-1].total
    assert drain(fetch_run("far")).path == run.path  # it is here: that needs no address


def test_a_run_is_fetched_when_it_is_first_used(
    publish: Publish, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(epochs=1)
    with pytest.raises(RunError, match=f"set {MODELS_VARIABLE}.*napari-scse fetch far --from.*install PATH"):
        load_run("far")
    monkeypatch.setenv(MODELS_VARIABLE, str(models))
    assert load_run("far").epochs == (1,)
    monkeypatch.setenv(MODELS_VARIABLE, "http://127.0.0.1:9")  # nobody is there, and nobody is asked
    assert load_run("far").path == fetched_runs() / "far"
    assert [run.name for run in list_runs()].count("far") == 1


@pytest.mark.usefixtures("publish")
def test_an_unknown_name_says_what_there_is(publish: Publish) -> None:
    publish(epochs=1)
    with pytest.raises(RunError, match="to be fetched: far"):
        load_run("nonsense")
    with pytest.raises(RunError, match="no run called 'nonsense' to fetch; there are: far"):
        drain(fetch_run("nonsense"))


@pytest.mark.parametrize("base", ["ftp://example.org/runs", "file:///runs", "no/such/folder"])
def test_a_base_is_an_address_or_a_folder(base: str, publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(epochs=1)
    with pytest.raises(RunError, match="neither"):
        drain(fetch_run("far", base))
    monkeypatch.setenv(MODELS_VARIABLE, base)
    with pytest.raises(RunError, match="neither"):
        load_run("far")


def test_the_option_goes_before_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODELS_VARIABLE, "https://example.org/runs/")
    assert find_base() == "https://example.org/runs"
    assert find_base(tmp_path) == tmp_path
    monkeypatch.setenv(MODELS_VARIABLE, " ")
    assert find_base() is None


@pytest.mark.parametrize("where", ["folder", "server"])
@pytest.mark.parametrize("damage", ["other", "shorter", "longer", "missing"])
def test_anything_but_what_was_published_is_refused(
    damage: str, where: str, publish: Publish, assets: Callable[[], Path], serve: Serve
) -> None:
    publish(epochs=1)
    folder = assets()
    file = folder / "far--epoch-0001.safetensors"
    content = file.read_bytes()
    changed = {"other": content[:-1] + b"?", "shorter": content[:-9], "longer": content + b"0" * 70_000}.get(damage)
    said = {"longer": "larger than", "missing": "404" if where == "server" else "has no"}.get(damage, "SHA-256 differs")
    file.unlink() if changed is None else file.write_bytes(changed)
    with pytest.raises(RunError, match=said):
        drain(fetch_run("far", folder if where == "folder" else serve(folder)))
    assert files_below(fetched_runs()) == ["far/README.md"]  # what was whole, and came before
    assert [run.name for run in list_fetchable()] == ["far"]
    file.write_bytes(content)
    assert drain(fetch_run("far", folder)).epochs == (1,)  # it goes on from there


class Broken(BaseHTTPRequestHandler):
    """Promises more than it gives."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "90")
        self.end_headers()
        self.wfile.write(b"half")

    def log_message(self, *_: object) -> None:
        pass


class Busy(Broken):
    """Has no time."""

    def do_GET(self) -> None:
        self.send_error(503, "Busy\r")


@pytest.fixture
def waiting() -> type[BaseHTTPRequestHandler]:
    """A server that begins, and then waits until it is told to go on."""

    class Waiting(Broken):
        begun = threading.Event()
        go_on = threading.Event()

        def do_GET(self) -> None:
            super().do_GET()
            self.wfile.flush()
            self.begun.set()
            self.go_on.wait(30)

    return Waiting


@pytest.mark.parametrize(("server", "said"), [(Broken, "broke off"), (Busy, "answered 503")])
def test_a_server_that_fails(server: type[BaseHTTPRequestHandler], said: str, publish: Publish, serve: Serve) -> None:
    publish(epochs=1)
    with pytest.raises(RunError, match=said) as caught:
        drain(fetch_run("far", serve(server)))
    assert str(caught.value).count("\n") == 0
    assert_nothing_came(fetched_runs())
    assert not (fetched_runs() / "far").exists()


def test_a_server_that_is_not_there(publish: Publish) -> None:
    publish(epochs=1)
    with pytest.raises(RunError, match="no connection"):
        drain(fetch_run("far", "http://127.0.0.1:9"))
    assert_nothing_came(fetched_runs())


def test_a_server_that_falls_silent(
    waiting: type[BaseHTTPRequestHandler], publish: Publish, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(epochs=1)
    monkeypatch.setattr(fetching, "_SILENCE", 0.3)
    address = serve(waiting)
    try:
        with pytest.raises(RunError, match=r"did not answer|broke off"):
            drain(fetch_run("far", address))
    finally:
        waiting.go_on.set()  # type: ignore[attr-defined]
    assert_nothing_came(fetched_runs())


def test_stopped_in_the_middle_of_a_file(waiting: type[BaseHTTPRequestHandler], publish: Publish, serve: Serve) -> None:
    publish(epochs=1)
    work = fetch_run("far", serve(waiting))
    next(work)
    assert waiting.begun.wait(30)  # type: ignore[attr-defined]
    before = time.monotonic()
    assert isinstance(next(work), Progress)  # also while nothing arrives
    assert time.monotonic() - before < 5
    waiting.go_on.set()  # type: ignore[attr-defined]
    work.close()
    assert_nothing_came(fetched_runs())


def test_two_at_once(publish: Publish, assets: Callable[[], Path], serve: Serve) -> None:
    entry = publish(epochs=3)
    address = serve(assets())
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: drain(fetch_run("far", address)), range(4)))
    assert {run.epochs for run in runs} == {(1, 2, 3)}
    assert is_whole(entry, fetched_runs() / "far")
    assert files_below(fetched_runs() / "far") == sorted(file.name for file in entry.files)


def test_a_damaged_copy_is_fetched_anew(publish: Publish, models: Path) -> None:
    entry = publish(epochs=2)
    run = drain(fetch_run("far", models))
    run.checkpoint(1).write_bytes(b"damaged")
    (run.path / "run.json").write_text("{}")
    assert [one.name for one in list_fetchable()] == ["far"]
    assert "far" not in [one.name for one in list_runs()]
    again = drain(fetch_run("far", models))
    assert is_whole(entry, again.path)
    again.network(1)


def test_what_the_user_has_of_that_name_comes_first(
    publish: Publish, models: Path, tiny_run: Callable[..., Run]
) -> None:
    publish(epochs=1)
    drain(fetch_run("far", models))
    own = tiny_run(name="far", folder=user_runs())
    assert load_run("far").path == own.path
    assert [one.path for one in list_runs() if one.name == "far"] == [own.path]


def test_pooch_is_silent_here_and_nowhere_else(
    publish: Publish, models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    publish(epochs=1)
    drain(fetch_run("far", models))
    assert capfd.readouterr().err == ""
    assert pooch.get_logger().filters == []
    assert pooch.get_logger().isEnabledFor(logging.INFO)
