"""How far synthetic scans may stray."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from napari_scse.errors import InputError


@dataclass(frozen=True)
class SynthesisConfig:
    """How far draws may stray; ranges are half-widths of uniform draws unless said otherwise."""

    rotation: float = 12.0  # degrees about each axis
    scaling: float = 0.15
    shear: float = 0.05
    coarse_displacement: float = 0.03  # largest standard deviation of a 7³ field, in fields of view
    fine_displacement: float = 0.006  # the same of a 16³ field
    mirror: float = 0.5  # probability
    contrast: float = 1.0  # factor on the spread of a tissue's mean over scans
    coupling: tuple[float, float] = (
        0.0,
        0.0,
    )  # share of that spread's variance that all tissues of a scan have in common
    fading: float = 0.0  # probability that grey tissues lose part of their contrast with white matter
    parting: float = 0.0  # largest deviation among the structures of one tissue, in that spread
    deviation: tuple[float, float] = (0.35, 0.85)  # factor on the priors' standard deviations
    texture: float = (
        0.0  # largest standard deviation of a log field that varies within structures (knots 10 voxels apart)
    )
    variation: float = 0.0  # the same of log fields of which every tissue has a mixture of its own
    extracerebral: tuple[float, float] = (-0.5, 0.8)  # log of the factor on tissue outside the brain
    strip: float = 0.25  # probability of a skull-stripped scan
    deface: float = 0.3  # probability of a defaced scan
    bias: float = 0.35  # largest standard deviation of the log bias field (4³ knots)
    blur: tuple[float, float] = (0.3, 1.0)  # standard deviation in voxels
    low_resolution: float = 0.25  # probability of thicker voxels along one or all axes
    thickest: float = 3.0  # voxels
    noise: float = 0.06  # largest standard deviation, in units of the labelled median
    control_points: float = 0.0  # probability of a scan as FreeSurfer normalises it: white matter of one intensity
    gamma: float = 0.2  # standard deviation of the log exponent
    gain: tuple[float, float] = (0.7, 1.4)  # factor on the final intensity, log-uniform
    brightness: float = 0.05  # offset, in units of the labelled median

    @classmethod
    def parse(cls, text: str) -> SynthesisConfig:
        """Read ``"texture=0.1,blur=0.3:1.0"``: changes to the defaults, ranges written low:high."""
        defaults = {field.name: field.default for field in fields(cls)}
        changes: dict[str, Any] = {}
        for name, _, value in (part.partition("=") for part in text.split(",") if part):
            default = defaults.get(name)
            try:
                numbers = tuple(float(number) for number in value.split(":"))
            except ValueError:
                numbers = ()
            wanted = len(default) if isinstance(default, tuple) else 1
            if default is None or len(numbers) != wanted:
                known = ", ".join(defaults)
                raise InputError(f"Synthesis is set as NAME=NUMBER or NAME=LOW:HIGH of {known}; got {name}={value}.")
            changes[name] = numbers if isinstance(default, tuple) else numbers[0]
        return cls(**changes)
