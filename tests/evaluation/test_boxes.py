"""Box plots: what is drawn, in which files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_scse.errors import InputError
from napari_scse.evaluation import CaseReports, Comparison, compare, plot_boxes

Invent = Callable[..., CaseReports]
START = {".pdf": b"%PDF", ".svg": b"<?xml", ".png": b"\x89PNG"}


@pytest.fixture
def comparison(invent: Invent) -> Comparison:
    """Two variants, seven heads, all 27 structures; one head lacks one of them."""
    dice = np.random.default_rng(0).uniform(0.6, 0.9, (2, 7, 27))
    dice[:, 3, 5] = np.nan
    return compare({"without": invent(dice[0]), "with scSE": invent(dice[1])})


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".png", ".PNG"])
def test_the_suffix_says_the_format(suffix: str, invent: Invent, tmp_path: Path) -> None:
    file = tmp_path / f"boxes{suffix}"
    file.write_text("what was there before")
    plot_boxes(compare({name: invent(np.linspace(0.5, 0.9, 7)[:, None]) for name in "abc"}), file)
    assert file.read_bytes().startswith(START[suffix.lower()])
    assert [p.name for p in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize("suffix", sorted(START))
def test_the_same_plot_is_the_same_file(suffix: str, comparison: Comparison, tmp_path: Path) -> None:
    """So that a plot under version control changes only when its numbers do; a date would change it every second."""
    files = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for file in files:
        plot_boxes(comparison, file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert not [word for word in (b"CreationDate", b"<dc:date>", b"tIME") if word in files[0].read_bytes()]


def _texts(comparison: Comparison, tmp_path: Path, sides: str) -> list[str]:
    """The texts of the plot; matplotlib keeps them as comments beside the glyphs in an SVG file."""
    plot_boxes(comparison, tmp_path / "boxes.svg", sides)
    return re.findall(r"<!-- (.+?) -->", (tmp_path / "boxes.svg").read_text(encoding="utf-8"))


def test_sides_are_rows_of_their_own_or_left_out(comparison: Comparison, tmp_path: Path) -> None:
    both, left = (_texts(comparison, tmp_path, sides) for sides in ("both", "left"))
    assert {"L. Hippocampus", "R. Hippocampus", "Brain Stem", "L. Cerebral WM", "7 heads"} <= set(both)
    assert {"without", "with scSE"} <= set(both)
    assert both.index("Brain Stem") < both.index("R. Cerebral WM")
    assert both.count("Dice") == 2
    assert {"Hippocampus", "Brain Stem"} <= set(left)
    assert left.count("Hippocampus") == left.count("Dice") == 1
    assert not [text for text in both + left if text.startswith(("Left", "Right"))]


def test_few_heads_are_dots(invent: Invent, tmp_path: Path) -> None:
    few = compare({name: invent([[0.8, 0.7], [0.9, 0.6]]) for name in "ab"})
    assert "2 heads" in _texts(few, tmp_path, "both")


def test_what_cannot_be_plotted_is_refused(comparison: Comparison, invent: Invent, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.pdf, \.svg, \.png; 'boxes\.jpg' does not"):
        plot_boxes(comparison, tmp_path / "boxes.jpg")
    with pytest.raises(InputError, match="Unknown side 'top'"):
        plot_boxes(comparison, tmp_path / "boxes.png", "top")
    right_only = compare({name: invent([[np.nan] * 15 + [0.5] * 3] * 2) for name in "ab"})
    with pytest.raises(InputError, match="nothing to plot"):
        plot_boxes(right_only, tmp_path / "boxes.png", "left")
    many = compare({str(n): invent([[0.5]]) for n in range(9)})
    with pytest.raises(InputError, match="at most 8 variants; there are 9"):
        plot_boxes(many, tmp_path / "boxes.png")
    assert not list(tmp_path.iterdir())


def test_a_failed_plot_leaves_nothing_behind(comparison: Comparison, tmp_path: Path) -> None:
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(OSError, match=r"taken\.png"):
        plot_boxes(comparison, tmp_path / "taken.png", "left")
    assert [p.name for p in tmp_path.iterdir()] == ["taken.png"]
    resource = pytest.importorskip("resource", reason="a disk that is full is made with a limit of the system's")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            plot_boxes(comparison, tmp_path / "boxes.pdf", "left")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [p.name for p in tmp_path.iterdir()] == ["taken.png"]
