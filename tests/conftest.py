"""Fixtures shared by all tests: small, never cubic, never in the identity orientation."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_scse.nn.architectures import NetworkConfig
from napari_scse.runs import RegisteredRun, Run, RunConfig, create_run, make_classes, registry
from napari_scse.runs.publishing import register_runs, write_registry
from napari_scse.settings import MODELS_VARIABLE
from napari_scse.slices import Plane
from napari_scse.structures import FREESURFER27, Structure
from napari_scse.volume import LabelVolume, Volume

torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell that runs tests in the background has them ignore Ctrl-C, and what they start inherits that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data, or a skip that says what is missing."""
    folder = os.environ.get("NAPARI_SCSE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real scans: set NAPARI_SCSE_DATA to their folder")
    return Path(folder)


def oblique_affine(spacing: tuple[float, float, float] = (1.0, 1.3, 0.8)) -> np.ndarray:
    """Left, inferior, anterior axes, turned by a few degrees about two of them."""
    a, b = np.deg2rad([7.0, -4.0])
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    axes = np.array([[-1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ tilt @ axes @ np.diag(spacing)
    affine[:3, 3] = (21.5, -13.0, 8.25)
    return affine


@pytest.fixture
def scan() -> Volume:
    """An oblique, anisotropic, non-RAS scan: an ellipsoid "head" of two tissues on a dark background."""
    return make_scan()


def make_scan(shape: tuple[int, int, int] = (31, 23, 27)) -> Volume:
    """See `scan`."""
    grid = np.indices(shape).astype(float)
    centre = (np.array(shape) - 1) / 2
    radius = np.sqrt(sum(((g - c) / (0.42 * s)) ** 2 for g, c, s in zip(grid, centre, shape, strict=True)))
    noise = np.random.default_rng(0).normal(0, 4, shape)
    data = np.where(radius < 0.6, 110.0, np.where(radius < 1, 70.0, 3.0)) + noise
    return Volume(data.clip(0).astype(np.float32), oblique_affine())


@pytest.fixture
def labels(scan: Volume) -> LabelVolume:
    """Left and right white matter and cortex of `scan`, by its left-right axis."""
    return make_labels(scan)


def make_labels(scan: Volume) -> LabelVolume:
    """See `labels`."""
    smooth = scan.data
    left = np.arange(scan.shape[0])[:, None, None] > scan.shape[0] // 2  # the first axis points to the left
    found = np.where(smooth > 92, np.where(left, 2, 41), np.where(smooth > 40, np.where(left, 3, 42), 0))
    return LabelVolume(found.astype(np.uint8), scan.affine)


@pytest.fixture
def label_map() -> LabelVolume:
    """A whole-head label map in LIA order: scalp (516), CSF (24), cortex (3, 42), white matter (2, 41); symmetric."""
    shape = (40, 36, 32)
    grid = np.indices(shape).astype(float)
    centre = (np.array(shape) - 1) / 2
    radius = np.sqrt(sum(((g - c) / (0.45 * s)) ** 2 for g, c, s in zip(grid, centre, shape, strict=True)))
    left = grid[0] > centre[0]
    rings = [radius < 0.45, radius < 0.7, radius < 0.8, radius < 1]
    found = np.select(rings, [np.where(left, 2, 41), np.where(left, 3, 42), 24, 516], 0)
    return LabelVolume(
        found.astype(np.uint16), np.array([[-1.0, 0, 0, 20], [0, 0, 1, -15], [0, -1, 0, 18], [0, 0, 0, 1]])
    )


@pytest.fixture
def tiny_run(tmp_path: Path) -> Callable[..., Run]:
    """A maker of runs with small random networks: ``tiny_run(epochs=3, excitation="sse", name="tiny")``."""

    def make(
        *,
        name: str = "tiny",
        kind: str = "fc-densenet",
        excitation: str = "scse",
        epochs: int = 3,
        neighbours: int = 0,
        plane: str = "coronal",
        canvas: tuple[int, int] = (32, 24),
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        structures: tuple[Structure, ...] = FREESURFER27,
        smoothing: tuple[float, float, float] = (0.0, 0.0, 0.0),
        folder: Path | None = None,
        **network: Any,
    ) -> Run:
        layout: dict[str, Any] = {"maps": 4, "depth": 2, "kernel": (3, 3), "classes": len(structures) + 1} | network
        config = RunConfig(
            name=name,
            network=NetworkConfig.preset(
                kind, "paper-count", excitation=excitation, in_channels=2 * neighbours + 1, **layout
            ),
            classes=make_classes(structures),
            plane=Plane(plane),
            spacing=spacing,
            canvas=canvas,
            neighbours=neighbours,
            smoothing=smoothing,
        )
        run = create_run((folder or tmp_path / "runs") / name, config)
        torch.manual_seed(7)
        from napari_scse.nn.architectures import build_network

        for epoch in range(1, epochs + 1):
            network_ = build_network(config.network)
            with torch.no_grad():
                for module in network_.modules():
                    if isinstance(module, torch.nn.BatchNorm2d):
                        module.running_mean.normal_(0, 0.1)
                        module.running_var.uniform_(0.5, 1.5)
            run.save_epoch(epoch, network_, {"loss": 1.0 / epoch, "validation_dice": epoch / 10, "seconds": 1.0})
        return run

    return make


@pytest.fixture
def publish(
    tiny_run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., RegisteredRun]:
    """A maker of published runs: ``publish(name="far", …)`` makes one in ``models/`` and registers it, and it alone.

    The registry is the test's own, and so are the user's folders.
    """
    for name in ("DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.delenv(MODELS_VARIABLE, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(registry, "REGISTRY", tmp_path / "registry.json")
    write_registry([], registry.REGISTRY)

    def make(name: str = "far", **layout: Any) -> RegisteredRun:
        run = tiny_run(name=name, folder=tmp_path / "models", **layout)
        card = f"# {name}\n\nA small network, `untrained`,\nfor tests.\n\n- **Licence**: BSD-3-Clause. Of no use.\n"
        (run.path / "README.md").write_text(card, encoding="utf-8")
        runs = register_runs(tmp_path / "models")
        write_registry(runs, registry.REGISTRY)
        return next(one for one in runs if one.name == name)

    return make


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """A maker of servers: ``serve(folder)`` gives the address at which its files are; ``serve(handler)`` another's."""
    servers: list[ThreadingHTTPServer] = []

    def start(what: Path | type[BaseHTTPRequestHandler]) -> str:
        handler = partial(_Files, directory=str(what)) if isinstance(what, Path) else what
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=partial(server.serve_forever, poll_interval=0.02)).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class _Files(SimpleHTTPRequestHandler):
    """Gives files, and says nothing."""

    def log_message(self, *_: object) -> None:
        """Keep stderr free."""
