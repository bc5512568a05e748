"""Make T1-weighted scans out of label maps.

Each draw deforms a label map, gives every tissue an intensity drawn from the T1 priors, and spoils the result as
scanners do: bias field, blur, resolution, noise, contrast, brightness, a missing skull or face. The idea and the priors
are SynthSeg's (Billot et al., Medical Image Analysis 86, 2023); the choices that differ are:

- tissue outside the brain varies by its own factor on top of the priors (raw scans have fat brighter than white
  matter),
- a scan is scaled by the median intensity of its *labelled* voxels, the quantity that inference can estimate as well,
- only the box that is asked for is computed, so that a slab for training costs a fraction of a whole head.

Everything is plain torch, on any device, and a function of the generator's state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_scse import intensity_priors as priors
from napari_scse.errors import InputError
from napari_scse.slices import SliceStack

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]

MARGIN = 4  # voxels computed around a box, so that blur and resolution have neighbours at its faces


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
    deviation: tuple[float, float] = (0.35, 0.85)  # factor on the priors' standard deviations
    texture: float = (
        0.0  # largest standard deviation of a log field that varies within structures (knots 10 voxels apart)
    )
    extracerebral: tuple[float, float] = (-0.5, 0.8)  # log of the factor on tissue outside the brain
    strip: float = 0.25  # probability of a skull-stripped scan
    deface: float = 0.3  # probability of a defaced scan
    bias: float = 0.35  # largest standard deviation of the log bias field (4³ knots)
    blur: tuple[float, float] = (0.3, 1.0)  # standard deviation in voxels
    low_resolution: float = 0.25  # probability of thicker voxels along one or all axes
    thickest: float = 3.0  # voxels
    noise: float = 0.06  # largest standard deviation, in units of the labelled median
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


class Synthesiser:
    """Draws synthetic scans of one label map.

    Parameters
    ----------
    stack
        The label map as a stack (N, H, W) with values out of `intensity_priors.GENERATION_LABELS`.
    classes
        Label value → class index for the training labels; values not named become background (0).
    partners
        Label value → the value it has in a mirrored head.
    """

    def __init__(
        self,
        stack: SliceStack,
        classes: Mapping[int, int],
        partners: Mapping[int, int],
        config: SynthesisConfig | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config = config or SynthesisConfig()
        self.device = torch.device(device)
        known = np.asarray(priors.GENERATION_LABELS)
        dense = np.full(int(known.max()) + 1, -1, np.int16)
        dense[known] = np.arange(len(known))
        labels = np.rint(np.asarray(stack.data)).astype(np.int64)
        unknown = np.setdiff1d(np.unique(labels), known)
        if unknown.size:
            raise InputError(f"This label map holds labels without a T1 intensity: {unknown[:8].tolist()}.")
        index = dense[labels]
        self.shape = index.shape
        self._map = torch.from_numpy(index.astype(np.float32))[None, None].to(self.device)
        self._tissue = torch.tensor(priors.GENERATION_CLASSES, device=self.device)
        self._target = torch.tensor([classes.get(v, 0) for v in known.tolist()], device=self.device)
        self._partner = torch.tensor([int(dense[partners.get(v, v)]) for v in known.tolist()], device=self.device)
        self._outside = torch.tensor((known >= priors.FIRST_EXTRACEREBRAL).tolist(), device=self.device)
        counts = np.bincount(index.ravel(), minlength=len(known)).astype(np.float64)
        labelled = np.asarray([classes.get(v, 0) > 0 for v in known.tolist()])
        self._mixture = torch.from_numpy(counts * labelled)
        if not self._mixture.any():
            raise InputError("This label map holds none of the structures to be learned.")
        where = np.argwhere(labelled[index])
        self.labelled_box: Box = tuple((int(a), int(b) + 1) for a, b in zip(where.min(0), where.max(0), strict=True))  # type: ignore[assignment]
        self._centre = torch.tensor([(a + b - 1) / 2 for a, b in self.labelled_box], dtype=torch.float64)
        self._brain_points = torch.from_numpy(where[:: max(1, len(where) // 20000)].astype(np.float64))
        directions = np.asarray(stack.geometry.stack_affine)[:3, :3]
        # columns: the stack's axes in RAS
        self._directions = torch.from_numpy(directions / np.linalg.norm(directions, axis=0))
        self._left_right = stack.geometry.left_right_axis

    @torch.no_grad()
    def draw(self, generator: torch.Generator, box: Box | None = None, median: float = 1.0) -> tuple[Tensor, Tensor]:
        """Draw one scan.

        Parameters
        ----------
        generator
            On the synthesiser's device; its state decides the draw.
        box
            Half-open ranges along (n, h, w) in voxels of the label map; they may stick out. Default: all of it.
        median
            The scan is scaled so that the median over its labelled voxels is about this (before the random gain).

        Returns
        -------
        tuple of torch.Tensor
            The scan, float32, and its class indices, uint8, both of the box's shape (n, h, w).
        """
        box = box or ((0, self.shape[0]), (0, self.shape[1]), (0, self.shape[2]))
        grown: Box = tuple((a - MARGIN, b + MARGIN) for a, b in box)  # type: ignore[assignment]
        random = _Random(generator, self.device)
        points, mirrored = self._deform(random, grown)
        index = self._sample(points)
        if mirrored:
            index = self._partner[index]
        target = self._target[index].to(torch.uint8)
        index = self._remove_tissue(random, index, points, target)
        image, reference = self._paint(random, index)
        image = self._spoil(random, image / reference)
        keep = tuple(slice(MARGIN, -MARGIN) for _ in range(3))
        return (image[keep] * median).contiguous(), target[keep].contiguous()

    def _deform(self, random: _Random, box: Box) -> tuple[Tensor, bool]:
        """Where in the label map each voxel of the box comes from: (n, h, w, 3) voxel coordinates; and if mirrored."""
        config = self.config
        mirrored = random.chance(config.mirror)
        angles = [np.deg2rad(random.symmetric(config.rotation)) for _ in range(3)]
        matrix = torch.eye(3, dtype=torch.float64)
        for axis, angle in enumerate(angles):
            rotation = torch.eye(3, dtype=torch.float64)
            a, b = (i for i in range(3) if i != axis)
            rotation[a, a] = rotation[b, b] = float(np.cos(angle))
            rotation[a, b], rotation[b, a] = -float(np.sin(angle)), float(np.sin(angle))
            matrix = matrix @ rotation
        common = random.symmetric(config.scaling)
        scales = [1 + 0.7 * common + 0.3 * random.symmetric(config.scaling) for _ in range(3)]
        shear = torch.eye(3, dtype=torch.float64)
        for a in range(3):
            for b in range(a + 1, 3):
                shear[a, b] = random.symmetric(config.shear)
        matrix = matrix @ shear @ torch.diag(torch.tensor(scales, dtype=torch.float64))
        if mirrored:
            matrix[self._left_right] *= -1
        offset = self._centre - matrix @ self._centre
        axes = [torch.arange(a, b, dtype=torch.float32, device=self.device) for a, b in box]
        base = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
        points = base @ matrix.T.to(base) + offset.to(base)
        size = torch.tensor(self.shape, dtype=torch.float32, device=self.device)
        unit = (points / (size - 1).clamp(min=1) * 2 - 1).flip(-1)[None]
        for knots, limit in ((7, config.coarse_displacement), (16, config.fine_displacement)):
            field = random.normal(1, 3, knots, knots, knots) * (random.uniform(0, limit) * size.mean())
            shift = functional.grid_sample(field, unit, padding_mode="border", align_corners=True)
            points += shift[0].permute(1, 2, 3, 0)
        return points, mirrored

    def _sample(self, points: Tensor) -> Tensor:
        size = torch.tensor(self.shape, dtype=torch.float32, device=self.device)
        unit = (points / (size - 1).clamp(min=1) * 2 - 1).flip(-1)[None]
        return functional.grid_sample(self._map, unit, mode="nearest", align_corners=True)[0, 0].long()

    def _remove_tissue(self, random: _Random, index: Tensor, points: Tensor, target: Tensor) -> Tensor:
        """Strip the skull, or cut the face off along a plane in front of and below the brain."""
        if random.chance(self.config.strip):
            remove = self._outside[index]
            if random.chance(0.5):
                remove |= target == 0
            return index.masked_fill(remove, 0)
        if random.chance(self.config.deface):
            slope = np.deg2rad(random.uniform(20, 70))
            direction = torch.tensor([0.0, np.cos(slope), -np.sin(slope)], dtype=torch.float64)  # RAS: forward and down
            normal = self._directions.T @ direction
            limit = float((self._brain_points @ normal).max()) + random.uniform(1, 15)
            return index.masked_fill((points @ normal.to(points) > limit) & (target == 0), 0)
        return index

    def _paint(self, random: _Random, index: Tensor) -> tuple[Tensor, float]:
        """Intensities of the voxels, and the median over the labelled ones as expected from the map's volumes."""
        config = self.config
        means, deviations = (torch.tensor(t, device=self.device) for t in (priors.T1_MEANS, priors.T1_DEVIATIONS))
        count = len(means)
        mean = (means[:, 0] + config.contrast * means[:, 1] * random.normal(count)).clamp(min=0)
        spread = (deviations[:, 0] + deviations[:, 1] * random.normal(count)).abs() * random.uniform(*config.deviation)
        outside = torch.unique(self._tissue[self._outside])
        low, high = config.extracerebral
        factor = torch.exp(low + (high - low) * random.uniforms(len(outside)))
        mean[outside] *= factor
        spread[outside] *= factor.clamp(max=1.5)
        if random.chance(0.5):
            mean[0] = spread[0] = 0.0
        tissue = self._tissue[index]
        image = (mean[tissue] + spread[tissue] * random.normal(*index.shape)).clamp(min=0)
        drawn = torch.multinomial(
            self._mixture.to(self.device).float(), 20_000, replacement=True, generator=random.generator
        )
        expected = mean[self._tissue[drawn]] + spread[self._tissue[drawn]] * random.normal(20_000)
        return image, max(float(expected.median()), 1.0)

    def _spoil(self, random: _Random, image: Tensor) -> Tensor:
        config = self.config
        field = random.normal(1, 1, 4, 4, 4) * random.uniform(0, config.bias)
        bias = functional.interpolate(field, image.shape, mode="trilinear", align_corners=True)[0, 0]
        if config.texture:
            knots = [max(2, round(n / 10)) for n in image.shape]
            field = random.normal(1, 1, *knots) * random.uniform(0, config.texture)
            bias = bias + functional.interpolate(field, image.shape, mode="trilinear", align_corners=True)[0, 0]
        image = image * torch.exp(bias)
        image = _blur(image, [random.uniform(*config.blur)] * 3)
        if random.chance(config.low_resolution):
            image = self._coarsen(random, image)
        image = image + random.normal(*image.shape) * random.uniform(0, config.noise)
        image = image.clamp(min=0) ** float(np.exp(config.gamma * random.gaussian()))
        low, high = np.log(config.gain)
        return (image * float(np.exp(random.uniform(low, high))) + random.symmetric(config.brightness)).clamp(min=0)

    def _coarsen(self, random: _Random, image: Tensor) -> Tensor:
        thickness = random.uniform(1.0, self.config.thickest)
        axis = random.integer(4)
        factors = [min(thickness, 1.7)] * 3 if axis == 3 else [thickness if a == axis else 1.0 for a in range(3)]
        smooth = _blur(image, [0.4 * f if f > 1 else 0.0 for f in factors])
        small = [max(2, round(n / f)) for n, f in zip(image.shape, factors, strict=True)]
        coarse = functional.interpolate(smooth[None, None], small, mode="trilinear", align_corners=True)
        return functional.interpolate(coarse, image.shape, mode="trilinear", align_corners=True)[0, 0]


