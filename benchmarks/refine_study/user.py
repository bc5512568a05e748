"""A simulated user: strokes along the largest errors of a few slices, drawn from a reference, the same for every seed.

In each chosen slice the user goes to the largest connected region that should have another label (background is a
label), and draws one stroke in it: a brush of radius 1 is moved pixel by pixel, keeping its direction where it can,
until 20 to 60 voxels are painted. What the brush touches beside the structure is not painted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_scse.refinement import Strokes
from napari_scse.slices import Plane, SliceGeometry, cut
from napari_scse.volume import LabelVolume

_BRUSH = np.array([(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)])  # radius 1
_STEPS = np.array([(h, w) for h in (-1, 0, 1) for w in (-1, 0, 1) if h or w])


@dataclass(frozen=True)
class User:
    """How strokes are drawn.

    Attributes
    ----------
    slices
        Painted in a round: those with the most wrong voxels that are far enough apart.
    strokes
        In each of them, the largest errors first.
    shortest, longest
        Voxels of a stroke.
    smallest
        Errors of fewer voxels are left alone.
    apart_mm
        Between the slices of a round.
    """

    slices: int = 4
    strokes: int = 5
    shortest: int = 20
    longest: int = 60
    smallest: int = 8
    apart_mm: float = 8.0


def paint(
    user: User, prediction: np.ndarray, reference: LabelVolume, plane: Plane, before: Strokes | None, seed: int
) -> Strokes:
    """One round of strokes, with those of the rounds `before` it.

    Parameters
    ----------
    prediction, reference
        Label values on one grid.
    plane
        The plane that is looked at.
    """
    random = np.random.default_rng(seed)
    truth = cut(reference, plane)
    found = cut(LabelVolume(prediction, reference.affine), plane).data
    painted = np.zeros(reference.shape, bool) if before is None else before.painted.copy()
    geometry = truth.geometry
    for number in choose(user, found != truth.data, geometry, painted):
        for mask in draw(user, found[number], truth.data[number], random):
            painted[geometry.index(number)] |= geometry.restore_slice(mask)
    return Strokes(reference.data, painted)


def choose(user: User, wrong: np.ndarray, geometry: SliceGeometry, painted: np.ndarray) -> list[int]:
    """The slices with the most wrong voxels, none closer than `apart_mm` to another or to one that is painted."""
    errors = wrong.sum((1, 2)).astype(np.int64)
    apart = user.apart_mm / geometry.stack_spacing[0]
    taken = [n for n in range(len(wrong)) if painted[geometry.index(n)].any()]
    chosen: list[int] = []
    for number in np.argsort(-errors, kind="stable").tolist():
        if len(chosen) == user.slices or not errors[number]:
            break
        if all(abs(number - other) >= apart for other in (*taken, *chosen)):
            chosen.append(number)
    return chosen


def draw(user: User, found: np.ndarray, truth: np.ndarray, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Boolean masks (H, W) of the strokes in one slice."""
    regions: list[tuple[int, np.ndarray, int]] = []
    wrong = found != truth
    for value in np.unique(truth[wrong]).tolist():
        parts, count = ndimage.label(wrong & (truth == value), np.ones((3, 3)))
        sizes = np.bincount(parts.ravel(), minlength=count + 1)
        regions += [(int(sizes[part]), parts == part, value) for part in range(1, count + 1)]
    regions = [region for region in regions if region[0] >= user.smallest]
    regions.sort(key=lambda region: -region[0])
    for _, region, value in regions[: user.strokes]:
        yield _stroke(region, truth == value, int(random.integers(user.shortest, user.longest + 1)), random)


def _stroke(region: np.ndarray, allowed: np.ndarray, length: int, random: np.random.Generator) -> np.ndarray:
    """Move the brush through a region, from its deepest pixel on, until `length` voxels are painted."""
    depth = ndimage.distance_transform_edt(region)
    place = np.array(np.unravel_index(int(depth.argmax()), depth.shape))
    painted = np.zeros(region.shape, bool)
    visits = np.zeros(region.shape)
    direction = _STEPS[random.integers(len(_STEPS))]
    for _ in range(4 * length):
        for h, w in place + _BRUSH:
            if 0 <= h < region.shape[0] and 0 <= w < region.shape[1] and allowed[h, w]:
                painted[h, w] = True
        if np.count_nonzero(painted) >= length:
            break
        visits[tuple(place)] += 1
        ways = [step for step in _STEPS if _is_in(region, place + step)]
        if not ways:
            break
        liking = [
            depth[tuple(place + step)] - 3 * visits[tuple(place + step)] + 0.5 * (step @ direction) + random.random()
            for step in ways
        ]
        direction = ways[int(np.argmax(liking))]
        place = place + direction
    return painted


def _is_in(region: np.ndarray, place: np.ndarray) -> bool:
    return bool(np.all(place >= 0) and np.all(place < region.shape) and region[tuple(place)])


def painted_slices(strokes: Strokes, geometry: SliceGeometry) -> Collection[int]:
    """Numbers of the slices with strokes."""
    return [n for n in range(geometry.stack_shape[0]) if strokes.painted[geometry.index(n)].any()]
