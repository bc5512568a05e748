"""What lies at every pixel of a map: a structure's boundary or inside, the rest of the head, or air.

Maps are never resampled: a label is looked up at the centre of each of their pixels, through both affines.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_scse.intensity import prepare
from napari_scse.volume import LabelVolume, Volume

OUTSIDE = -1
UNLABELLED, OTHER_HEAD, AIR = range(3)  # kinds of pixels without a label; the first where no image says more
_NUDGE = 1e-4  # of a map's pixel
_HOT = 99.9  # percentile that brighter voxels are counted as, so that a few do not move the threshold
_SAMPLE = 2_000_000


class NearestVoxels:
    """Looks a volume up at the pixels of a site's maps, by nearest neighbour.

    A pixel that lies amid several voxels (those of strided maps do) takes the one towards the map's first slice, row
    and column, so that the same head gives the same answer however its labels are stored.

    Parameters
    ----------
    volume
        What is looked up.
    affine
        (4, 4) index (slice, row, column) of a map to RAS+ mm.
    shape
        (h, w) of a map.
    """

    def __init__(self, volume: Volume, affine: np.ndarray, shape: tuple[int, int]) -> None:
        self._data = volume.data
        to_voxel = np.linalg.inv(volume.affine) @ affine
        steps = to_voxel[:3, :3]
        rows, columns = np.indices(shape) - _NUDGE
        self._across = steps[:, 1, None, None] * rows + steps[:, 2, None, None] * columns
        self._through, self._origin = steps[:, 0, None, None], to_voxel[:3, 3, None, None]

    def take(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return what lies at slice `number` of the maps, (h, w), and whether a pixel lies in the volume at all."""
        voxels = np.floor(self._across + self._through * (number - _NUDGE) + self._origin + 0.5).astype(np.intp)
        sizes = np.array(self._data.shape)[:, None, None]
        inside: np.ndarray = np.all((voxels >= 0) & (voxels < sizes), axis=0)
        i, j, k = voxels * inside
        return self._data[i, j, k], inside


class Regions:
    """Puts every pixel of a site's maps into one of `count` groups.

    Group 2 s is the inside of structure s and group 2 s + 1 its boundary: its pixels with another label, or none,
    beside, above or below them in the slice. Then come `UNLABELLED`, `OTHER_HEAD` and `AIR`.

    Parameters
    ----------
    labels
        On any grid.
    values
        The label values, ascending, without 0.
    head
        Whether a voxel belongs to the head (`head_mask`), on any grid; None: pixels without a label stay `UNLABELLED`.
    affine, shape
        As for `NearestVoxels`.
    """

    def __init__(
        self,
        labels: LabelVolume,
        values: np.ndarray,
        head: Volume | None,
        affine: np.ndarray,
        shape: tuple[int, int],
    ) -> None:
        self.labelled = 2 * len(values)
        self.count = self.labelled + 3
        self._values = values
        self._labels = NearestVoxels(labels, affine, shape)
        self._head = None if head is None else NearestVoxels(head, affine, shape)

    def groups(self, number: int) -> np.ndarray:
        """Return the group of each pixel of slice `number`, (h, w); `OUTSIDE` the labels' field of view."""
        labels, inside = self._labels.take(number)
        group = np.full(labels.shape, self.labelled + UNLABELLED)
        if self._head is not None:
            head, known = self._head.take(number)
            group[known] = self.labelled + np.where(head[known], OTHER_HEAD, AIR)
        here = inside & (labels != 0)
        group[here] = 2 * np.searchsorted(self._values, labels[here]) + _boundaries(labels, inside)[here]
        group[~inside] = OUTSIDE
        return group


def head_mask(image: Volume) -> Volume:
    """Tell the head from the air around it: booleans on the image's grid.

    The threshold is Otsu's (IEEE Transactions on Systems, Man, and Cybernetics 9:62, 1979); the largest part beyond it
    is kept, and what it encloses in slices along any axis of the image (bone, CSF, sinuses) belongs to it.

    Raises
    ------
    InputError
        If the image has no finite voxel or is constant.
    """
    from skimage.filters import threshold_otsu

    data = prepare(image.data)
    sample = data.reshape(-1)[:: max(1, data.size // _SAMPLE)]
    level = threshold_otsu(np.minimum(sample, np.percentile(sample, _HOT)))  # type: ignore[no-untyped-call]
    parts, count = ndimage.label(data > level)
    if not count:
        return Volume(np.zeros(data.shape, dtype=bool), image.affine)
    head = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    return Volume(np.logical_or.reduce([_enclosed(head, axis) for axis in range(3)]), image.affine)


def _enclosed(head: np.ndarray, axis: int) -> np.ndarray:
    """`head` and what it encloses within slices along `axis`."""
    neighbours = np.swapaxes(ndimage.generate_binary_structure(3, 1), 0, axis).copy()
    np.swapaxes(neighbours, 0, axis)[::2] = False
    parts, count = ndimage.label(~head, neighbours)
    open_ = np.zeros(count + 1, dtype=bool)
    for across in {0, 1, 2} - {axis}:
        for end in (0, -1):
            open_[parts.take(end, across)] = True
    open_[0] = False  # the head itself
    enclosed: np.ndarray = ~open_[parts]
    return enclosed


def _boundaries(labels: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Whether a pixel has a neighbour in its row or column that has another label; only pixels `inside` count."""
    found = np.zeros(labels.shape, dtype=bool)
    for first, second in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        differ = (labels[first] != labels[second]) & inside[first] & inside[second]
        found[first] |= differ
        found[second] |= differ
    return found
