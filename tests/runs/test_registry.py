"""The registry: what it says of runs, and that the one that comes with the package agrees with the models here."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_scse.errors import RunError
from napari_scse.runs import BUNDLED, RegisteredRun, Run, read_registry, registry
from napari_scse.runs.publishing import register_run, register_runs, registry_text
from napari_scse.runs.registry import sha256_of

ROOT = Path(__file__).parents[2]
REGISTRY = registry.REGISTRY
MODELS = ROOT / "models"

Publish = Callable[..., RegisteredRun]


def test_the_registry_that_comes_with_the_package_can_be_read() -> None:
    runs = read_registry()
    assert list(runs) == sorted(runs)
    assert not {path.name for path in BUNDLED.iterdir()} & set(runs)


@pytest.mark.skipif(not (MODELS / "README.md").is_file(), reason="the models are in the repository only")
def test_the_registry_and_the_models_agree() -> None:
    assert REGISTRY.read_text(encoding="utf-8") == registry_text(register_runs(MODELS)), (
        "models/ has changed: run tools/make_registry.py"
    )


def test_what_is_registered(publish: Publish, tmp_path: Path) -> None:
    entry = publish(name="far-1.0", kind="u-net", excitation="cse", plane="axial", epochs=2)
    assert read_registry() == {"far-1.0": entry}
    assert (entry.network, entry.excitation, entry.plane, entry.classes) == ("u-net", "cse", "axial", 27)
    assert (entry.description, entry.licence) == ("A small network, untrained, for tests.", "BSD-3-Clause")
    assert entry.epochs == (1, 2)
    assert [file.name for file in entry.files][-1] == "run.json"
    folder = tmp_path / "models" / "far-1.0"
    assert {(f.name, f.size, f.sha256) for f in entry.files} == {
        (path.name, path.stat().st_size, sha256_of(path)) for path in folder.iterdir()
    }
    assert entry.size == sum(path.stat().st_size for path in folder.iterdir())
    assert entry.asset_name(entry.files[-1]) == "far-1.0--run.json"
    assert not entry.has_spatial_gates


def test_cards_of_bundled_runs_can_be_published() -> None:
    for path in sorted(BUNDLED.iterdir()):
        entry = register_run(Run(path))
        assert entry.licence == "BSD-3-Clause"
        assert entry.description.startswith(("Segmentation", "Exploration", "A ", "An "))


def test_the_tool_writes_the_registry_and_the_assets(
    publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = publish(epochs=1)
    tool = ROOT / "tools" / "make_registry.py"
    if not tool.is_file():
        pytest.skip("the tools are in the repository only")
    out, assets = tmp_path / "again.json", tmp_path / "assets"
    arguments = [str(tool), str(tmp_path / "models"), "--out", str(out), "--assets", str(assets)]
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(str(tool), run_name="__main__")
    assert "1 runs" in capsys.readouterr().out
    assert out.read_bytes() == registry.REGISTRY.read_bytes()
    assert sorted(path.name for path in assets.iterdir()) == sorted(f"far--{file.name}" for file in entry.files)
    (tmp_path / "models" / "far" / "README.md").unlink()
    with pytest.raises(SystemExit, match="has a card"):
        runpy.run_path(str(tool), run_name="__main__")
    assert out.read_bytes() == registry.REGISTRY.read_bytes()


@pytest.mark.parametrize("name", ["two--dashes", "-far", "far away", "..", "a/b"])
def test_names_that_are_no_part_of_an_address(name: str, tiny_run: Callable[..., Run]) -> None:
    run = tiny_run(epochs=1)
    described = json.loads((run.path / "run.json").read_text()) | {"name": name}
    (run.path / "run.json").write_text(json.dumps(described))
    with pytest.raises(RunError, match="cannot be published"):
        register_run(Run(run.path))


def test_what_cannot_be_published(publish: Publish, tmp_path: Path) -> None:
    publish(epochs=1)
    run = Run(tmp_path / "models" / "far")
    card = (run.path / "README.md").read_text()
    for text in ("", "# far\n", card.replace("**Licence**", "Licence"), card.replace("A small", "# A small")):
        (run.path / "README.md").write_text(text)
        with pytest.raises(RunError, match="Licence"):
            register_run(run)
    (run.path / "README.md").write_text(card)
    (run.path / "resume.safetensors").write_bytes(b"")
    with pytest.raises(RunError, match=r"resume\.safetensors"):
        register_run(run)
    (run.path / "resume.safetensors").unlink()
    run.checkpoint(1).unlink()
    with pytest.raises(RunError, match="no checkpoint"):
        register_run(run)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"format": 1', '"format": 2'),
        ('"far"', '"../far"'),
        ('"far"', '"/far"'),
        ('"README.md"', '"../README.md"'),
        ('"README.md"', '"run.pkl"'),
        ('"README.md"', '"metrics.jsonl"'),
        ('"sha256": "', '"sha256": "x'),
        ('"size": ', '"size": -'),
        ('"run.json"', '"epoch-0009.safetensors"'),
        ('"plane"', '"plain"'),
        ("{", "["),
        ('"runs"', '"walks"'),
    ],
)
def test_a_damaged_registry_is_refused(old: str, new: str, publish: Publish) -> None:
    publish(epochs=1)
    text = registry.REGISTRY.read_text()
    assert old in text
    registry.REGISTRY.write_text(text.replace(old, new))
    with pytest.raises(RunError, match="registry"):
        read_registry()
