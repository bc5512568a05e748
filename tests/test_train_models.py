"""The script that trains the project's runs gives commands that the command line takes."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from napari_scse.cli.app import app
from napari_scse.synthesis import SynthesisConfig

SCRIPT = Path(__file__).parents[1] / "tools" / "train_models.py"


def listed(*arguments: object) -> list[list[str]]:
    line = [sys.executable, str(SCRIPT), *map(str, arguments), "--list"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)
    return [shlex.split(command) for command in done.stdout.splitlines()]


def test_every_command_is_one_that_train_takes_and_starts_from_one_before_it(tmp_path: Path) -> None:
    train = typer.main.get_command(app).commands["train"]  # type: ignore[attr-defined]
    made = set()
    for program, verb, *options in listed("maps", tmp_path):
        assert (Path(program).name, verb) == ("napari-scse", "train")
        values = train.make_context("train", options).params
        SynthesisConfig.parse(values["synthesis"])
        assert not values["init"] or values["init"] in made
        assert str(values["out"]) not in made
        made.add(str(values["out"]))
    assert len([name for name in made if "variant" in name]) == 16


def test_what_was_begun_goes_on(tmp_path: Path) -> None:
    name = "brain-t1-variant-unet-none"
    assert "--resume" not in listed("maps", tmp_path, name)[0]
    (tmp_path / name).mkdir()
    (tmp_path / name / "resume.safetensors").touch()
    assert listed("maps", tmp_path, name)[0][-1] == "--resume"
    with pytest.raises(subprocess.CalledProcessError):
        listed("maps", tmp_path, "nothing")
