"""What is measured of a structure, and how it is summed up over structures or cases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

# name, as it is in `StructureScore`, the CSV files and the options -> what people read
MEASURES: dict[str, str] = {
    "dice": "Dice",
    "volume_similarity": "Volume similarity",
    "assd_mm": "ASSD (mm)",
    "hd95_mm": "HD95 (mm)",
}
SURFACE_MEASURES = ("assd_mm", "hd95_mm")


@dataclass(frozen=True)
class Spread:
    """How many numbers there are, their mean (NaN if none) and sample standard deviation (NaN if fewer than two)."""

    count: int
    mean: float
    sd: float


def spread(numbers: Iterable[float]) -> Spread:
    """Sum up `numbers`; those that are NaN are left out."""
    array = np.array(list(numbers), np.float64)
    array = array[~np.isnan(array)]
    mean = float(array.mean()) if array.size else float("nan")
    sd = float(array.std(ddof=1)) if array.size > 1 else float("nan")
    return Spread(int(array.size), mean, sd)
