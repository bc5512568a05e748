"""What is published: the registry of a folder of runs, and their files under the names that they are fetched by."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from napari_scse.atomic import write_atomically
from napari_scse.errors import RunError
from napari_scse.runs.registry import FORMAT, RUN_FILE, RUN_NAME, RegisteredFile, RegisteredRun, sha256_of
from napari_scse.runs.run import Run

_LICENCE = re.compile(r"\*\*Licence\*\*:\s*(.+?)(?:\.\s|\.?$)", re.MULTILINE)


def register_runs(models: Path) -> list[RegisteredRun]:
    """Describe every run in a folder of `models`, by name; raises `RunError` for one that cannot be published."""
    return [register_run(Run(file.parent)) for file in sorted(models.glob("*/run.json"))]


def register_run(run: Run) -> RegisteredRun:
    """Describe a run for the registry.

    Raises
    ------
    RunError
        If its folder has another name than the run, or the name cannot be part of an address; if there is no
        checkpoint, or a file that is no part of a run; if its card, ``README.md``, lacks a description or a licence.
    """
    name, config = run.name, run.config
    if run.path.name != name or not RUN_NAME.fullmatch(name):
        raise RunError(
            f"{run.path} cannot be published: its folder is to be called as the run ({name}), by letters, digits, dots "
            "and single dashes."
        )
    files = sorted(path for path in run.path.iterdir() if not path.name.startswith("."))
    strange = [path.name for path in files if not RUN_FILE.fullmatch(path.name)]
    if strange or not run.epochs:
        raise RunError(f"{run.path} cannot be published: {', '.join(strange) or 'no checkpoint'} in it.")
    files.sort(key=lambda path: path.name == "run.json")  # the last
    description, licence = _read_card(run.path / "README.md")
    return RegisteredRun(
        name,
        description,
        licence,
        config.network.kind,
        str(config.network.excitation),
        str(config.plane),
        len(config.classes) - 1,
        run.epochs,
        tuple(RegisteredFile(path.name, path.stat().st_size, sha256_of(path)) for path in files),
    )


def registry_text(runs: Sequence[RegisteredRun]) -> str:
    """The content of ``registry.json``."""
    return json.dumps({"format": FORMAT, "runs": [asdict(run) for run in runs]}, indent=1, ensure_ascii=False) + "\n"


def write_registry(runs: Sequence[RegisteredRun], file: Path) -> None:
    """Write ``registry.json``."""
    write_atomically(file, registry_text(runs).encode())


def copy_assets(runs: Sequence[RegisteredRun], models: Path, folder: Path) -> None:
    """Copy all files of `runs` from `models` into one `folder`, under the names that they are fetched by."""
    folder.mkdir(parents=True, exist_ok=True)
    for run in runs:
        for file in run.files:
            shutil.copyfile(models / run.name / file.name, folder / run.asset_name(file))


def _read_card(file: Path) -> tuple[str, str]:
    """The first paragraph of a card below its heading, and the first words after its **Licence**."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise RunError(f"A published run has a card; {file} cannot be read: {error}.") from error
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n") if not part.lstrip().startswith(("#", "-"))]
    description = next(filter(None, paragraphs), "").replace("`", "")
    licence = _LICENCE.search(text)
    if not description or licence is None:
        raise RunError(f"{file} is to have a paragraph that describes the run, and a line with its **Licence**.")
    return description, licence[1]
