"""Slices to train on, from label maps (scans are synthesised) or from image/label pairs.

A subject gives *slabs*: consecutive slices of one drawn scan, cut to the run's canvas at a random place around the
labelled region. Everything drawn is a function of (seed, epoch, draw), so that an interrupted training resumes with the
very stream that it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from napari_scse.conform import Window, conform
from napari_scse.errors import InputError
from napari_scse.intensity import prepare
from napari_scse.runs import Intensity
from napari_scse.slices import Plane, SliceStack, cut
from napari_scse.synthesis import Box, SynthesisConfig, Synthesiser
from napari_scse.volume import LabelVolume, Volume, require_same_grid

GROUP = 8  # slabs that are drawn together and shuffled, so that a batch mixes scans


@dataclass(frozen=True)
class Sampling:
    """How slices are cut out of scans.

    Attributes
    ----------
    plane, spacing, canvas, neighbours, intensity
        As in `RunConfig`.
    slab
        Consecutive slices of a drawn scan; every second one is used, from a random start.
    jitter
        The canvas is centred on the labelled region up to this many voxels off, along rows and columns.
    """

    plane: Plane = Plane.CORONAL
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    canvas: tuple[int, int] = (160, 160)
    neighbours: int = 0
    intensity: Intensity = field(default_factory=Intensity)
    slab: int = 64
    jitter: int = 24


class Subject(Protocol):
    """One head, body or eye to learn from."""

    name: str

    def slab(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw slices (n, C, H, W) float32 and their class indices (n, H, W) int64."""

    def whole(self, seed: int, step: int) -> tuple[Tensor, Tensor]:
        """Every `step`-th slice of the labelled region, the same at each call; for validation."""

    def class_pixels(self) -> tuple[Tensor, Tensor]:
        """Pixels of each class, and pixels of the slices in which it occurs, both (K,) float64."""


class LabelMapSubject:
    """A label map: every draw is a new synthetic scan of it."""

    def __init__(
        self,
        name: str,
        labels: LabelVolume,
        sampling: Sampling,
        classes: Mapping[int, int],
        partners: Mapping[int, int],
        synthesis: SynthesisConfig | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.name = name
        self.sampling = sampling
        stack = cut(labels, sampling.plane)
        layout = conform(stack.geometry.stack_shape, stack.geometry.stack_spacing, sampling.spacing)
        stack = SliceStack(layout.resample_labels(stack.data), stack.geometry)
        self._scans = Synthesiser(stack, classes, partners, synthesis, device)
        lookup = np.zeros(65536, np.uint8)
        lookup[list(classes)] = list(classes.values())
        window = _window(self._scans.labelled_box, sampling.canvas, (0, 0))
        self._classes = max(classes.values()) + 1
        self._pixels = _class_pixels(lookup[window.extract(np.asarray(stack.data))], self._classes)

    def slab(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """See `Subject.slab`."""
        sampling = self.sampling
        random = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator, device=generator.device)))
        (first, last), *_ = self._scans.labelled_box
        centre = random.uniform(first, last - 1)
        start = round(centre - sampling.slab / 2)
        shift = random.integers(-sampling.jitter, sampling.jitter + 1, 2)
        box = self._box((start, start + sampling.slab), (int(shift[0]), int(shift[1])))
        image, target = self._draw(generator, box)
        offset = int(random.integers(2))
        return _slices(image, target, sampling.neighbours, range(offset, sampling.slab, 2))

    def whole(self, seed: int, step: int) -> tuple[Tensor, Tensor]:
        """See `Subject.whole`."""
        generator = torch.Generator(self._scans.device).manual_seed(seed)
        (first, last), *_ = self._scans.labelled_box
        image, target = self._draw(generator, self._box((first, last), (0, 0)))
        return _slices(image, target, self.sampling.neighbours, range(0, last - first, step))

    def class_pixels(self) -> tuple[Tensor, Tensor]:
        """See `Subject.class_pixels`."""
        return self._pixels

    def _box(self, depth: tuple[int, int], shift: tuple[int, int]) -> Box:
        reach = self.sampling.neighbours
        window = _window(self._scans.labelled_box, self.sampling.canvas, shift)
        return (
            (depth[0] - reach, depth[1] + reach),
            (window.top, window.top + window.height),
            (window.left, window.left + window.width),
        )

    def _draw(self, generator: torch.Generator, box: Box) -> tuple[Tensor, Tensor]:
        intensity = self.sampling.intensity
        image, target = self._scans.draw(generator, box, intensity.labelled_median)
        return image.clamp_(max=intensity.clip), target


