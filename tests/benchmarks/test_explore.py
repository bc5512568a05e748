"""Speed of exploration, and the stress run: tables are what was measured, and what piles up or hangs is told."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import explore
import scrubbing
from napari_scse.runs import Run
from napari_scse.slices import Plane

REST = {"anonymous MB": 500, "widgets": 9, "threads": 7, "hooks on networks": 0, "jobs": 0, "callbacks": 4, "layers": 4}


def test_everything_is_measured_and_written(
    tiny_run: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = tiny_run(epochs=2), tmp_path / "new" / "explore.csv"
    options = ["--size", "20", "--rounds", "1", "--memory-slices", "2", "--threads", "1"]
    explore.main(["--run", str(run.path), "--out", str(out), *options])
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["measure"] for row in rows[: len(explore.RATIOS)]] == [ratio.measure for ratio in explore.RATIOS]
    assert all(float(row["value"]) > 0 for row in rows[: len(explore.RATIOS)])
    memory = [row for row in rows if row["unit"] == "MB"]
    assert len(memory) == (5 if Path("/proc/self/smaps_rollup").exists() else 0)
    assert all("tiny, 2 epochs, 20x20x20" in row["where"] for row in rows)
    printed = capsys.readouterr().out
    assert all(row["measure"] in printed for row in rows)


def test_a_ratio_is_the_median_of_those_within_rounds() -> None:
    """A machine that was ten times as slow for a round changes nothing; goals are compared with the clock's."""
    names = {name for ratio in explore.RATIOS for name in (ratio.above, ratio.below)}
    slowness = np.array([1.0, 10.0, 2.0])
    found = {name: [(s, s / 2) for s in slowness] for name in names}
    found["further"] = [(1.2 * s, s) for s in slowness]
    found["first gate"] = [(0.3 * s, s / 10) for s in slowness]
    rows = {row.measure.partition(" ")[0]: row for row in explore.ratios(found)}
    assert rows["a"].unit == "ratio"
    further, first = explore.ratios(found)[0], rows["sE-1"]
    assert (further.value, further.low, further.high) == pytest.approx((1.2, 1.2, 1.2))
    assert further.processor == pytest.approx(2)
    assert further.seconds == pytest.approx(2.4)
    assert further.verdict == "yes"
    assert first.verdict == "no"


def test_a_slab_is_the_middle_of_the_head() -> None:
    head = explore.make_head((12, 20, 16))
    part = explore.slab(head, Plane.CORONAL, 4)
    assert part.shape == (12, 20, 4)  # the axes are left, inferior and anterior
    np.testing.assert_array_equal(part.data, head.data[:, :, 6:10])
    np.testing.assert_allclose(part.affine @ (1, 2, 3, 1), head.affine @ (1, 2, 9, 1))
    assert explore.slab(head, Plane.AXIAL, 99).shape == head.shape


def test_the_same_seed_does_the_same() -> None:
    from scrubbed_window import script

    actions = script(3, 40, 5, 2)
    assert actions == script(3, 40, 5, 2) != script(4, 40, 5, 2)
    kinds = [action.kind for action in actions]
    assert (len(kinds), kinds.count("click"), kinds.count("gate")) == (47, 5, 2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"last": REST | {"anonymous MB": 580, "threads": 8, "widgets": 3}}, ""),
        ({"last": REST | {"anonymous MB": 700}}, "anonymous MB: 500 after the first scrubs, 700 at the end."),
        ({"last": REST | {"widgets": 10}}, "widgets: 9 after the first scrubs, 10 at the end."),
        ({"last": REST | {"hooks on networks": 1}}, "1 hooks on networks are left at rest."),
        ({"alive": ["film"]}, "The film lives on after its layers are gone."),
        ({"held": [("a.b", 2, 51.0, 80.0), ("A.__init__", 1, 70.0, 80.0)]}, "a.b held the window for 51 ms."),
        ({"callbacks": 2}, "2 callbacks are left in the viewer after the dock was closed."),
        ({"errors": ["Traceback\n  file\nValueError: no"]}, "Error: ValueError: no"),
    ],
)
def test_what_piles_up_is_told(changes: dict[str, Any], said: str) -> None:
    found = {"first": REST, "last": REST, "alive": [], "held": [], "callbacks": 0, "errors": []} | changes
    assert "\n".join(scrubbing.leaks(found)) == said


def test_a_window_that_does_not_close_is_told() -> None:
    assert not scrubbing.closed_badly("filling", 0, "maps of head: 3it")
    assert scrubbing.closed_badly("filling", None, "") == ["Closed while filling: the process did not end."]
    assert scrubbing.closed_badly("asking", -11, "QThread: Destroyed while thread is still running") == [
        "Closed while asking: the process ended with -11.",
        "Closed while asking: QThread: Destroyed while thread is still running",
    ]


def test_a_real_window_is_scrubbed_and_closed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "scrubbing.csv"
    few = ["--scrubs", "4", "--clicks", "1", "--switches", "1", "--moments", "filling", "--timeout", "250"]
    code = scrubbing.main(["--tiny", *few, "--out", str(out)])
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert "at rest" in printed
    assert "closed while filling" in printed
    with out.open(newline="") as file:
        rows = {row["kind"]: row for row in csv.DictReader(file)}
    assert sum(int(row["count"]) for row in rows.values()) == 6
    assert float(rows["slice"]["gap_max"]) > 0
