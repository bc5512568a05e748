"""What `robustness.py` does to a scan before it is segmented; the labels follow onto the degraded scan's grid.

Every degradation is a function of a `Head` and a seeded generator that returns another `Head`. Where the grid changes,
intensities are interpolated linearly (smoothed first along axes that get coarser, as thicker slices are) and labels are
those of the nearest voxel: what is scored is what the degraded scan can still show. Nothing moves in space.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from napari_scse.volume import LabelVolume, Volume, nearest_axes, require_same_grid

WHITE_MATTER = (2, 41)
CEREBELLUM = (7, 8, 46, 47)
RIGHT, ANTERIOR, SUPERIOR = range(3)

_FWHM = 2.0 * math.sqrt(2.0 * math.log(2.0))


@dataclass(frozen=True, eq=False)
class Head:
    """A scan, its structures, and what belongs to the brain, all on one grid.

    Attributes
    ----------
    scan
        The T1.
    labels
        The 27 structures; 0 elsewhere.
    brain
        Boolean, the scan's shape: every voxel that the aseg gives any label, fluid included.
    """

    scan: Volume
    labels: LabelVolume
    brain: np.ndarray

    def __post_init__(self) -> None:
        require_same_grid(self.scan, self.labels)
        if self.brain.shape != self.scan.shape:
            raise ValueError(f"The brain's mask has shape {self.brain.shape}, the scan {self.scan.shape}.")

    def with_intensities(self, data: np.ndarray) -> Head:
        """The same head with another image on the same grid."""
        return replace(self, scan=Volume(data, self.scan.affine))


Make = Callable[[Head, np.random.Generator], Head]


@dataclass(frozen=True)
class Degradation:
    """One way in which a scan can be worse.

    Attributes
    ----------
    name
        What it is called on the command line and in the table.
    text
        What it is, in one line.
    make
        Does it.
    usual
        Whether it is done without being asked for.
    """

    name: str
    text: str
    make: Make
    usual: bool = True


# ---------------------------------------------------------------------------------------------------------- the grid


def regrid(head: Head, shape: Sequence[int], affine: np.ndarray) -> Head:
    """Bring a head to another grid: intensities linearly, 0 outside of the scan; labels from the nearest voxel."""
    matrix = np.linalg.inv(head.scan.affine) @ affine  # index of the new grid -> index of the old
    steps = np.abs(matrix[:3, :3]).max(axis=1)
    sigmas = [math.sqrt(step**2 - 1) / _FWHM if step > 1 + 1e-6 else 0.0 for step in steps]
    data = np.asarray(head.scan.data, dtype=np.float32)
    if any(sigmas):
        data = ndimage.gaussian_filter(data, sigmas, mode="nearest")

    def bring(array: np.ndarray, order: int) -> np.ndarray:
        turned: np.ndarray = ndimage.affine_transform(
            array, matrix[:3, :3], matrix[:3, 3], tuple(shape), order=order, mode="grid-constant"
        )
        return turned

    labels, brain = bring(head.labels.data, 0), bring(head.brain.astype(np.uint8), 0) > 0
    return Head(Volume(bring(data, 1), affine), LabelVolume(labels, affine), brain)


def to_spacing(head: Head, spacing: Sequence[float]) -> Head:
    """Bring a head to voxels of `spacing` mm along its axes, about the common centre of both grids."""
    old = np.asarray(head.scan.shape)
    steps = np.asarray(spacing) / head.scan.spacing
    shape = np.maximum(1, np.round(old / steps)).astype(int)
    to_old = np.diag((*steps, 1.0))
    to_old[:3, 3] = (old - 1) / 2 - steps * (shape - 1) / 2
    return regrid(head, shape, head.scan.affine @ to_old)


def voxels(size: float) -> Make:
    """Cubic voxels of `size` mm."""
    return lambda head, _: to_spacing(head, (size, size, size))


def slabs(thickness: float, world: int) -> Make:
    """Slices of `thickness` mm along the axis nearest to a direction; the other axes keep their spacing."""

    def make(head: Head, _: np.random.Generator) -> Head:
        spacing = list(head.scan.spacing)
        spacing[nearest_axes(head.scan.affine)[0][world]] = thickness
        return to_spacing(head, spacing)

    return make


def turn(head: Head, degrees: float, axis: Sequence[float], centre: Sequence[float]) -> np.ndarray:
    """The head's affine with its grid turned about an axis (RAS) through a point (RAS mm); nothing moves in space."""
    x, y, z = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = math.radians(degrees)
    rotation = np.eye(4)
    rotation[:3, :3] += math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    rotation[:3, 3] = np.asarray(centre) - rotation[:3, :3] @ centre
    turned: np.ndarray = rotation @ head.scan.affine
    return turned


