"""Some slices of a scan labelled by a network, as `segment` labels them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from napari_scse.errors import InputError
from napari_scse.execution import Executor
from napari_scse.inference import Location, Scan
from napari_scse.inference.islands import find_islands
from napari_scse.inference.labelling import Labeller, sees_both_sides


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
    with Executor(network, device, precision, batch_size=1) as executor:
        labeller = Labeller(scan, executor, location, mirror=sees_both_sides(scan.config))
        classes: dict[int, np.ndarray] = {}
        for number in numbers:
            while number not in classes and (batch := labeller.missing(number)) is not None:
                classes |= {labelled.number: labelled.classes for labelled in labeller.compute(batch)}
    labels = scan.config.values[np.stack([classes[number] for number in numbers])]
    labels[find_islands(labels)] = 0
    return dict(zip(numbers, labels, strict=True))
