"""How far looking at gates is from the forward passes that it cannot do without, and what memory it takes.

    python benchmarks/explore.py [--run NAME|DIR] [--scan FILE] [--rounds 7] [--out explore.csv] [--whole]

Every round runs all variants, back and forth in turn, on a slice of its own; a ratio is the median over the rounds of
the ratios within each, so that a machine that is busy with something else disturbs it little. Ratios of processor time
stand beside those of the clock. A bare pass is the network on the same numbers, in the same memory format, with nothing
but a hook that stops it at the same gate; it reads no slice and keeps no map.

Memory is measured in a process of its own that computes every frame of a few slices (`--whole`: of all of them): what
it grows beyond what it has once the scan is loaded. Mapped files count in `resident` and not in `anonymous`.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, fields
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from napari_scse import images
from napari_scse.evaluation.tables import write_table
from napari_scse.events import drain
from napari_scse.execution import choose_device
from napari_scse.exploration import Film, Shelf, View, develop, open_film, what_if
from napari_scse.nn.recorder import record_excitations, resolve_sites
from napari_scse.nn.sites import gates
from napari_scse.runs import DEFAULT_EXPLORE_RUN, Run, load_run
from napari_scse.slices import Plane
from napari_scse.volume import Volume, nearest_axes

SITES = ("first", "last")
LONG = ("further", "bare", "fresh")  # what takes a pass for each epoch
PER_SLICE = 2  # times that the others are timed in a row
MEMORY_GOAL = 1000  # MB
SAME_MEMORY = 150  # MB: networks that are ready, and what an allocator keeps
Work = Callable[[int], None]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    measure
        What is compared with what.
    unit
        ``"ratio"`` or ``"MB"``.
    value, low, high
        Median and quartiles over the rounds.
    processor
        The median of processor time.
    seconds
        The median of what stands above the line of a ratio, by the clock.
    goal
        At most this; None: there is none.
    """

    measure: str
    unit: str
    value: float
    low: float
    high: float
    processor: float = float("nan")
    seconds: float = float("nan")
    goal: float | None = None

    @property
    def verdict(self) -> str:
        """Whether the goal is kept."""
        return "" if self.goal is None else "yes" if self.value <= self.goal else "no"


@dataclass(frozen=True)
class Ratio:
    """Two variants, of which the first may take `goal` times as long as the second."""

    measure: str
    above: str
    below: str
    goal: float | None = None


RATIOS = (
    Ratio("a further slice, both maps, all epochs / bare passes up to the last gate", "further", "bare", 1.25),
    Ratio("the first slice, both maps, all epochs, opening included / the same passes", "fresh", "bare"),
    Ratio("sE-1 alone / a full pass", "first gate", "full", 0.25),
    Ratio("the last gate's bare pass, one epoch / a full pass", "bare one", "full"),
    Ratio("all gates recorded, full pass / not recorded", "recorded", "full", 1.03),
    Ratio("a slice that was looked at before, reopened / computed anew", "again", "fresh", 0.1),
    Ratio("opening alone / computed anew", "open", "fresh"),
    Ratio("what if, one slice / a full pass", "what if", "full"),
)


