from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_scse import images
from napari_scse.nn.architectures import NetworkConfig
from napari_scse.training import TrainConfig
from napari_scse.volume import LabelVolume, Volume


@pytest.fixture
def maps(tmp_path: Path, label_map: LabelVolume) -> Path:
    """A folder of two label maps."""
    folder = tmp_path / "maps"
    folder.mkdir()
    images.write_labels(folder / "a.nii.gz", label_map)
    images.write_labels(folder / "b.nii.gz", LabelVolume(label_map.data[::-1].copy(), label_map.affine))
    return folder


@pytest.fixture
def pairs(tmp_path: Path, label_map: LabelVolume) -> tuple[Path, Path]:
    """Folders of images and labels, the image being a function of the labels and noise."""
    folders = tmp_path / "images", tmp_path / "labels"
    for folder in folders:
        folder.mkdir()
    for seed, name in enumerate(("one", "two")):
        noise = np.random.default_rng(seed).normal(0, 2, label_map.shape)
        image = np.where(label_map.data > 500, 90, label_map.data * 2) + 5 + noise
        images.write(folders[0] / f"{name}.mgz", Volume(image.astype(np.float32), label_map.affine))
        images.write_labels(folders[1] / f"{name}.nii", label_map)
    return folders


@pytest.fixture
def tiny_training(tmp_path: Path, maps: Path) -> Callable[..., TrainConfig]:
    """A maker of trainings that take a second an epoch."""

    def make(out: str = "run", **changes: Any) -> TrainConfig:
        network = NetworkConfig.preset("sd-net", maps=6, depth=2, kernel=(3, 3), excitation="scse")
        basics: dict[str, Any] = {
            "network": network,
            "label_maps": maps,
            "canvas": (24, 32),
            "epochs": 3,
            "slices": 8,
            "seed": 3,
            "device": "cpu",
            "precision": "float32",
        }
        return TrainConfig(out=tmp_path / out, **basics | changes)

    return make
