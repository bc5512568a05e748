"""How far synthetic scans may stray."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from napari_scse.errors import InputError


@dataclass(frozen=True)
class SynthesisConfig:
    """How far draws may stray; a single number is the half-width of a uniform draw unless said otherwise.

    Attributes
    ----------
    rotation, scaling, shear
        Of the head: degrees about each axis, and shares.
    coarse_displacement, fine_displacement
        Largest standard deviation of a smooth displacement with 7³ and with 16³ knots, in fields of view.
    mirror
        Probability that left and right are exchanged.
    contrast
        Factor on the spread of a tissue's mean over scans.
    coupling
        Range of the share of that spread's variance that all tissues of a scan have in common.
    fading
        Probability that grey tissues lose part of their contrast with white matter.
    parting
        Largest deviation among the structures of one tissue, in the spread of its mean.
    deviation
        Range of the factor on the priors' standard deviations within a tissue.
    texture
        Largest standard deviation of a log field that varies within structures (knots 10 voxels apart).
    variation
        The same of log fields of which every tissue has a mixture of its own.
    extracerebral
        Range of the log of the factor on tissue outside the brain.
    strip, deface
        Probability of a scan without skull, and of one without face.
    bias
        Largest standard deviation of the log bias field (4³ knots).
    blur
        Range of the blur's standard deviation in voxels.
    low_resolution, thickest
        Probability of thicker voxels along one or all axes, and how thick they are at most, in voxels.
    noise
        Largest standard deviation, in units of the labelled median.
    control_points
        Probability of a scan as FreeSurfer normalises it: no bias, and white matter of one intensity.
    gamma
        Standard deviation of the log of the exponent on intensities.
    gain
        Range of the factor on the final intensity, log-uniform.
    brightness
        Offset, in units of the labelled median.
    """

    rotation: float = 12.0
    scaling: float = 0.15
    shear: float = 0.05
    coarse_displacement: float = 0.03
    fine_displacement: float = 0.006
    mirror: float = 0.5
    contrast: float = 1.0
    coupling: tuple[float, float] = (0.0, 0.0)
    fading: float = 0.0
    parting: float = 0.0
    deviation: tuple[float, float] = (0.35, 0.85)
    texture: float = 0.0
    variation: float = 0.0
    extracerebral: tuple[float, float] = (-0.5, 0.8)
    strip: float = 0.25
    deface: float = 0.3
    bias: float = 0.35
    blur: tuple[float, float] = (0.3, 1.0)
    low_resolution: float = 0.25
    thickest: float = 3.0
    noise: float = 0.06
    control_points: float = 0.0
    gamma: float = 0.2
    gain: tuple[float, float] = (0.7, 1.4)
    brightness: float = 0.05

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
