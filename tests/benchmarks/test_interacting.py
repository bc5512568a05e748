"""A window under random use: nothing is lost, nothing piles up, no error; and what the benchmark says of its finds."""

from __future__ import annotations

from pathlib import Path

import pytest

import interacting

REST = {"anonymous MB": 500, "widgets": 9, "threads": 7, "children": 0, "jobs": 0, "Segments": 0, "layers": 2}


@pytest.mark.timeout(960)  # some 45 s of computing, in processes of its own
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="what piles up is counted on Linux only")
def test_a_few_rounds_of_anything(capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--rounds", "4", "--seed", "3", "--shape", "40", "36", "44", "--timeout", "900", "--held", "500"]
    code = interacting.main(few)
    printed = capsys.readouterr().out
    assert not code, printed
    for kind in ("run", "cancel", "learn", "reject", "undo", "redo", "paint", "dock", "remove", "no error"):
        assert kind in printed


def test_what_goes_wrong_is_told() -> None:
    found = {
        "first": REST,
        "last": REST,
        "wrong": [],
        "errors": [],
        "held": [("a.b", 2, 49.0, 80.0), ("A.__init__", 1, 70.0, 80.0)],
    }
    assert not interacting.faults(found)
    found["last"] = REST | {"anonymous MB": 620, "widgets": 10, "jobs": 1}
    found["wrong"], found["errors"] = ["Painted voxels were written over."], ["Traceback\nValueError: no"]
    found["held"] = [("a.b", 2, 51.0, 80.0)]
    said = "\n".join(interacting.faults(found))
    for part in (
        "anonymous MB: 500",
        "widgets: 9",
        "1 jobs are left",
        "written over",
        "Error: ValueError: no",
        "a.b held",
    ):
        assert part in said