class _Random:
    """The few kinds of draws that synthesis needs, all from one generator."""

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        self.generator = generator
        self.device = device

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator, device=self.device)

    def uniforms(self, count: int) -> Tensor:
        return torch.rand(count, generator=self.generator, device=self.device)

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(self.uniforms(1))

    def symmetric(self, limit: float) -> float:
        return self.uniform(-limit, limit)

    def gaussian(self) -> float:
        return float(self.normal(1))

    def chance(self, probability: float) -> bool:
        return float(self.uniforms(1)) < probability

    def integer(self, count: int) -> int:
        return min(count - 1, int(float(self.uniforms(1)) * count))


def _blur(image: Tensor, sigmas: list[float]) -> Tensor:
    """Gaussian blur of (n, h, w), one standard deviation in voxels per axis (0 leaves the axis)."""
    result = image[None, None]
    for axis, sigma in enumerate(sigmas):
        if sigma <= 0:
            continue
        radius = max(1, round(3 * sigma))
        offsets = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
        kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
        shape = [1, 1, 1, 1, 1]
        shape[axis + 2] = len(offsets)
        padding = [0] * 6
        padding[2 * (2 - axis)] = padding[2 * (2 - axis) + 1] = radius
        padded = functional.pad(result, padding, mode="replicate")
        result = functional.conv3d(padded, (kernel / kernel.sum()).view(shape))
    return result[0, 0]
