"""Does Explore hold still and let go? A window is scrubbed 500 times, clicked and switched, and closed while it computes.

    python benchmarks/scrubbing.py [--tiny] [--run NAME|DIR] [--scan FILE] [--scrubs 500] [--out scrubbing.csv]

A real napari window is used, on the display there is or on Xvfb, each in a process of its own with settings and a cache
of its own. A heartbeat of 5 ms tells for how long the window was deaf: the table has the longest gap of each scrub,
beside that of the same scrubs with plain arrays of the same shapes in place of Explore's layers. After the first 100
and at the end, with the window at rest, everything is counted that might pile up. It exits with 1 if something did, if
there was an error, or if a process did not end by itself.

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

KINDS = ("slice", "epoch", "plane", "in 3-D", "click", "gate")
MOMENTS = ("opening", "looking", "filling", "asking", "switching")
MORE_MB = 100  # of anonymous memory that allocators may keep
MORE_THREADS = 2  # that a pool may start
TINY_SHAPE, SHAPE = (72, 64, 80), (256, 256, 256)
_BAD = re.compile(r"Traceback|Error|QThread|QObject|Fatal|Segmentation|core dumped|Exception")


def make_tiny(folder: Path) -> Path:
    """An untrained run with a small network: its folder."""
    import torch

    from napari_scse.nn.architectures import NetworkConfig, build_network
    from napari_scse.runs import RunConfig, create_run, make_classes
    from napari_scse.slices import Plane
    from napari_scse.structures import FREESURFER27

    classes = make_classes(FREESURFER27)
    network = NetworkConfig.preset(
        "fc-densenet", excitation="scse", maps=8, depth=2, kernel=(3, 3), classes=len(classes)
    )
    run = create_run(folder, RunConfig("tiny", network, classes, Plane.CORONAL, (1.0, 1.0, 1.0), (64, 64)))
    torch.manual_seed(0)
    for epoch in (1, 2, 3):
        run.save_epoch(epoch, build_network(network), {"loss": 1 / epoch})
    return run.path


def start(options: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[int | None, float, str]:
    """Run one part: its exit code (None: it did not end), seconds, and what it said on stderr."""
    command = [sys.executable, str(Path(__file__).with_name("scrubbed_window.py")), json.dumps(options)]
    began = time.monotonic()
    try:
        done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, timeout=options["timeout"])
    except subprocess.TimeoutExpired as late:
        return None, time.monotonic() - began, str(late.stderr or "")
    return done.returncode, time.monotonic() - began, done.stderr


def show_gaps(found: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """Print for how long the window was deaf; return the rows."""
    print(
        f"\n{'longest gap after a scrub, ms':<32}{'n':>5}{'median':>9}{'95 %':>8}{'max':>8}   plain{'95 %':>8}{'max':>8}"
    )
    rows: list[tuple[object, ...]] = []
    for kind in KINDS:
        numbers = []
        for which in ("gaps", "plain"):
            gaps = [gap for name, gap in found[which] if name == kind]
            numbers.append((len(gaps), *(np.percentile(gaps, [50, 95, 100]).tolist() if gaps else [float("nan")] * 3)))
        (count, *ours), (_, *plain) = numbers
        rows.append((kind, count, *ours, *plain))
        left, right = (" ".join(f"{n:>8.0f}" for n in part) for part in (ours, plain))
        print(f"{kind:<32}{count:>5}{left}{right}".replace("nan", "  –"))
    return rows


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
    said += [f"The {name} lives on after its layers are gone." for name in found["held"]]
    if found["callbacks"]:
        said.append(f"{found['callbacks']} callbacks are left in the viewer after the dock was closed.")
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all parts and print what was found; return 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--run", help="name or folder of a run with spatial gates; otherwise the one Explore begins with"
    )
    parser.add_argument("--tiny", action="store_true", help="a small untrained run and a small head")
    parser.add_argument("--scan", type=Path, help="a scan; otherwise a head of ellipsoids is made")
    parser.add_argument("--scrubs", type=int, default=500)
    parser.add_argument("--clicks", type=int, default=50)
    parser.add_argument("--switches", type=int, default=20)
    parser.add_argument("--pace", type=int, default=30, help="ms between two scrubs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=int, default=3600, help="seconds that one process may take")
    parser.add_argument("--moments", default=",".join(MOMENTS), help="when the window is closed, with commas")
    parser.add_argument("--delay", type=int, default=150, help="ms from the start of what is closed")
    parser.add_argument("--out", type=Path, help="write the gaps to this CSV file as well")
    options = parser.parse_args(arguments)
    from napari_scse.runs import DEFAULT_EXPLORE_RUN, load_run

    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as name, screen() as display:
        home = Path(name)
        run = make_tiny(home / "tiny") if options.tiny else load_run(options.run or DEFAULT_EXPLORE_RUN).path
        folders = {f"XDG_{kind}_HOME": str(home / kind) for kind in ("DATA", "CACHE", "CONFIG")}
        environment = dict(os.environ) | display | folders | {"NAPARI_CONFIG": str(home / "settings.yaml")}
        part: dict[str, Any] = vars(options) | {
            "run": str(run),
            "scan": options.scan and str(options.scan.resolve()),
            "shape": TINY_SHAPE if options.tiny else SHAPE,
            "out": str(home / "found.json"),
            "moment": "",
        }
        if options.scrubs:
            code, seconds, stderr = start(part, environment)
            print(
                f"{run.name}: {options.scrubs} scrubs, {options.clicks} clicks, {options.switches} switches, {seconds:.0f} s"
            )
            if stderr.strip():
                print(f"it said:\n{stderr.strip()[-3000:]}")
            if code != 0:
                wrong.append(f"The scrubbed window {'did not end' if code is None else f'ended with {code}'}.")
            else:
                found = json.loads(Path(part["out"]).read_text())
                rows = show_gaps(found)
                print(f"\n{'at rest':<24}{'after 100':>12}{'at the end':>12}   computed: {found['computed']}")
                for what, first in found["first"].items():
                    print(f"{what:<24}{first:>12g}{found['last'][what]:>12g}")
                wrong += leaks(found)
                if options.out is not None:
                    names = (
                        "kind",
                        "count",
                        *(f"{w}_{n}" for w in ("explore", "plain") for n in ("median", "p95", "max")),
                    )
                    write_table(options.out, names, rows)
        for moment in filter(None, options.moments.split(",")):
            code, seconds, stderr = start(part | {"moment": moment}, environment)
            found = json.loads(Path(part["out"]).read_text()) if code == 0 else {"busy": "?", "errors": []}
            said = closed_badly(moment, code, "\n".join([stderr, *found["errors"]]))
            wrong += said
            print(
                f"closed while {moment:<10} {found['busy']} jobs at work, exit {code}, {seconds:.0f} s, {'clean' if not said else 'not clean'}"
            )
    print("\n" + ("\n".join(wrong) if wrong else "Nothing piled up, and every process ended by itself."))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
