"""What the doctor looks at: the same on the command line and in the window, naming nobody, with advice that fits."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from napari_scse.diagnosis import Advice, Finding, Section, diagnose, report_text
from napari_scse.diagnosis.machine import driver_advice, nvidia_cards, nvidia_driver, parse_cards
from napari_scse.events import Progress, drain
from napari_scse.exploration.shelf import BOUND, Shelf
from napari_scse.runs import find_base, user_runs
from napari_scse.settings import PREFERRED

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="the tool is a shell script here")


def test_all_of_it_is_looked_at() -> None:
    told: list[Progress] = []
    extra = Section("Preferences", (Finding("device", "auto"),))
    sections = drain(diagnose([extra]), lambda event: told.append(event))  # type: ignore[arg-type]
    assert [section.title for section in sections] == ["Versions", "Devices", "Preferences", "Window", "Folders"]
    assert [event.done for event in told] == [0, 1, 2, 3]
    found = {finding.name: finding.text for section in sections for finding in section.findings}
    assert "GiB are free" in found["memory"]
    assert {"PyTorch build", "NVIDIA driver", "your runs", "cache", "free there"} <= found.keys()
    assert report_text(sections).count("\n  ") == len([f for s in sections for f in s.findings])


def test_a_report_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere/ada")
    monkeypatch.setenv("USERPROFILE", "/somewhere/ada")
    monkeypatch.setenv("USER", "ada")
    text = "in /somewhere/ada/runs, /data/ada/x, adaptive, /media/ada"
    sections = (Section("Folders", (Finding("runs", text),)),)
    assert "in ~/runs, /data/user/x, adaptive, /media/user" in report_text(sections)
    assert text in report_text(sections, private=False)


def test_advice_is_written_below_what_it_is_about() -> None:
    finding = Finding("driver", "550", Advice("Paste this:", "pip install x"))
    name, sentence, line = report_text((Section("Devices", (finding,)),)).splitlines()[1:]
    assert name.split() == ["driver", "550"]
    assert sentence.strip() == "→ Paste this:"
    assert line.strip() == "pip install x"


@pytest.mark.parametrize("built", [None, "", "12.8"])
@pytest.mark.parametrize("driver", ["", "550.54"])
@pytest.mark.parametrize("system", ["linux", "win32"])
def test_a_card_that_torch_cannot_use(built: str | None, driver: str, system: str) -> None:
    advice = driver_advice(built, driver, bool(driver), system)
    assert (advice is not None) == (not built and bool(driver))
    if advice is not None:
        assert "-m pip install --force-reinstall torch" in advice.line
        assert sys.executable in advice.line
        assert ("pytorch.org/get-started" in advice.sentence) == (system == "win32")
        assert ("--index-url" in advice.line) == (system == "win32")


def test_what_the_drivers_tool_prints() -> None:
    one, other = parse_cards("NVIDIA A100, 550.54.15, 40960, 1024\nGeForce RTX 4090, 551.1, 24564, 24000\n")
    assert (one.name, one.driver, one.total, one.free) == ("NVIDIA A100", "550.54.15", 40960 << 20, 1024 << 20)
    assert other.name == "GeForce RTX 4090"
    assert parse_cards("No devices were found\n") == ()
    assert parse_cards("Tesla, 470, [N/A], [N/A]") == ()


def _tool(folder: Path, script: str) -> None:
    file = folder / "nvidia-smi"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


@POSIX
def test_the_tool_is_asked_and_may_be_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    _tool(tmp_path, "echo 'NVIDIA A100, 550.54.15, 40960, 1024'")
    assert nvidia_driver() == "550.54.15"
    _tool(tmp_path, "echo 'it fell asleep' >&2; exit 9")
    assert nvidia_cards() == ()
    _tool(tmp_path, "sleep 20")
    assert nvidia_cards(timeout=0.2) == ()


@POSIX
def test_the_report_advises_where_there_is_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    if torch.version.cuda or torch.version.hip:
        pytest.skip("this torch is built for GPUs")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    _tool(tmp_path, "echo 'NVIDIA A100, 550.54.15, 40960, 1024'")
    text = report_text(drain(diagnose()))
    assert "NVIDIA A100, 1.0 of 40.0 GiB are free" in text
    assert "for CPUs only. Paste this line" in text


def test_what_is_preferred_gives_way_to_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("runs", "models"):
        (tmp_path / name).mkdir()
        monkeypatch.delenv(f"NAPARI_SCSE_{name.upper()}", raising=False)
    monkeypatch.setattr(PREFERRED, "runs", str(tmp_path / "runs"))
    monkeypatch.setattr(PREFERRED, "models", str(tmp_path / "models"))
    monkeypatch.setattr(PREFERRED, "film_bytes", 1 << 30)
    assert (user_runs(), find_base()) == (tmp_path / "runs", tmp_path / "models")
    assert Shelf(tmp_path).bound == 1 << 30
    monkeypatch.setenv("NAPARI_SCSE_RUNS", str(tmp_path / "other"))
    monkeypatch.setenv("NAPARI_SCSE_MODELS", "https://example.org/models")
    assert (user_runs(), find_base()) == (tmp_path / "other", "https://example.org/models")
    assert find_base(tmp_path) == tmp_path  # an argument wins over both
    monkeypatch.setattr(PREFERRED, "film_bytes", None)
    assert (Shelf(tmp_path).bound, Shelf(tmp_path, 5).bound) == (BOUND, 5)
