"""A network whose answer is known: it labels by brightness alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from napari_scse.nn.architectures import NetworkConfig, build_network
from napari_scse.runs import Intensity, Run, RunConfig, create_run
from napari_scse.slices import Plane
from napari_scse.structures import BACKGROUND, Structure
from napari_scse.volume import Volume


@pytest.fixture
def threshold_run(tmp_path: Path) -> Callable[..., Run]:
    """A maker of runs with a U-Net that gives class k to every pixel between the k-th of `levels` and the next one."""

    def make(
        levels: Sequence[float] = (0.5, 1.2),
        values: Sequence[int] = (3, 2),
        *,
        canvas: tuple[int, int] = (32, 24),
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        plane: str = "coronal",
        name: str = "threshold",
    ) -> Run:
        config = NetworkConfig.preset(
            "u-net", "paper-text", maps=2, depth=1, kernel=(1, 1), classes=len(levels) + 1, excitation="none"
        )
        network = build_network(config)
        weights = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
        for block in ("encoders.0", "decoders.0"):  # the image passes through the skip connection unchanged
            for layer in ("layer1", "layer2"):
                weights[f"{block}.block.{layer}.conv.weight"][0, 0] = 1
        for k, level in enumerate(levels, start=1):  # lines that cross at the levels
            weights["classifier.conv.weight"][k, 0] = 20 * k
            weights["classifier.conv.bias"][k] = weights["classifier.conv.bias"][k - 1] - 20 * level
        network.load_state_dict(weights)
        classes = (BACKGROUND, *(Structure(value, f"Tissue-{value}", "#ffffff") for value in values))
        intensity = Intensity(labelled_median=1.0, clip=2.5)
        run = create_run(
            tmp_path / name,
            RunConfig(name, config, classes, Plane(plane), spacing, canvas, intensity=intensity),
        )
        run.save_epoch(1, network, {"loss": 0.5, "validation_dice": 0.9})
        return run

    return make


@pytest.fixture
def turn() -> Callable[[Volume, tuple[int, ...], tuple[bool, ...]], Volume]:
    """The same head in a file of another orientation: axes flipped, then put into another order."""

    def turned(volume: Volume, order: tuple[int, ...], flips: tuple[bool, ...]) -> Volume:
        affine = volume.affine.copy()
        for axis, flip in enumerate(flips):
            if flip:
                affine[:3, 3] += affine[:3, axis] * (volume.shape[axis] - 1)
                affine[:3, axis] *= -1
        data = volume.data[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]
        return Volume(data.transpose(order), affine[:, [*order, 3]])

    return turned