def make_head(shape: tuple[int, int, int], spacing: float = 1.0) -> Volume:
    """A head of ellipsoids, in LIA order: scalp, skull, grey and white matter, ventricles; uint8."""
    x, y, z = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    radius = np.sqrt((x[:, None, None] / 0.6) ** 2 + (y[None, :, None] / 0.8) ** 2 + (z[None, None, :] / 0.75) ** 2)
    ends = np.array([0.14, 0.62, 0.82, 0.9, 1.0], np.float32)
    tissues = np.array([35, 150, 100, 20, 180, 2], np.float32)[np.searchsorted(ends, radius)]
    noise = np.random.default_rng(0).normal(0, 6, shape).astype(np.float32)
    affine = np.array([[-1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    affine[:3, :3] *= spacing
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Volume((tissues + noise).clip(0, 255).astype(np.uint8), affine)


def slab(volume: Volume, plane: Plane, count: int) -> Volume:
    """The `count` middle slices of a volume."""
    right, anterior, superior = nearest_axes(volume.affine)[0]
    axis = {Plane.CORONAL: anterior, Plane.AXIAL: superior, Plane.SAGITTAL: right}[plane]
    first = max(0, (volume.shape[axis] - count) // 2)
    affine = np.array(volume.affine)
    affine[:3, 3] += affine[:3, axis] * first
    return Volume(
        np.ascontiguousarray(volume.data.take(range(first, min(first + count, volume.shape[axis])), axis)), affine
    )


class _Stop(Exception):  # noqa: N818 - not an error
    """The gate is computed."""


@contextmanager
def stopping(gate: nn.Module) -> Iterator[None]:
    """Leave the ``with`` block as soon as `gate` is computed; nothing is kept."""
    stop = _Stop()

    def hook(*_: object) -> None:
        raise stop

    handle = gate.register_forward_hook(hook)
    try:
        yield
    except _Stop:
        pass
    finally:
        handle.remove()


class Variants:
    """What is timed, by name; a function gets the number of the slice."""

    def __init__(self, volume: Volume, run: Run, folder: Path, device: str) -> None:
        self.volume, self.run, self.device = volume, run, device
        self._shelves = {name: Shelf(folder / name) for name in ("further", "fresh", "again")}
        self.open(self._shelves["further"]).close()
        for name in ("fresh", "again"):  # where the head lies is known to all
            shutil.copytree(folder / "further", folder / name)
        self.film = self.open(self._shelves["further"])
        self.count = self.film.done.shape[1]
        look(self.film, self.count // 2)  # the networks are ready
        self.again = self.count // 2
        with self.open(self._shelves["again"]) as film:
            look(film, self.again)
        self.labelled = drain(open_film(volume, run, sites=SITES, device=device, shelf=self._shelves["again"]))
        frames = self.film.frames
        self.networks = [frames.executor(epoch).network for epoch in range(len(self.film.epochs))]
        (self.first, self.last) = (resolve_sites(self.networks[0], site)[0] for site in SITES)

    def open(self, shelf: Shelf) -> Film:
        """Lay the scan out."""
        return drain(open_film(self.volume, self.run, sites=SITES, labels=False, device=self.device, shelf=shelf))

    def batch(self, number: int) -> Tensor:
        """What the network is shown of a slice, as an executor gives it."""
        seen = np.ascontiguousarray(np.moveaxis(self.film.frames.layout.seen([number]), 1, -1), dtype=np.float32)
        return torch.from_numpy(seen).to(choose_device(self.device)).permute(0, 3, 1, 2)

    def work(self, number: int) -> Mapping[str, Callable[[], object]]:
        """Everything that is timed on slice `number`, ready to run."""
        batch, network = self.batch(number), self.networks[-1]
        changed = {self.last: "off"}
        return {
            "further": partial(look, self.film, number),
            "bare": lambda: [self._bare(one, batch) for one in self.networks],
            "fresh": partial(self._fresh, number),
            "again": self._again,
            "open": self._open,
            "full": partial(self._pass, network, batch),
            "bare one": partial(self._bare, network, batch),
            "first gate": partial(self._first, network, batch),
            "recorded": partial(self._recorded, network, batch),
            "what if": partial(what_if, self.labelled, len(self.networks) - 1, number, changed),
        }

    def prepare(self, number: int) -> None:
        """Forget what "fresh" computed, but not where the head lies; have the labels of slice `number` on screen."""
        self.labelled.compute(len(self.networks) - 1, number)
        for folder in self._shelves["fresh"].root.iterdir():
            if not (folder / "location.json").exists():
                shutil.rmtree(folder)

    def close(self) -> None:
        """Let go of the networks."""
        self.film.close()
        self.labelled.close()

    def _fresh(self, number: int) -> None:
        with self.open(Shelf(self._shelves["fresh"].root)) as film:
            look(film, number)
            read(film, number)

    def _again(self) -> None:
        with self.open(Shelf(self._shelves["again"].root)) as film:
            assert film.next(View(self.again, 0)) is None
            read(film, self.again)

    def _open(self) -> None:
        self.open(Shelf(self._shelves["again"].root)).close()

    @torch.inference_mode()
    def _pass(self, network: nn.Module, batch: Tensor) -> None:
        network(batch)

    @torch.inference_mode()
    def _bare(self, network: nn.Module, batch: Tensor) -> None:
        with stopping(gates(network)[self.last][1]):
            network(batch)

    @torch.inference_mode()
    def _first(self, network: nn.Module, batch: Tensor) -> None:
        with record_excitations(network, [self.first], stop_early=True):
            network(batch)

    @torch.inference_mode()
    def _recorded(self, network: nn.Module, batch: Tensor) -> None:
        with record_excitations(network, list(gates(network))):
            network(batch)


def look(film: Film, number: int) -> None:
    """Compute one slice at all epochs."""
    drain(develop(film, lambda: View(number, 0, 0)))


def read(film: Film, number: int) -> list[np.ndarray]:
    """Read one slice at all epochs."""
    return [np.array(film.maps[site][:, number]) for site in film.maps.sites]


def measure(variants: Variants, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds by the clock and of the processor of each variant in each round; one round more warms up."""
    found: dict[str, list[tuple[float, float]]] = {}
    middle = variants.count // 2
    others = [number for number in range(variants.count) if number != middle]
    chosen = np.asarray(others)[np.linspace(0, len(others) - 1, rounds + 3).round().astype(int)][1:-1]
    for turn, number in enumerate(chosen.tolist()):
        variants.prepare(number)
        work = list(variants.work(number).items())
        for name, run in work if turn % 2 else reversed(work):
            times = 1 if name in LONG else PER_SLICE
            gc.collect()
            clock, processor = time.perf_counter(), time.process_time()
            for _ in range(times):
                run()
            spent = (time.perf_counter() - clock) / times, (time.process_time() - processor) / times
            if turn:
                found.setdefault(name, []).append(spent)
        print(f"round {turn} of {rounds}", flush=True)
    return found


def ratios(found: Mapping[str, Sequence[tuple[float, float]]]) -> list[Row]:
    """The table's rows from what was measured."""
    rows = []
    for ratio in RATIOS:
        above, below = np.array(found[ratio.above]), np.array(found[ratio.below])
        clock, processor = (above / below).T
        low, value, high = np.percentile(clock, [25, 50, 75]).tolist()
        seconds = statistics.median(above[:, 0].tolist())
        rows.append(Row(ratio.measure, "ratio", value, low, high, float(np.median(processor)), seconds, ratio.goal))
    return rows


# -- memory ------------------------------------------------------------------------------------------------------------


def resident() -> tuple[float, float]:
    """MB that this process has in memory, and how many of them are anonymous (Linux)."""
    told = dict(line.split(":", 1) for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:])
    return tuple(int(told[name].split()[0]) / 1024 for name in ("Rss", "Anonymous"))  # type: ignore[return-value]


def fill(
    run: Path, scan: Path, epochs: Sequence[int], device: str, precision: str, root: Path, pipe: Connection
) -> None:
    """A process that computes a whole scan and tells by how much it grew at most: (resident, anonymous) in MB."""
    with np.load(scan) as stored:
        volume = Volume(stored["data"], stored["affine"])
    loaded = load_run(run)
    before = resident()
    peak = list(before)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            peak[:] = np.maximum(peak, resident()).tolist()

    watcher = threading.Thread(target=watch)
    watcher.start()
    with suppress(BrokenPipeError):
        work = open_film(
            volume, loaded, sites=SITES, epochs=list(epochs), device=device, precision=precision, shelf=Shelf(root)
        )
        with drain(work) as film:
            count = drain(develop(film, lambda: View(film.done.shape[1] // 2, 0, None)))
        ended.set()
        watcher.join()
        pipe.send((count, *(np.array(peak) - before).tolist()))


def memory(volume: Volume, run: Run, device: str, precision: str, folder: Path) -> list[Row]:
    """By how much a process grows that computes every frame, at one epoch and at all of them."""
    scan = folder / "scan.npz"
    np.savez(scan, data=volume.data, affine=volume.affine)
    context = multiprocessing.get_context("spawn")
    rows: list[Row] = []
    grown: list[tuple[float, float]] = []
    for epochs in (run.epochs[-1:], run.epochs):
        ours, theirs = context.Pipe()
        shelf = folder / f"memory-{len(epochs)}"
        child = context.Process(
            target=fill, args=(run.path, scan, epochs, device, precision, shelf, theirs), daemon=True
        )
        child.start()
        theirs.close()
        count, total, anonymous = ours.recv()
        child.join()
        grown.append((total, anonymous))
        where = f"{count} frames, {len(epochs)} epoch{'s' if len(epochs) > 1 else ''}, {precision}"
        rows.append(Row(f"memory of {where}, resident", "MB", total, total, total, goal=MEMORY_GOAL))
        rows.append(Row(f"memory of {where}, anonymous", "MB", anonymous, anonymous, anonymous, goal=MEMORY_GOAL))
    more = grown[1][1] - grown[0][1]
    rows.append(Row("memory of all epochs beyond that of one, anonymous", "MB", more, more, more, goal=SAME_MEMORY))
    return rows


# -- the table ---------------------------------------------------------------------------------------------------------


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    print(f"{'':<82}{'median':>8}{'quartiles':>16}{'CPU':>7}{'s':>8}{'goal':>7}  kept")
    for row in rows:
        digits = 0 if row.unit == "MB" else 3
        spread = "" if row.unit == "MB" else f"{row.low:.3f} – {row.high:.3f}"
        numbers = "" if row.unit == "MB" else f"{row.processor:>7.3f}{row.seconds:>8.3f}"
        goal = "" if row.goal is None else f"{row.goal:g}"
        print(f"{row.measure:<82}{row.value:>8.{digits}f}{spread:>16}{numbers:>15}{goal:>7}  {row.verdict}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", default=DEFAULT_EXPLORE_RUN, help="name or folder of a run with spatial gates")
    parser.add_argument("--scan", type=Path, help="a scan; otherwise a head of ellipsoids is made")
    parser.add_argument("--size", type=int, default=256, help="voxels of that head along each axis")
    parser.add_argument("--rounds", type=int, default=7, help="of the ratios; 0: none, only memory")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: as many as it takes by itself")
    parser.add_argument("--memory-slices", type=int, default=6, help="slices whose memory is measured; 0: none")
    parser.add_argument("--memory-precision", default="float32", help="bfloat16 is faster, and takes less")
    parser.add_argument("--whole", action="store_true", help="measure the memory of the whole scan: it takes long")
    parser.add_argument("--out", type=Path, help="write the table to this CSV file as well")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    run = load_run(options.run)
    volume = make_head((options.size,) * 3) if options.scan is None else images.read(options.scan)
    where = (
        f"{run.name}, {len(run.epochs)} epochs, {'x'.join(map(str, volume.shape))}, {options.device}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{where}; load before: {load:.1f} of {os.cpu_count()} processors", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = []
        if options.rounds:
            variants = Variants(volume, run, folder, options.device)
            rows = ratios(measure(variants, options.rounds))
            variants.close()
        if options.memory_slices and Path("/proc/self/smaps_rollup").exists():
            count = max(volume.shape) if options.whole else options.memory_slices
            rows += memory(
                slab(volume, Plane(run.config.plane), count), run, options.device, options.memory_precision, folder
            )
    show(rows)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        names = [field.name for field in fields(Row)]
        body = [(*astuple(row), row.verdict, where, f"{load:.1f}", options.rounds) for row in rows]
        write_table(options.out, [*names, "kept", "where", "load", "rounds"], body)


if __name__ == "__main__":
    main()
