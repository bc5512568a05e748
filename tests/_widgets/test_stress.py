"""Segment used in any order, in a window and a process of its own: nothing is lost, nothing piles up, no error."""

from __future__ import annotations

from pathlib import Path

import pytest

import interacting

REST = {"anonymous MB": 500, "widgets": 9, "threads": 7, "children": 0, "jobs": 0, "Segments": 0, "layers": 2}


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="what piles up is counted on Linux only")
def test_a_few_rounds_of_anything(capsys: pytest.CaptureFixture[str]) -> None:
    code = interacting.main(["--rounds", "10", "--seed", "3", "--timeout", "600", "--shape", "40", "36", "44"])
    assert not code, capsys.readouterr().out
    printed = capsys.readouterr().out
    assert "no error" in printed
    assert "learn" in printed


def test_what_goes_wrong_is_told() -> None:
    found = {"first": REST, "last": REST, "wrong": [], "errors": []}
    assert not interacting.faults(found)
    found["last"] = REST | {"anonymous MB": 620, "widgets": 10, "jobs": 1}
    found["wrong"], found["errors"] = ["Painted voxels were written over."], ["Traceback\nValueError: no"]
    said = "\n".join(interacting.faults(found))
    for part in ("anonymous MB: 500", "widgets: 9", "1 jobs are left", "written over", "Error: ValueError: no"):
        assert part in said
