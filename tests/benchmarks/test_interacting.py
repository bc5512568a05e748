"""What the benchmark of a window under random use says of what it finds."""

from __future__ import annotations

import interacting

REST = {"anonymous MB": 500, "widgets": 9, "threads": 7, "children": 0, "jobs": 0, "Segments": 0, "layers": 2}


def test_what_goes_wrong_is_told() -> None:
    found = {"first": REST, "last": REST, "wrong": [], "errors": []}
    assert not interacting.faults(found)
    found["last"] = REST | {"anonymous MB": 620, "widgets": 10, "jobs": 1}
    found["wrong"], found["errors"] = ["Painted voxels were written over."], ["Traceback\nValueError: no"]
    said = "\n".join(interacting.faults(found))
    for part in ("anonymous MB: 500", "widgets: 9", "1 jobs are left", "written over", "Error: ValueError: no"):
        assert part in said
