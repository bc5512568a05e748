"""Some slices of a scan labelled by a network, as `segment` labels them, but for mirroring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from napari_scse.conform import merge, windows
from napari_scse.errors import InputError
from napari_scse.execution import Executor
from napari_scse.inference import Location, Scan
from napari_scse.inference.islands import find_islands


def judged(scan: Scan, location: Location, every: int, first: int) -> list[int]:
    """Every so-manieth slice of the located region, from slice `first` of the stack on.

    Raises
    ------
    InputError
        The run's slices are not those of the scan.
    """
    if scan.conformation.steps[0] != 1.0:
        raise InputError("Slices can only be left out where the scan has the run's spacing through its plane.")
    return list(range(max(first, location.first), location.last, every))


def label(
    network: nn.Module, scan: Scan, location: Location, numbers: Sequence[int], device: torch.device, precision: str
) -> Mapping[int, np.ndarray]:
    """Slice number → label values (H, W) of the stack; islands, as far as these slices show them, are background."""
    parts = windows(scan.plane_shape, scan.config.canvas, location.box)

    with Executor(network, device, precision) as executor:

        def scores() -> object:
            for number in numbers:
                own = executor.run(scan.slices([number], location.gain, parts)).softmax(1)
                yield number, merge(parts, list(own), scan.plane_shape)

        found = scan.conformation.return_scores(scores())  # type: ignore[arg-type]
        labels = np.stack([scan.config.values[plane.argmax(0).cpu().numpy()] for _, plane in found])
    labels[find_islands(labels)] = 0
    return dict(zip(numbers, labels, strict=True))
