"""What is shipped: a manifest that napari finds, the bundled runs inside the wheel, documents that hold, no more."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email import message_from_string
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from npe2 import PluginManifest

import napari_scse

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "napari_scse"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAX_BUNDLED_MB = 64

# Spelt so that this file does not match itself.
UNFINISHED = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X]|NotImplemented[E]rror)\b")
TO_BE_FILLED_IN = re.compile(r"@[@][A-Z]")
SOMEBODYS_MACHINE = re.compile(r"(?<![\w.])/(home|Users|root|wor[k])/[\w.]+")
PICKLES = {".pt", ".pth", ".pkl", ".pickle", ".model", ".ckpt"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist and the wheel, built here from this tree without the network."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=240)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def tracked_files() -> list[Path]:
    """The project's own text files, whether or not git is there."""
    folders = ("src", "tests", "docs", "benchmarks", "tools", ".ci")
    files = [path for path in ROOT.iterdir() if path.is_file() and path.suffix != ".png"]
    files += [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    kinds = {".py", ".md", ".toml", ".yaml", ".txt", ".sh", ".cff", ".json", ""}
    return sorted(path for path in files if path.suffix in kinds and "__pycache__" not in path.parts)


def test_the_manifest_is_valid_and_lies_where_both_napari_and_people_look() -> None:
    top = ROOT / "napari.yaml"
    assert top.resolve() == PACKAGE / "napari.yaml"
    assert not (PACKAGE / "napari.yaml").is_symlink()
    manifest = PluginManifest.from_file(top)
    manifest.validate_imports()
    assert manifest.name == PROJECT["name"] == "napari-scse"
    assert all(command.id.startswith("napari-scse.") for command in manifest.contributions.commands or ())


def test_napari_finds_the_installed_manifest() -> None:
    manifest = PluginManifest.from_distribution("napari-scse")
    assert manifest.package_version == napari_scse.__version__
    contributions = manifest.contributions
    for kind in ("commands", "readers", "writers", "sample_data", "widgets", "menus"):
        assert getattr(contributions, kind), f"the manifest contributes no {kind}"
    (script,) = entry_points(group="console_scripts", name="napari-scse")
    assert callable(script.load())


def test_wheel(built: tuple[Path, Path]) -> None:
    _, wheel = built
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (info,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = message_from_string(archive.read(info).decode())
        text = archive.read("napari_scse/napari.yaml").decode()
    assert text == (PACKAGE / "napari.yaml").read_text(encoding="utf-8")
    assert "napari_scse/py.typed" in names
    sources = {path.relative_to(PACKAGE.parent).as_posix() for path in PACKAGE.rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == sources
    assert all(name.startswith(("napari_scse/", "napari_scse-")) for name in names)
    assert not [name for name in names if Path(name).suffix in PICKLES]
    assert metadata["Version"] == napari_scse.__version__
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert "Framework :: napari" in metadata.get_all("Classifier", [])
    base = [need for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert not [need for need in base if re.match(r"(?i)pyqt\d|pyside|napari\[", need)], (
        "a Qt binding is the user's choice"
    )


def test_bundled_runs_are_whole_and_inside_the_wheel(built: tuple[Path, Path]) -> None:
    from napari_scse.runs import BUNDLED, DEFAULT_EXPLORE_RUN, Run, default_model

    runs = {path.name: Run(path) for path in BUNDLED.iterdir() if path.is_dir()}
    assert {DEFAULT_EXPLORE_RUN, *(run.name for run in default_model().runs)} == set(runs)
    assert all(name == run.name for name, run in runs.items())
    assert len(runs[DEFAULT_EXPLORE_RUN].epochs) == 7
    with zipfile.ZipFile(built[1]) as archive:
        shipped = {info.filename: info.file_size for info in archive.infolist() if "/bundled/" in info.filename}
    here = {
        f"napari_scse/bundled/{path.relative_to(BUNDLED).as_posix()}" for path in BUNDLED.rglob("*") if path.is_file()
    }
    assert set(shipped) == here
    assert sum(shipped.values()) <= MAX_BUNDLED_MB * 1e6


def test_sdist_builds_on_its_own(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as archive:
        members = {name.partition("/")[2]: member for name, member in ((m.name, m) for m in archive.getmembers())}
    needed = ("pyproject.toml", "README.md", "LICENSE", "constraints.txt", "Makefile", "tests/test_packaging.py")
    assert not [name for name in (*needed, "src/napari_scse/napari.yaml", "napari.yaml") if name not in members]
    assert not [name for name in members if name.startswith((".venv", "demo-output", "dist"))]


def test_constraints_name_one_version_of_everything_and_no_address() -> None:
    lines = [x for x in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if not x.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][\w.]*", line) for line in lines)
    pinned = {line.partition("==")[0] for line in lines}
    assert len(pinned) == len(lines)
    needs = [*PROJECT["dependencies"], *(need for extra in PROJECT["optional-dependencies"].values() for need in extra)]
    names = {re.split(r"[\[<>=!~;]", need)[0].lower() for need in needs} - {"napari-scse"}
    assert not names - pinned


def test_every_dependency_is_imported_somewhere_and_every_import_is_a_dependency() -> None:
    distributions = {"skimage": "scikit-image"}
    optional = {"nilearn", "imageio_ffmpeg"}
    roots = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                roots |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                roots.add((node.module or "").split(".")[0])
    imported = {distributions.get(root, root) for root in roots - sys.stdlib_module_names - {"napari_scse"}}
    declared = {re.split(r"[\[<>=!~;]", need)[0] for need in PROJECT["dependencies"]}
    assert imported - optional == declared


def _complaints(pattern: re.Pattern[str], files: list[Path]) -> Iterator[str]:
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line):
                yield f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"


def test_nothing_is_left_to_do_and_no_path_of_somebodys_machine_is_named() -> None:
    files = tracked_files()
    assert PACKAGE / "__init__.py" in files
    assert not list(_complaints(UNFINISHED, [path for path in files if path.suffix == ".py"]))
    assert not list(_complaints(TO_BE_FILLED_IN, files))
    assert not list(_complaints(SOMEBODYS_MACHINE, files))


def test_links_between_documents_lead_somewhere() -> None:
    links = [
        (path, target)
        for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
        for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
        if "://" not in target
    ]
    assert not [
        f"{path.relative_to(ROOT)} -> {target}" for path, target in links if not (path.parent / target).exists()
    ]


def test_commands_in_the_documents_exist_with_their_options() -> None:
    from typer.main import get_command

    from napari_scse.cli.app import app

    verbs = get_command(app).commands  # type: ignore[attr-defined]
    seen = set()
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for verb, rest in re.findall(r"^napari-scse ([a-z0-9]+)(.*)$", text, re.MULTILINE):
            known = {option for parameter in verbs[verb].params for option in parameter.opts}
            assert set(re.findall(r"--[a-z-]+", rest)) <= known, f"{path.name}: napari-scse {verb}{rest}"
            seen.add(verb)
    assert {"segment", "excite", "train", "evaluate", "demo"} <= seen


def test_version_and_changelog_agree() -> None:
    assert f"## [{napari_scse.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"version: {napari_scse.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
