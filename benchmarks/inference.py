"""How far inference is from what this computer's convolutions allow, and how much it gains over a plain evaluation.

    python benchmarks/inference.py [--network fc-densenet] [--se scse] [--canvas 160 192] [--rounds 5]

The floor is the network's convolution FLOPs over the throughput of the best single convolution, measured in the same
rounds. The paths take turns, each in a process of its own (the allocator's tuning holds for a whole process), and the
median over the rounds is shown; trust the ratios more than the milliseconds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from napari_scse.events import SliceDone
from napari_scse.execution import Executor, choose_device, tune_allocator
from napari_scse.inference import segment
from napari_scse.nn.architectures import KINDS, Excitation, NetworkConfig, build_network
from napari_scse.runs import RunConfig, create_run, make_classes
from napari_scse.slices import Plane
from napari_scse.structures import FREESURFER27
from napari_scse.volume import Volume

PATHS = ("ceiling float32", "ceiling bfloat16", "naive", "executor float32", "executor bfloat16", "segment float32")


def conv_flops(network: nn.Module, canvas: tuple[int, int]) -> int:
    """FLOPs of all convolutions for one slice; a multiplication and an addition are two."""
    total = 0

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        kernel = module.kernel_size[0] * module.kernel_size[1]
        if isinstance(module, nn.ConvTranspose2d):
            kernel = 1  # of 2 x 2 with stride 2, one product an output pixel
        total += 2 * output.numel() * module.in_channels * kernel

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    with torch.inference_mode():
        network(torch.zeros(1, network.config.in_channels, *canvas))
    for hook in hooks:
        hook.remove()
    return total


def ceiling(precision: str, canvas: tuple[int, int]) -> Callable[[], float]:
    """One large convolution: GFLOP/s."""
    dtype = getattr(torch, precision)
    conv = nn.Conv2d(64, 64, 5, padding=2).to(dtype).to(memory_format=torch.channels_last)
    x = torch.rand(1, 64, *canvas).to(dtype).to(memory_format=torch.channels_last)
    flops = 2 * 64 * 64 * 25 * canvas[0] * canvas[1]

    def measure() -> float:
        with torch.inference_mode():
            times = []
            for _ in range(8):
                start = time.perf_counter()
                conv(x)
                times.append(time.perf_counter() - start)
        return flops / min(times) / 1e9

    return measure


def make_path(path: str, config: NetworkConfig, canvas: tuple[int, int], count: int) -> Callable[[], float]:
    """A function that measures `path` once: GFLOP/s of a ceiling, otherwise ms a slice."""
    kind, _, precision = path.partition(" ")
    if kind == "ceiling":
        return ceiling(precision, canvas)
    torch.manual_seed(0)
    network = build_network(config).eval()
    slices = np.random.default_rng(0).random((count, config.in_channels, *canvas), dtype=np.float32)
    if kind == "naive":

        def naive() -> float:
            start = time.perf_counter()
            with torch.no_grad():
                scores = [network(torch.from_numpy(slices[i : i + 4])) for i in range(0, count, 4)]
            torch.cat(scores).argmax(1).numpy()
            return (time.perf_counter() - start) / count * 1e3

        return naive
    if kind == "executor":
        executor = Executor(network, choose_device("cpu"), precision)

        def fast() -> float:
            start = time.perf_counter()
            for labels in executor.map(slices, lambda run, batch: run(batch).argmax(1)):
                labels.numpy()
            return (time.perf_counter() - start) / count * 1e3

        return fast
    folder = tempfile.mkdtemp()
    run_config = RunConfig("bench", config, make_classes(FREESURFER27), Plane.CORONAL, (1.0, 1.0, 1.0), canvas)
    run = create_run(Path(folder) / "bench", run_config)
    run.save_epoch(1, network, {"loss": 1.0})
    volume = Volume(np.random.default_rng(0).random((canvas[1], count + 1, canvas[0])), np.eye(4))

    def whole() -> float:
        times = [
            time.perf_counter()
            for event in segment(volume, run, device="cpu", precision=precision, batch_size=1)
            if isinstance(event, SliceDone) and event.done <= event.total
        ][: count + 1]
        return (times[-1] - times[0]) / count * 1e3

    return whole


def work(path: str, config: NetworkConfig, canvas: tuple[int, int], count: int, pipe: Connection) -> None:
    """A process that measures one path whenever it is asked to; the answer comes with its peak memory in MB."""
    if path != "naive":
        tune_allocator()
    measure = make_path(path, config, canvas, count)
    while pipe.recv():
        pipe.send((measure(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=KINDS, default="fc-densenet")
    parser.add_argument("--se", choices=list(Excitation), default="scse")
    parser.add_argument("--canvas", type=int, nargs=2, default=(160, 192), metavar=("ROWS", "COLUMNS"))
    parser.add_argument("--slices", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    canvas = (options.canvas[0], options.canvas[1])
    config = NetworkConfig.preset(options.network, excitation=options.se, classes=len(FREESURFER27) + 1)
    gflop = conv_flops(build_network(config).eval(), canvas) / 1e9

    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    processes = []
    for path in PATHS:
        pipes[path], theirs = context.Pipe()
        process = context.Process(target=work, args=(path, config, canvas, options.slices, theirs), daemon=True)
        process.start()
        processes.append(process)
    seen: dict[str, list[tuple[float, float]]] = {path: [] for path in PATHS}
    for number in range(options.rounds + 1):
        for path, pipe in pipes.items():
            pipe.send(True)
            answer = pipe.recv()
            if number:  # the first round warms up
                seen[path].append(answer)
    for pipe, process in zip(pipes.values(), processes, strict=True):
        pipe.send(False)
        process.join()

    print(f"{options.network} {options.se}, {canvas[0]} x {canvas[1]}, {gflop:.1f} GFLOP a slice, {torch.__version__}")
    best = {path.split()[1]: max(rate for rate, _ in seen[path]) for path in PATHS if path.startswith("ceiling")}
    for precision, rate in best.items():
        print(f"ceiling {precision}: {rate:.0f} GFLOP/s, floor {gflop / rate * 1e3:.1f} ms a slice")
    naive = statistics.median(ms for ms, _ in seen["naive"])
    print(f"\n{'path':<20}{'ms a slice':>12}{'of floor':>12}{'of naive':>12}{'peak MB':>10}")
    for path in PATHS[2:]:
        ms = statistics.median(value for value, _ in seen[path])
        floor = gflop / best[path.partition(" ")[2] or "float32"] * 1e3
        peak = max(memory for _, memory in seen[path])
        print(f"{path:<20}{ms:>12.1f}{ms / floor:>12.2f}{ms / naive:>12.2f}{peak:>10.0f}")


if __name__ == "__main__":
    main()
