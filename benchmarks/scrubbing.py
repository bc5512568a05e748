"""Does Explore stay quick, and does it let go? A window is scrubbed, clicked and switched, and closed as it computes.

    python benchmarks/scrubbing.py [--tiny] [--run NAME|DIR] [--scan FILE] [--scrubs 500] [--out scrubbing.csv]

Real napari windows are used, on the display there is or on Xvfb, each in a process of its own with settings and a cache
of its own. A heartbeat of 5 ms tells for how long the window was deaf: the table has the longest gap of each scrub, and
what the window's thread computed, beside the same scrubs with plain arrays of the same shapes in place of Explore's
layers. On a busy machine only what was computed says something. 3-D is shown once before: a virtual machine may take
milliseconds for every megabyte that is new to a process. After the first 100 scrubs and at the end, with the window at
rest, everything is counted that might pile up. It exits with 1 if something did, if a function of this package computed
for more than 50 ms in the window's thread, if there was an error, or if a process did not end by itself.

`--tiny` takes an untrained small network and a small head: a minute or two.
"""

from __future__ import annotations

import argparse
import json
import os
import re
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

COLUMNS = (
    *("kind", "count", "gap_median", "gap_p95", "gap_max", "plain_gap_median", "plain_gap_p95", "plain_gap_max"),
    *("computed_median", "computed_p95", "plain_computed_median", "plain_computed_p95"),
)
KINDS = ("slice", "epoch", "plane", "in 3-D", "click", "gate")
MOMENTS = ("opening", "looking", "filling", "asking", "switching")
MORE_MB = 100  # of anonymous memory that allocators may keep
MORE_THREADS = 2  # that a pool may start
HELD = 50  # ms that a function of this package may compute in the window's thread
_SHOWN = 12  # of them
TINY_SHAPE, SHAPE = (72, 64, 80), (256, 256, 256)
_BAD = re.compile(r"Traceback|Error|QThread|QObject|Fatal|Segmentation|core dumped|Exception")


def make_tiny(folder: Path, maps: int) -> Path:
    """An untrained run with a small network of so many maps: its folder."""
    import torch

    from napari_scse.nn.architectures import NetworkConfig, build_network
    from napari_scse.runs import RunConfig, create_run, make_classes
    from napari_scse.slices import Plane
    from napari_scse.structures import FREESURFER27

    classes = make_classes(FREESURFER27)
    network = NetworkConfig.preset(
        "fc-densenet", excitation="scse", maps=maps, depth=2, kernel=(3, 3), classes=len(classes)
    )
    run = create_run(folder, RunConfig(folder.name, network, classes, Plane.CORONAL, (1.0, 1.0, 1.0), (64, 64)))
    torch.manual_seed(0)
    for epoch in (1, 2, 3):
        run.save_epoch(epoch, build_network(network), {"loss": 1 / epoch})
    return run.path


def start(options: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[int | None, float, str]:
    """Run one part: its exit code (None: it did not end), seconds, and what it said on stderr."""
    command = [sys.executable, str(Path(__file__).with_name("scrubbed_window.py")), json.dumps(options)]
    Path(options["out"]).unlink(missing_ok=True)
    began = time.monotonic()
    try:
        done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, timeout=options["timeout"])
    except subprocess.TimeoutExpired as late:
        return None, time.monotonic() - began, (late.stderr or b"").decode(errors="replace")
    return done.returncode, time.monotonic() - began, done.stderr