def oblique(degrees: float) -> Make:
    """A grid turned about a slanting axis through the middle of the scan, of the same shape."""

    def make(head: Head, _: np.random.Generator) -> Head:
        middle = (np.asarray(head.scan.shape) - 1) / 2
        centre = (head.scan.affine @ (*middle, 1))[:3]
        return regrid(head, head.scan.shape, turn(head, degrees, (1, 1, 1), centre))

    return make


# ------------------------------------------------------------------------------------------------- the field of view


def crop(head: Head, box: Sequence[slice]) -> Head:
    """Cut a box out of a head."""
    cut = tuple(slice(*s.indices(n)[:2]) for s, n in zip(box, head.scan.shape, strict=True))
    to_old = np.eye(4)
    to_old[:3, 3] = [s.start for s in cut]
    affine = head.scan.affine @ to_old
    return Head(Volume(head.scan.data[cut], affine), LabelVolume(head.labels.data[cut], affine), head.brain[cut])


def keep_beyond(head: Head, world: int, share: float, among: np.ndarray, above: bool) -> Head:
    """Keep what lies above (or below) a level: `share` of the way along a direction through the voxels of `among`."""
    axes, backwards = nearest_axes(head.scan.affine)
    axis, size = axes[world], head.scan.shape[axes[world]]
    others = tuple(a for a in range(3) if a != axis)
    along = np.flatnonzero(among.any(others))
    low, high = int(along[0]), int(along[-1]) + 1
    level = round(high - share * (high - low)) if backwards[world] else round(low + share * (high - low))
    box = [slice(0, n) for n in head.scan.shape]
    box[axis] = slice(0, level) if above == backwards[world] else slice(level, size)
    return crop(head, box)


def below_cerebellum(head: Head, _: np.random.Generator) -> Head:
    """Nothing below the lowest voxel of the cerebellum: no neck, and the brain stem is cut."""
    return keep_beyond(head, SUPERIOR, 0.0, np.isin(head.labels.data, CEREBELLUM), above=True)


def without_top(head: Head, _: np.random.Generator) -> Head:
    """Without the top third of the brain."""
    return keep_beyond(head, SUPERIOR, 2 / 3, head.labels.data > 0, above=False)


def without_side(head: Head, _: np.random.Generator) -> Head:
    """A field of view turned by 15 degrees about the vertical, without a quarter of the brain's width on the left."""
    middle = np.argwhere(head.brain).mean(0)
    centre = (head.scan.affine @ (*middle, 1))[:3]
    turned = regrid(head, head.scan.shape, turn(head, 15.0, (0, 0, 1), centre))
    return keep_beyond(turned, RIGHT, 1 / 4, turned.labels.data > 0, above=True)


# ----------------------------------------------------------------------------------------------------- the intensities


def strip(margin_mm: float) -> Make:
    """0 further than `margin_mm` from the brain."""

    def make(head: Head, _: np.random.Generator) -> Head:
        away = ndimage.distance_transform_edt(~head.brain, sampling=head.scan.spacing)
        return head.with_intensities(np.where(away <= margin_mm, head.scan.data, 0))

    return make


def gamma(power: float) -> Make:
    """Raise intensities to a power, between the 0.5th and the 99.9th percentile."""

    def make(head: Head, _: np.random.Generator) -> Head:
        share, span = _normalised(head.scan.data)
        return head.with_intensities((share**power * span).astype(np.float32))

    return make


