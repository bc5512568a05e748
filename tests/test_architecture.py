"""The map of docs/architecture.md, kept by a test: who may import whom, what stays light, how long a module may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[1] / "src" / "napari_scse"
MAX_LINES = 300

# Module or sub-package -> those it may import, itself always included. Every arrow points to an earlier line (tested).
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "events": set(),
    "volume": {"errors"},
    "slices": {"errors", "volume"},
    "sizes": {"volume"},
    "conform": {"errors"},
    "atomic": set(),
    "images": {"atomic", "errors", "volume"},
    "structures": {"errors"},
    "sides": {"structures"},
    "nn": {"errors"},
    "execution": {"errors", "nn"},
    "intensity": {"errors"},
    "settings": {"errors"},
    "runs": {"atomic", "errors", "events", "intensity", "nn", "settings", "sides", "sizes", "slices", "structures"},
    "synthesis": {"errors", "sides", "slices", "structures", "volume"},
    "losses": {"errors"},
    "metrics": {"errors"},
    "dataset": {"errors", "conform", "images", "intensity", "runs", "slices", "structures", "synthesis", "volume"},
    "inference": {
        *("errors", "events", "volume", "slices", "conform"),
        *("execution", "intensity", "runs", "sides", "sizes", "structures"),
    },
    "refinement": {
        *("errors", "events", "volume", "slices", "conform", "images"),
        *("nn", "execution", "sides", "structures", "runs", "inference"),
    },
    "training": {
        *(
            "atomic",
            "errors",
            "events",
            "volume",
            "slices",
            "conform",
            "images",
            "structures",
            "nn",
            "execution",
            "intensity",
        ),
        *("runs", "sides", "sizes", "synthesis", "losses", "metrics", "dataset"),
    },
    "evaluation": {"atomic", "errors", "events", "volume", "images", "sides", "structures", "metrics"},
    "exploration": {
        *("atomic", "errors", "events", "volume", "slices", "conform", "images", "structures", "nn"),
        *("execution", "intensity", "runs", "settings", "inference", "metrics", "evaluation", "sides"),
    },
    "journal": {"errors", "settings"},
    "diagnosis": {"errors", "events", "execution", "runs", "settings"},
}
CORE = set(MAY_IMPORT)
MAY_IMPORT["_napari"] = CORE - {"training", "dataset", "losses", "synthesis"}
MAY_IMPORT["_widgets"] = CORE | {"_napari"}
MAY_IMPORT["cli"] = CORE | {"_napari", "_widgets"}

QT = {"qtpy", "magicgui", "superqt", "PyQt5", "PyQt6", "PySide2", "PySide6", "pyqtgraph"}
GUI = {"napari", "vispy", *QT}
TORCH_FREE = {
    "atomic",
    "sides",
    "errors",
    "events",
    "volume",
    "slices",
    "sizes",
    "images",
    "structures",
    "metrics",
    "evaluation",
    "journal",
}


@dataclass(frozen=True)
class Import:
    """One imported module: `target` in full, and whether it is imported only when a function runs."""

    path: Path
    line: int
    target: str
    lazy: bool

    @property
    def owner(self) -> str:
        """The module or sub-package of ours that imports."""
        return Path(self.path.relative_to(SRC).parts[0]).stem

    @property
    def root(self) -> str:
        """The distribution-like first part of what is imported."""
        return self.target.split(".")[0]

    def __str__(self) -> str:
        return f"{self.path.relative_to(SRC)}:{self.line} imports {self.target}"


def _is_type_checking(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def _walk(node: ast.AST, lazy: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, lazy
        elif isinstance(child, ast.If) and _is_type_checking(child.test):
            for statement in child.body:
                yield from _walk(ast.Module([statement], []), lazy=True)
            for statement in child.orelse:
                yield from _walk(ast.Module([statement], []), lazy)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _walk(child, lazy or inside)


def imports_of(path: Path, source: str) -> Iterator[Import]:
    """Every import of a source file; ``from napari_scse import volume`` counts as ``napari_scse.volume``."""
    for node, lazy in _walk(ast.parse(source), lazy=False):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            here = ["napari_scse", *path.relative_to(SRC).parts]
            module = ".".join([*(here[: -node.level] if node.level else []), *filter(None, [node.module])])
            targets = [f"{module}.{alias.name}" for alias in node.names] if module == "napari_scse" else [module]
        for target in targets:
            yield Import(path, node.lineno, target, lazy)


SOURCES = sorted(SRC.rglob("*.py"))
IMPORTS = [found for path in SOURCES for found in imports_of(path, path.read_text(encoding="utf-8"))]
OURS = [found for found in IMPORTS if found.root == "napari_scse" and found.path != SRC / "__init__.py"]


def test_the_reader_of_imports_sees_all_forms() -> None:
    source = (
        "import a.b, c\nfrom napari_scse import volume\nfrom napari_scse.nn.blocks import X\n"
        "from . import near\nfrom .beside import Y\nfrom .. import up\nfrom ..over.there import Z\n"
        "if TYPE_CHECKING:\n    import d\nelse:\n    import e\ndef f():\n    import g\nclass H:\n    import i\n"
        "try:\n    import j\nexcept ImportError:\n    import k\n"
    )
    found = {(x.target, x.lazy) for x in imports_of(SRC / "cli" / "x.py", source)}
    assert found == {
        *{("a.b", False), ("c", False), ("napari_scse.volume", False), ("napari_scse.nn.blocks", False)},
        *{("napari_scse.cli", False), ("napari_scse.cli.beside", False)},
        *{("napari_scse.up", False), ("napari_scse.over.there", False)},
        *{("d", True), ("e", False), ("g", True), ("i", False), ("j", False), ("k", False)},
    }


def test_the_table_has_every_module_and_its_arrows_point_one_way() -> None:
    there = {Path(path.relative_to(SRC).parts[0]).stem for path in SOURCES} - {"__init__"}
    assert there == set(MAY_IMPORT)
    order = list(MAY_IMPORT)
    for place, (module, allowed) in enumerate(MAY_IMPORT.items()):
        assert allowed <= set(order[:place]), f"{module} may import something that comes after it"


def test_arrows_point_down_only() -> None:
    wrong = []
    for found in OURS:
        parts = found.target.split(".")
        target = parts[1] if len(parts) > 1 else "__init__"
        version = found.target in {"napari_scse", "napari_scse.__version__"}
        if not version and target != found.owner and target not in MAY_IMPORT[found.owner]:
            wrong.append(str(found))
    assert not wrong


def test_only_the_shell_knows_napari_and_only_the_widgets_know_qt() -> None:
    wrong = []
    for found in IMPORTS:
        allowed = {"_widgets": GUI, "_napari": GUI - QT}.get(found.owner, set())
        if found.owner == "cli" and found.path.name == "demo.py" and found.lazy:
            allowed = {"napari"}
        if found.root in GUI - allowed:
            wrong.append(str(found))
    assert not wrong


def test_only_the_demo_verb_opens_the_shell_and_only_when_it_runs() -> None:
    shell = ("napari_scse._napari", "napari_scse._widgets")
    wrong = [
        str(found)
        for found in OURS
        if found.owner == "cli" and found.target.startswith(shell) and not (found.lazy and found.path.name == "demo.py")
    ]
    assert not wrong


def test_space_files_and_scores_need_no_torch() -> None:
    assert not [str(found) for found in IMPORTS if found.owner in TORCH_FREE and found.root == "torch"]


def test_modules_are_short_and_there_is_no_drawer_for_the_rest() -> None:
    lengths = {path.relative_to(SRC): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert not {path: length for path, length in lengths.items() if length > MAX_LINES}
    assert not [path for path in lengths if path.stem in {"utils", "helpers", "misc", "common"}]


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("napari_scse", ("torch", "qtpy", "PyQt6", "napari", "numpy")),
        ("napari_scse.cli", ("torch", "qtpy", "PyQt6", "napari", "scipy")),
        ("napari_scse.evaluation", ("torch", "matplotlib", "napari")),
        ("napari_scse._napari", ("torch", "qtpy", "PyQt6")),
        ("napari_scse.training.process", ("torch",)),
        ("napari_scse._widgets.train.widget", ("torch",)),
    ],
)
def test_importing_stays_light(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, {module}\nprint(*(name for name in {heavy!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not done.stdout.split()


def test_every_public_name_is_found_and_listed() -> None:
    import napari_scse

    for name in napari_scse.__all__:
        assert getattr(napari_scse, name) is not None
        assert name in dir(napari_scse)
    assert set(napari_scse._HOMES) == set(napari_scse.__all__) - {"__version__"}
    with pytest.raises(AttributeError, match="no attribute 'segmentation'"):
        napari_scse.segmentation  # noqa: B018
