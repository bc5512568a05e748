"""Draws synthetic scans of a label map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_scse.errors import InputError
from napari_scse.slices import SliceStack
from napari_scse.synthesis import priors
from napari_scse.synthesis.config import SynthesisConfig
from napari_scse.synthesis.draws import Draws, blur
from napari_scse.synthesis.tissues import WHITE_MATTER, draw_tissues, level

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]

_FIELDS = 4  # that the tissues' own variations are mixed of
_FINENESS = (4.0, 12.0)  # voxels between their knots
_BELOW = (0.05, 0.18)  # share of white matter's intensity by which a control point may lie below it
MARGIN = 4  # voxels computed around a box, so that blur and resolution have neighbours at its faces


class Synthesiser:
    """Draws synthetic scans of one label map.

    Parameters
    ----------
    stack
        The label map as a stack (N, H, W) with values out of `priors.GENERATION_LABELS`.
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
        self._white = torch.isin(self._tissue, torch.tensor(WHITE_MATTER, device=self.device))
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
        random = Draws(generator, self.device)
        points, mirrored = self._deform(random, grown)
        index = self._sample(points)
        if mirrored:
            index = self._partner[index]
        target = self._target[index].to(torch.uint8)
        index = self._remove_tissue(random, index, points, target)
        image, reference = self._paint(random, index)
        image = self._spoil(random, image / reference, self._white[index])
        keep = tuple(slice(MARGIN, -MARGIN) for _ in range(3))
        return (image[keep] * median).contiguous(), target[keep].contiguous()

    def _deform(self, random: Draws, box: Box) -> tuple[Tensor, bool]:
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

    def _remove_tissue(self, random: Draws, index: Tensor, points: Tensor, target: Tensor) -> Tensor:
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

    def _paint(self, random: Draws, index: Tensor) -> tuple[Tensor, float]:
        """Intensities of the voxels, and the median over the labelled ones as expected from the map's volumes."""
        tissues = draw_tissues(random, self.config, self._outside, self._partner)
        mean, spread = tissues.mean, tissues.spread
        image = mean[index]
        if self.config.variation:
            image = image * torch.exp(self._vary(random, self._tissue[index], len(priors.T1_MEANS)))
        image = (image + spread[index] * random.normal(*index.shape)).clamp(min=0)
        drawn = torch.multinomial(
            self._mixture.float().to(self.device), 20_000, replacement=True, generator=random.generator
        )
        expected = mean[drawn] + spread[drawn] * random.normal(20_000)
        return image, max(float(expected.median()), 1.0)

    def _vary(self, random: Draws, tissue: Tensor, count: int) -> Tensor:
        """A log field over (n, h, w) that is smooth within each tissue, and another one in the next."""
        shares = functional.normalize(random.normal(_FIELDS, count), dim=0) * random.uniform(0, self.config.variation)
        distance = random.uniform(*_FINENESS)
        field = torch.zeros(tissue.shape, device=self.device)
        for share in shares:
            field += share[tissue] * self._texture(random, tissue.shape, distance)
        return field

    def _texture(self, random: Draws, shape: Sequence[int], distance: float = 10.0) -> Tensor:
        """A smooth field (n, h, w) with knots so many voxels apart, of standard deviation 1 at the knots."""
        knots = [max(2, round(n / distance)) for n in shape]
        field = random.normal(1, 1, *knots)
        return functional.interpolate(field, tuple(shape), mode="trilinear", align_corners=True)[0, 0]

    def _spoil(self, random: Draws, image: Tensor, white: Tensor) -> Tensor:
        config = self.config
        normalised = bool(config.control_points) and random.chance(config.control_points)
        field = random.normal(1, 1, 4, 4, 4) * random.uniform(0, 0.0 if normalised else config.bias)
        bias = functional.interpolate(field, image.shape, mode="trilinear", align_corners=True)[0, 0]
        if config.texture:
            bias = bias + self._texture(random, image.shape) * random.uniform(0, config.texture)
        image = image * torch.exp(bias)
        image = blur(image, [random.uniform(*config.blur)] * 3)
        if random.chance(config.low_resolution):
            image = self._coarsen(random, image)
        image = image + random.normal(*image.shape) * random.uniform(0, config.noise)
        if normalised and white.any():
            image = level(image, white, random.uniform(*_BELOW))
        image = image.clamp(min=0) ** float(np.exp(config.gamma * random.gaussian()))
        low, high = np.log(config.gain)
        return (image * float(np.exp(random.uniform(low, high))) + random.symmetric(config.brightness)).clamp(min=0)

    def _coarsen(self, random: Draws, image: Tensor) -> Tensor:
        thickness = random.uniform(1.0, self.config.thickest)
        axis = random.integer(4)
        factors = [min(thickness, 1.7)] * 3 if axis == 3 else [thickness if a == axis else 1.0 for a in range(3)]
        smooth = blur(image, [0.4 * f if f > 1 else 0.0 for f in factors])
        small = [max(2, round(n / f)) for n, f in zip(image.shape, factors, strict=True)]
        coarse = functional.interpolate(smooth[None, None], small, mode="trilinear", align_corners=True)
        return functional.interpolate(coarse, image.shape, mode="trilinear", align_corners=True)[0, 0]