def bias(extent: float) -> Make:
    """Multiply by a smooth random field between 1 - `extent` and 1 + `extent`."""

    def make(head: Head, random: np.random.Generator) -> Head:
        field = random.normal(size=(4, 4, 4))
        for n in head.scan.shape:  # each turn brings the next axis to its size, and to the end of the row
            spread = ndimage.zoom(np.eye(4), (n / 4, 1), order=3, mode="nearest", grid_mode=True)
            field = np.tensordot(field, spread, axes=(0, 1))
        low, high = field.min(), field.max()
        factor = 1 + extent * (2 * (field - low) / (high - low) - 1)
        return head.with_intensities((head.scan.data * factor).astype(np.float32))

    return make


def noise(share: float) -> Make:
    """Add Gaussian noise of `share` of the white matter's median; what falls below 0 becomes 0."""

    def make(head: Head, random: np.random.Generator) -> Head:
        white = float(np.median(head.scan.data[np.isin(head.labels.data, WHITE_MATTER)]))
        added = random.standard_normal(head.scan.shape, dtype=np.float32) * np.float32(share * white)
        return head.with_intensities(np.maximum(head.scan.data + added, 0).astype(np.float32))

    return make


def rescale(factor: float, offset: float = 0.0) -> Make:
    """``factor * intensity + offset``, in float32."""

    def make(head: Head, _: np.random.Generator) -> Head:
        return head.with_intensities((head.scan.data * factor + offset).astype(np.float32))

    return make


def quantise(kind: type[np.integer], top: int) -> Make:
    """Whole numbers from 0 to `top`, reached at the 99.9th percentile; what is brighter becomes `top`."""

    def make(head: Head, _: np.random.Generator) -> Head:
        share, _span = _normalised(head.scan.data)
        return head.with_intensities(np.rint(share * top).clip(0, top).astype(kind))

    return make


def _normalised(data: np.ndarray) -> tuple[np.ndarray, float]:
    """Intensities with 0 at the 0.5th and 1 at the 99.9th percentile, none below 0; and the distance of the two."""
    low, high = np.percentile(data, [0.5, 99.9])
    span = float(high - low) or 1.0
    return np.maximum((data.astype(np.float32) - np.float32(low)) / np.float32(span), 0), span


DEGRADATIONS: tuple[Degradation, ...] = (
    Degradation("none", "the scan as it is", lambda head, _: head),
    Degradation("stripped", "0 further than 2.5 mm from anything the aseg labels", strip(2.5)),
    Degradation("voxels-0.7", "cubic voxels of 0.7 mm", voxels(0.7)),
    Degradation("voxels-1.5", "cubic voxels of 1.5 mm", voxels(1.5)),
    Degradation("voxels-2", "cubic voxels of 2 mm", voxels(2.0)),
    Degradation("slabs-axial", "slices of 3 mm from bottom to top", slabs(3.0, SUPERIOR)),
    Degradation("slabs-coronal", "slices of 3 mm from back to front", slabs(3.0, ANTERIOR), usual=False),
    Degradation("slabs-sagittal", "slices of 3 mm from side to side", slabs(3.0, RIGHT), usual=False),
    Degradation("contrast-low", "normalised intensities to the power of 0.6", gamma(0.6)),
    Degradation("contrast-high", "normalised intensities to the power of 1.6", gamma(1.6)),
    Degradation("bias", "times a smooth random field from 0.7 to 1.3", bias(0.3)),
    Degradation("noise-5", "Gaussian noise of 5 % of white matter's median", noise(0.05)),
    Degradation("noise-10", "Gaussian noise of 10 % of white matter's median", noise(0.10)),
    Degradation("view-bottom", "the field of view ends at the lowest voxel of the cerebellum", below_cerebellum),
    Degradation("view-top", "the top third of the brain is out of view", without_top),
    Degradation("view-side", "a quarter of the brain, cut off at 15° on the left, is out of view", without_side),
    Degradation("range-float", "float32, times 0.01, plus 3", rescale(0.01, 3.0)),
    Degradation("range-int16", "int16, up to 30,000", quantise(np.int16, 30_000)),
    Degradation("range-uint8", "8 bits, the brightest 0.1 % saturated", quantise(np.uint8, 255)),
    Degradation("gain-0.7", "times 0.7", rescale(0.7)),
    Degradation("gain-1.3", "times 1.3", rescale(1.3)),
    Degradation("oblique", "a grid turned by 20° about a slanting axis", oblique(20.0)),
)
