"""Installing from files: all of a run that is right, or nothing; whatever a zip file tries."""

from __future__ import annotations

import json
import pickle
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from napari_scse.errors import RunError
from napari_scse.events import Progress, drain
from napari_scse.runs import (
    DEFAULT_RUN,
    Place,
    RegisteredRun,
    Run,
    fetch_run,
    install_run,
    list_runs,
    load_run,
    place_of,
    sources,
    user_runs,
)

Maker = Callable[..., Run]
Publish = Callable[..., RegisteredRun]


@pytest.fixture(autouse=True)
def _own_home(publish: Publish) -> None:
    """The user's folders are the test's own, and nothing is published."""


@pytest.fixture
def run(tiny_run: Maker) -> Run:
    """A run somewhere."""
    return tiny_run(epochs=2)


def pack(run: Run, archive: Path, *, folder: str = "", leave: str = "", **extra: bytes) -> Path:
    """Zip a run, and more files."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(run.path.iterdir()):
            if path.name != leave:
                file.write(path, folder + path.name)
        for name, content in extra.items():
            file.writestr(name, content)
    return archive


def assert_refused(path: Path, said: str) -> None:
    """Installing `path` is refused, and leaves nothing."""
    before = sorted(user_runs().rglob("*"))
    with pytest.raises(RunError, match=said) as caught:
        drain(install_run(path))
    assert len(str(caught.value)) < 600
    assert sorted(user_runs().rglob("*")) == before


@pytest.mark.parametrize("how", ["folder", "zip", "zip of a folder", "zip of a Mac"])
def test_a_run_is_installed(how: str, run: Run, tmp_path: Path) -> None:
    (run.path / "resume.safetensors").write_bytes(b"only needed to go on")
    mac = {"__MACOSX/tiny/run.json": b"x", "__MACOSX/tiny/._run.json": b"x", "tiny/.DS_Store": b"x"}
    path = {
        "folder": lambda: run.path,
        "zip": lambda: pack(run, tmp_path / "a.zip"),
        "zip of a folder": lambda: pack(run, tmp_path / "a.zip", folder="deep/er/"),
        "zip of a Mac": lambda: pack(run, tmp_path / "a.zip", folder="tiny/", **mac),
    }[how]()
    events: list[Progress] = []
    installed = drain(install_run(path), events.append)
    assert installed.path == user_runs() / "tiny"
    assert place_of(installed) is Place.YOURS
    assert load_run("tiny").path == installed.path
    names = {"run.json", "metrics.jsonl", "epoch-0001.safetensors", "epoch-0002.safetensors"}
    assert {file.name: file.read_bytes() for file in installed.path.iterdir()} == {
        name: (run.path / name).read_bytes() for name in names
    }
    assert events[-1].done == events[-1].total
    assert [file.name for file in user_runs().iterdir()] == ["tiny"]


def test_a_name_that_is_taken(run: Run, tiny_run: Maker) -> None:
    drain(install_run(run.path))
    other = tiny_run(epochs=1, excitation="cse")
    other.checkpoint(2).unlink()
    assert_refused(other.path, "already")
    assert load_run("tiny").epochs == (1, 2)
    assert drain(install_run(other.path, force=True)).epochs == (1,)
    assert [file.name for file in user_runs().iterdir()] == ["tiny"]


def test_the_name_of_a_bundled_run(run: Run) -> None:
    rename(run, DEFAULT_RUN)
    assert_refused(run.path, "comes with the package")
    with pytest.raises(RunError, match="comes with the package"):
        drain(install_run(run.path, force=True))


def rename(run: Run, name: str) -> None:
    described = json.loads((run.path / "run.json").read_text()) | {"name": name}
    (run.path / "run.json").write_text(json.dumps(described))


@pytest.mark.parametrize("name", ["../up", "/etc", "a/b", "", ".", "a b", "nul\0", "x" * 3 + "--y"])
def test_names_that_are_no_folders_name(name: str, run: Run) -> None:
    rename(run, name)
    assert_refused(run.path, "A run's name has letters")


def test_stopped_half_way(run: Run) -> None:
    work = install_run(run.path)
    next(work)
    work.close()
    assert list(user_runs().iterdir()) == []


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "/tmp/evil", "C:\\evil", "..\\evil", "a/..", "../run.json", "/run.json"],
)
def test_a_name_that_leads_out_of_the_zip_file(name: str, run: Run, tmp_path: Path) -> None:
    archive = pack(run, tmp_path / "a.zip")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(name, b"evil")
    assert_refused(archive, "leads out of it")
    assert not (tmp_path / "evil").exists()


def test_a_link_in_a_zip_file(run: Run, tmp_path: Path) -> None:
    archive = pack(run, tmp_path / "a.zip", leave="metrics.jsonl")
    info = zipfile.ZipInfo("metrics.jsonl")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(info, "/etc/passwd")
    assert_refused(archive, "is a link")


class Bomb:
    """Unpickling one of these leaves a file behind."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("name", ["weights.pt", "resume.pkl", "model.PTH", "epoch-0002.safetensors", "deep/er.ckpt"])