def show_gaps(found: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """Print for how long the window was deaf, and what its thread computed; return the rows."""
    columns = [f"{name:>8}" for name in ("median", "95 %", "max")]
    print(f"\n{'ms a scrub':<14}{'':>5}{'longest gap':>27}{'with plain arrays':>27}{'computed':>18}{'plain':>18}")
    print(f"{'':<14}{'n':>5}   {''.join(columns)}   {''.join(columns)}" + f"  {''.join(columns[:2])}" * 2)
    rows: list[tuple[object, ...]] = []
    for kind in KINDS:
        numbers: list[float] = []
        for place, percents in ((1, (50, 95, 100)), (2, (50, 95))):
            for which in ("gaps", "plain"):
                values = [one[place] for one in found[which] if one[0] == kind]
                numbers += np.percentile(values, percents).tolist() if values else [float("nan")] * len(percents)
        count = sum(one[0] == kind for one in found["gaps"])
        rows.append((kind, count, *numbers))
        cells = "".join(
            f"{'   ' if i in (0, 3) else '  ' if i in (6, 8) else ''}{n:>8.0f}" for i, n in enumerate(numbers)
        )
        print(f"{kind:<14}{count:>5}{cells}".replace("nan", "  –"))
    return rows


def show_held(slots: Sequence[Sequence[Any]]) -> None:
    """Print which functions of this package held the window's thread longest at once; see `held.longest`."""
    print(f"\n{'ms in the thread of the window':<66}{'n':>6}{'computed, at most':>19}{'median':>8}{'taken':>9}")
    for name, count, computed, median, taken in slots[:_SHOWN]:
        print(f"{name:<66}{count:>6}{computed:>19.1f}{median:>8.1f}{taken:>9.1f}")


def held_too_long(slots: Sequence[Sequence[Any]], most: float) -> list[str]:
    """Sentences on functions that computed for more than `most` ms at once, but for those that build a widget."""
    return [
        f"{name} held the window for {computed:.0f} ms."
        for name, _, computed, *_ in slots
        if computed > most and not name.endswith("__init__")
    ]


def leaks(found: Mapping[str, Any]) -> list[str]:
    """What piled up or went wrong, in sentences."""
    first, last = found["first"], found["last"]
    said = []
    for name, most in (
        ("anonymous MB", MORE_MB),
        ("threads", MORE_THREADS),
        ("widgets", 0),
        ("callbacks", 0),
        ("layers", 0),
    ):
        if last[name] > first[name] + most:
            said.append(f"{name}: {first[name]:g} after the first scrubs, {last[name]:g} at the end.")
    said += [f"{last[name]:g} {name} are left at rest." for name in ("hooks on networks", "jobs") if last[name]]
    said += [f"The {name} lives on after its layers are gone." for name in found["alive"]]
    if found["callbacks"]:
        said.append(f"{found['callbacks']} callbacks are left in the viewer after the dock was closed.")
    said += held_too_long(found["held"], HELD)
    return [*said, *(f"Error: {text.strip().splitlines()[-1]}" for text in found["errors"])]


def closed_badly(moment: str, code: int | None, stderr: str) -> list[str]:
    """What went wrong when the window was closed, in sentences."""
    said = []
    if code is None:
        said.append(f"Closed while {moment}: the process did not end.")
    elif code:
        said.append(f"Closed while {moment}: the process ended with {code}.")
    lines = [line for line in stderr.splitlines() if _BAD.search(line)]
    return said + [f"Closed while {moment}: {line.strip()[:200]}" for line in lines[-3:]]


def scrub(part: Mapping[str, Any], environment: Mapping[str, str], out: Path | None) -> list[str]:
    """Scrub the window, print the tables, and return what is wrong."""
    code, seconds, stderr = start(part, environment)
    did = f"{part['scrubs']} scrubs, {part['clicks']} clicks, {part['switches']} switches"
    load = f"load {os.getloadavg()[0]:.1f} of {os.cpu_count()} processors"
    print(f"{Path(part['run']).name}: {did}, {seconds:.0f} s; {load}")
    if code != 0:
        print(stderr[-3000:])
        return [f"The scrubbed window {'did not end' if code is None else f'ended with {code}'}."]
    found = json.loads(Path(part["out"]).read_text())
    rows = show_gaps(found)
    print(f"\n{'at rest':<20}{'after 100':>11}{'at the end':>12}   computed: {found['computed']}")
    for what, first in found["first"].items():
        print(f"{what:<20}{first:>11g}{found['last'][what]:>12g}")
    show_held(found["held"])
    if found["races"]:
        print(f"napari's own status bar failed {found['races']} times, reading a viewer that was being changed")
    if out is not None:
        write_table(out, COLUMNS, rows)
    return leaks(found)


def close(part: Mapping[str, Any], environment: Mapping[str, str]) -> list[str]:
    """Close the window at a moment, print how it ended, and return what is wrong."""
    code, seconds, stderr = start(part, environment)
    found = json.loads(Path(part["out"]).read_text()) if code == 0 else {"busy": "?", "errors": []}
    said = closed_badly(part["moment"], code, "\n".join([stderr, *found["errors"]]))
    after = f", {time.time() - found['closed']:.1f} s later" if code == 0 else ""
    ended = f"still there after {seconds:.0f} s" if code is None else f"exit {code}{after}"
    print(
        f"closed while {part['moment']:<10} {found['busy']} jobs at work, {ended}, {'not ' if said else ''}clean",
        flush=True,
    )
    return said


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all parts and print what was found; return 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", help="name or folder of a run with spatial gates; otherwise the bundled one")
    parser.add_argument("--tiny", action="store_true", help="a small untrained run and a small head")
    parser.add_argument("--scan", type=Path, help="a scan; otherwise a head of ellipsoids is made")
    parser.add_argument("--scrubs", type=int, default=500, help="0: the window is only closed")
    parser.add_argument("--clicks", type=int, default=50)
    parser.add_argument("--switches", type=int, default=20)
    parser.add_argument("--pace", type=int, default=30, help="ms between two scrubs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=int, default=3600, help="seconds that one process may take")
    parser.add_argument("--moments", default=",".join(MOMENTS), help="when the window is closed, with commas")
    parser.add_argument("--delay", type=int, default=20, help="ms from the start of a job to the closing")
    parser.add_argument("--out", type=Path, help="write the gaps to this CSV file as well")
    options = parser.parse_args(arguments)
    from napari_scse.runs import DEFAULT_EXPLORE_RUN, load_run

    with tempfile.TemporaryDirectory() as name, screen() as display:
        home = Path(name)
        run = make_tiny(home / "tiny", 8) if options.tiny else load_run(options.run or DEFAULT_EXPLORE_RUN).path
        folders = {f"XDG_{kind}_HOME": str(home / kind) for kind in ("DATA", "CACHE", "CONFIG")}
        environment = display | folders | {"NAPARI_CONFIG": str(home / "settings.yaml")}
        part: dict[str, Any] = vars(options) | {
            "run": str(run),
            "scan": options.scan and str(options.scan.resolve()),
            "shape": TINY_SHAPE if options.tiny else SHAPE,
            "out": str(home / "found.json"),
            "moment": "",
        }
        wrong = scrub(part, environment, options.out) if options.scrubs else []
        if options.tiny:
            part["run"] = str(make_tiny(home / "slow", 48))  # at work long enough to be closed meanwhile
        for moment in filter(None, options.moments.split(",")):
            wrong += close(part | {"moment": moment}, environment)
    print("\n" + ("\n".join(wrong) if wrong else "Nothing piled up, and every process ended by itself."))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
