"""The few kinds of random draws that synthesis needs, and a blur."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


class Draws:
    """All draws come from one generator."""

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


def blur(image: Tensor, sigmas: Sequence[float]) -> Tensor:
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
