"""Does Segment bear being used in any order? A window is used at random, 200 rounds of a few actions each.

    python benchmarks/interacting.py [--rounds 200] [--seed 0] [--out interacting.csv]

Run, cancel, resume, undo, redo, paint, learn, go back, accept, live, jump, other runs and scans, layers removed, the
dock closed: in a real napari window, on the display there is or on Xvfb, with small untrained runs and settings of its
own. After every round, at rest: no painted voxel was written over, and undoing and redoing leads back bit for bit;
after every fifth, what a run and a round of learning wrote is undone bit for bit. After the first 20 rounds and at the
end, with everything closed, what might pile up is counted.

A heartbeat of 5 ms tells for how long the window was deaf, beside the user's own actions on a labels layer that nobody
follows; on a busy machine only what the window's thread computed says something. What it computed in this package is
told by the name of the function that was called; longer than 50 ms at once is wrong, but for building a widget. It
exits with 1 if something is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_scse.cli.display import screen
from napari_scse.evaluation.tables import write_table
from scrubbing import HELD, held_too_long, make_tiny, show_held

COLUMNS = ("kind", "count", "gap_p95", "gap_max", "computed_p95", "computed_max", "plain_gap_max", "plain_computed_max")
MORE = {"anonymous MB": 100, "threads": 4}  # that allocators and pools may keep; of all else nothing
SHAPE = (72, 64, 80)


def show_gaps(found: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """Print for how long the window was deaf, and what its thread computed; return the rows."""
    print(f"\n{'ms':<12}{'n':>6}{'longest gap':>18}{'computed':>18}{'without us':>18}")
    print(f"{'':<12}{'':>6}" + f"{'95 %':>9}{'max':>9}" * 2 + f"{'gap':>9}{'computed':>9}")
    rows: list[tuple[object, ...]] = []
    for kind in dict.fromkeys(one[0] for one in sorted(found["gaps"])):
        own = np.array([one[1:] for one in found["gaps"] if one[0] == kind])
        plain = np.array([one[1:] for one in found["plain"] if one[0] == kind] or [(np.nan, np.nan)])
        numbers = (
            *(value for column in (0, 1) for value in np.percentile(own[:, column], (95, 100)).tolist()),
            *plain.max(0).tolist(),
        )
        rows.append((kind, len(own), *numbers))
        print(f"{kind:<12}{len(own):>6}" + "".join(f"{n:>9.0f}" for n in numbers).replace("nan", "  –"))
    return rows


def faults(found: Mapping[str, Any], held: float = HELD) -> list[str]:
    """What went wrong or piled up, in sentences."""
    first, last = found["first"], found["last"]
    said = [
        f"{name}: {first[name]:g} after the first rounds, {last[name]:g} at the end."
        for name in first
        if last[name] > first[name] + MORE.get(name, 0)
    ]
    said += [f"{last[name]:g} {name} are left at rest." for name in ("jobs", "Segments", "children") if last[name]]
    said += held_too_long(found["held"], held)
    return [*said, *found["wrong"], *(f"Error: {text.strip().splitlines()[-1]}" for text in found["errors"])]


def main(arguments: Sequence[str] | None = None) -> int:
    """Use the window and print what was found; return 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=int, default=7200, help="seconds that it may take")
    parser.add_argument("--held", type=float, default=HELD, help="ms that the window's thread may be held")
    parser.add_argument("--shape", type=int, nargs=3, default=SHAPE, help="of the scan")
    parser.add_argument("--out", type=Path, help="write the gaps to this CSV file as well")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, screen() as display:
        home = Path(name)
        folders = {f"XDG_{kind}_HOME": str(home / kind) for kind in ("DATA", "CACHE", "CONFIG")}
        environment = display | folders | {"NAPARI_CONFIG": str(home / "settings.yaml")}
        runs = [str(make_tiny(home / f"tiny-{maps}", maps)) for maps in (8, 6)]
        part = vars(options) | {"runs": runs, "out": str(home / "found.json")}
        command = [sys.executable, str(Path(__file__).with_name("interacted_window.py")), json.dumps(part)]
        began = time.monotonic()
        done = subprocess.run(
            command, env=environment, stderr=subprocess.PIPE, text=True, timeout=options.timeout, check=False
        )
        seconds = time.monotonic() - began
        if done.returncode:
            said = [
                line for line in done.stderr.splitlines() if not line.startswith(("QtWarning", "Extension modules"))
            ]
            print("\n".join(said[-60:]) + f"\nThe window ended with {done.returncode}.")
            return 1
        found = json.loads(Path(part["out"]).read_text())
    actions, load = len(found["gaps"]), f"load {os.getloadavg()[0]:.1f} of {os.cpu_count()} processors"
    print(f"{options.rounds} rounds, {actions} actions, seed {options.seed}, {seconds:.0f} s; {load}")
    rows = show_gaps(found)
    show_held(found["held"])
    print(f"\n{'at rest':<20}{'first':>11}{'at the end':>12}")
    for what, first in found["first"].items():
        print(f"{what:<20}{first:>11g}{found['last'][what]:>12g}")
    print("anonymous MB, each time that all was closed:", *(f"{megabytes:.0f}" for megabytes in found["memory"]))
    if options.out is not None:
        write_table(options.out, COLUMNS, rows)
    wrong = faults(found, options.held)
    print("\n" + ("\n".join(wrong) if wrong else "Nothing was lost, nothing piled up, and there was no error."))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