class PairSubject:
    """A scan and its labels: draws vary contrast and gain, and its side where `partners` are given.

    Parameters
    ----------
    name, image, labels, sampling
        The scan, its labels on the same grid, and how slices are cut out of them.
    classes
        Label value → class index.
    partners
        Label value → that of the other side; None: scans are not mirrored (`can_mirror`).
    """

    def __init__(
        self,
        name: str,
        image: Volume,
        labels: LabelVolume,
        sampling: Sampling,
        classes: Mapping[int, int],
        partners: Mapping[int, int] | None = None,
    ) -> None:
        require_same_grid(image, labels)
        self.name = name
        self.sampling = sampling
        dtype = np.min_scalar_type(max(classes.values()))
        lookup = np.zeros(65536, dtype)
        lookup[list(classes)] = list(classes.values())
        stack = cut(image, sampling.plane)
        layout = conform(stack.geometry.stack_shape, stack.geometry.stack_spacing, sampling.spacing)
        self._labels = lookup[layout.resample_labels(cut(labels, sampling.plane).data).astype(np.int64)]
        scan = layout.resample(prepare(stack.data))
        labelled = scan[self._labels > 0]
        if not labelled.size:
            raise InputError(f"The labels of {name} hold none of the structures to be learned.")
        scale = float(np.median(labelled))
        if scale <= 0:
            raise InputError(f"The labelled voxels of {name} need a positive median intensity; theirs is {scale:g}.")
        self._image = scan / scale  # the labelled median is 1
        self._left_right = stack.geometry.left_right_axis
        self._mirrors = partners is not None
        by_index = {classes[v]: classes[p] for v, p in (partners or {}).items() if v in classes and p in classes}
        self._partner = np.asarray([by_index.get(i, i) for i in range(max(classes.values()) + 1)], dtype)
        where = np.argwhere(self._labels)
        self._box: Box = tuple((int(a), int(b) + 1) for a, b in zip(where.min(0), where.max(0), strict=True))  # type: ignore[assignment]
        window = _window(self._box, sampling.canvas, (0, 0))
        self._pixels = _class_pixels(window.extract(self._labels), max(classes.values()) + 1)

    def slab(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """See `Subject.slab`."""
        sampling = self.sampling
        random = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator, device=generator.device)))
        slab = min(sampling.slab, len(self._labels))
        centre = random.uniform(self._box[0][0], self._box[0][1] - 1)
        start = int(np.clip(round(centre - slab / 2), 0, len(self._labels) - slab))
        shift = random.integers(-sampling.jitter, sampling.jitter + 1, 2)
        image, target = self._cut((start, start + slab), (int(shift[0]), int(shift[1])))
        if random.random() < 0.5 and self._mirrors:
            image, target = np.flip(image, self._left_right), self._partner[np.flip(target, self._left_right)]
        exponent, gain = np.exp(random.normal(0, 0.2)), np.exp(random.uniform(np.log(0.7), np.log(1.4)))
        chosen = range(int(random.integers(min(2, slab))), slab, 2)
        return self._slices(np.clip(image, 0, None) ** exponent * gain, target, chosen)

    def whole(self, seed: int, step: int) -> tuple[Tensor, Tensor]:
        """See `Subject.whole`; nothing is drawn."""
        del seed
        first, last = self._box[0]
        image, target = self._cut((first, last), (0, 0))
        return self._slices(image, target, range(0, last - first, step))

    def class_pixels(self) -> tuple[Tensor, Tensor]:
        """See `Subject.class_pixels`."""
        return self._pixels

    def _cut(self, depth: tuple[int, int], shift: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """The canvas over slices `depth`, neighbours beyond the ends repeated."""
        reach = self.sampling.neighbours
        rows = np.clip(np.arange(depth[0] - reach, depth[1] + reach), 0, len(self._labels) - 1)
        window = _window(self._box, self.sampling.canvas, shift)
        return window.extract(self._image[rows]), window.extract(self._labels[rows])

    def _slices(self, image: np.ndarray, target: np.ndarray, chosen: range) -> tuple[Tensor, Tensor]:
        intensity = self.sampling.intensity
        scan = torch.from_numpy(np.ascontiguousarray(image, np.float32)).mul(intensity.labelled_median)
        scan.clamp_(max=intensity.clip)
        return _slices(scan, torch.from_numpy(np.ascontiguousarray(target)), self.sampling.neighbours, chosen)


def epoch_batches(
    subjects: Sequence[Subject], slices: int, batch: int, seed: int, epoch: int, device: torch.device | str = "cpu"
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one epoch: `slices` slices in batches of `batch`, as images (B, C, H, W) and class indices (B, H, W).

    All are on `device`; only the last batch may be smaller.
    Subjects are visited in a random order that starts anew when all have been drawn from once.
    """
    order = np.random.default_rng([seed, epoch])
    queue: list[int] = []
    pieces: list[tuple[Tensor, Tensor]] = []  # at first what the group before left, too little for a batch
    draw = given = 0
    while given < slices:
        for _ in range(GROUP):
            queue = queue or order.permutation(len(subjects)).tolist()
            state = np.random.SeedSequence([seed, epoch, draw]).generate_state(1, np.uint64)[0]
            generator = torch.Generator(device).manual_seed(int(state >> np.uint64(1)))
            pieces.append(subjects[queue.pop()].slab(generator))
            draw += 1
            if given + sum(len(p[1]) for p in pieces) >= slices:
                break
        images, labels = (torch.cat(parts) for parts in zip(*pieces, strict=True))
        shuffled = torch.from_numpy(order.permutation(len(labels))[: slices - given]).to(labels.device)
        is_last = given + len(shuffled) == slices
        whole = len(shuffled) if is_last else len(shuffled) // batch * batch
        for chosen in torch.split(shuffled[:whole], batch):
            yield images[chosen].to(device), labels[chosen].to(device)
        given += whole
        rest = shuffled[whole:]
        pieces = [(images[rest], labels[rest])] if len(rest) else []


def _window(box: Box, canvas: tuple[int, int], shift: tuple[int, int]) -> Window:
    """The canvas, centred on the rows and columns of `box` but for `shift`."""
    (top, bottom), (left, right) = box[1:]
    rows, columns = canvas
    return Window(round((top + bottom - rows) / 2) + shift[0], round((left + right - columns) / 2) + shift[1], *canvas)


def _slices(image: Tensor, target: Tensor, reach: int, chosen: range) -> tuple[Tensor, Tensor]:
    """Slices `chosen` of a slab that has `reach` more slices at both ends, each with its neighbours as channels."""
    images = torch.stack([image[n : n + 2 * reach + 1] for n in chosen])
    return images, target[reach + chosen.start : reach + chosen.stop : chosen.step].long()


def _class_pixels(labels: np.ndarray, classes: int) -> tuple[Tensor, Tensor]:
    per_slice = np.stack([np.bincount(plane.ravel(), minlength=classes) for plane in labels])
    area = labels[0].size
    return torch.from_numpy(per_slice.sum(0)).double(), torch.from_numpy((per_slice > 0).sum(0) * area).double()