def test_a_pickle_is_refused_unread(name: str, run: Run, tmp_path: Path) -> None:
    marker = tmp_path / "exploded"
    bomb = pickle.dumps(Bomb(marker))
    said = "not a readable safetensors" if name.endswith("safetensors") else "may be a pickle"
    assert_refused(pack(run, tmp_path / "a.zip", leave=name, **{name: bomb}), said)
    if "/" not in name:
        (run.path / name).write_bytes(bomb)
        assert_refused(run.path, said)
        torch.save({"weights": Bomb(marker)}, run.path / name)
        assert_refused(run.path, said)
    assert not marker.exists()


def test_weights_that_do_not_fit(run: Run, tiny_run: Maker) -> None:
    other = tiny_run(name="other", epochs=1, maps=6)
    run.checkpoint(2).write_bytes(other.checkpoint(1).read_bytes())
    assert_refused(run.path, "epoch 2 do not fit")


def test_weights_that_are_cut_off(run: Run) -> None:
    content = run.checkpoint(2).read_bytes()
    run.checkpoint(2).write_bytes(content[:-5])
    assert_refused(run.path, "not a readable safetensors")


def test_what_is_no_run(run: Run, tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip file")
    assert_refused(tmp_path / "text.zip", "neither, or damaged")
    assert_refused(tmp_path / "nothing", "there is no")
    (tmp_path / "empty").mkdir()
    assert_refused(tmp_path / "empty", r"no run\.json")
    assert_refused(pack(run, tmp_path / "a.zip", leave="run.json"), "holds no")
    both = pack(run, tmp_path / "b.zip", folder="one/", **{"two/run.json": b"{}"})
    assert_refused(both, "holds several")
    content = both.read_bytes()
    both.write_bytes(content[: len(content) // 2])
    assert_refused(both, "neither, or damaged")
    (run.path / "run.json").write_text("{}")
    assert_refused(run.path, "format")


def test_a_zip_file_with_a_flipped_bit(run: Run, tmp_path: Path) -> None:
    archive = pack(run, tmp_path / "a.zip")
    content = bytearray(archive.read_bytes())
    content[len(content) // 3] ^= 0xFF
    archive.write_bytes(content)
    assert_refused(archive, "neither, or damaged")


def test_no_checkpoint_and_broken_metrics(run: Run, tiny_run: Maker) -> None:
    assert_refused(tiny_run(name="empty", epochs=0).path, "no checkpoint")
    (run.path / "metrics.jsonl").write_text("epoch 1: fine")
    assert_refused(run.path, "cannot be read")


def test_sizes_that_no_run_has(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = pack(run, tmp_path / "a.zip")
    monkeypatch.setattr(sources, "_MAX_WEIGHTS", 1000)
    assert_refused(archive, "more than any run's")
    assert_refused(run.path, "more than any run's")
    monkeypatch.setattr(sources, "_MAX_MEMBERS", 2)
    assert_refused(archive, "far more than a run has")


def test_the_name_of_a_published_run_is_kept_for_it(publish: Publish, tiny_run: Maker, tmp_path: Path) -> None:
    publish(epochs=2)
    published = tmp_path / "models" / "far"
    own = tiny_run(name="far", epochs=2, excitation="sse")
    assert_refused(own.path, "SHA-256 differs")
    assert drain(install_run(published)).epochs == (1, 2)
    assert [run.path.parent for run in list_runs() if run.name == "far"] == [user_runs()]
    fewer = drain(fetch_run("far", tmp_path / "models"))
    fewer.checkpoint(2).unlink()
    assert drain(install_run(fewer.path, force=True)).epochs == (1,)
    own.checkpoint(7).write_bytes(own.checkpoint(1).read_bytes())
    assert_refused(own.path, "SHA-256 differs")
