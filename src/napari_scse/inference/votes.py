"""What several planes say of each voxel, put together while one plane after the other is asked.

The class probabilities of a whole volume would fill gigabytes. Of every voxel the few likeliest classes are remembered
instead, to a 255th; what they lack to 1 counts as background.

The planes weigh what their runs say (`RunConfig.vote`), otherwise as in QuickNAT (Roy et al., *QuickNAT: A fully
convolutional network for quick and accurate segmentation of neuroanatomy*, NeuroImage 186, 2019: 0.4, 0.4 and 0.2). Its
sagittal network, too, does not tell left from right; here what it gives to a structure is divided between the two sides
as the other planes have it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from napari_scse.inference.scan import Scan
from napari_scse.runs import RunConfig
from napari_scse.sides import mirrored, split_side
from napari_scse.slices import Plane, SliceGeometry

KEPT = 4  # classes of each voxel that are remembered
_QUICKNAT = {Plane.CORONAL: 0.4, Plane.AXIAL: 0.4, Plane.SAGITTAL: 0.2}
_UNSEEN = 1e-3  # probability that both sides have together, below which the other planes have no say on the side


class Votes:
    """The planes' common opinion so far.

    Parameters
    ----------
    scan
        The volume as the first plane's run sees it; the classes are that run's.
    """

    def __init__(self, scan: Scan) -> None:
        self._geometry = scan.geometry
        self._config = scan.config
        shape = (KEPT, *scan.conformation.shape)
        # zeros that are never written take no memory
        self._classes = np.zeros(shape, np.min_scalar_type(len(scan.config.classes)))
        self._shares = np.zeros(shape, np.uint8)
        self._weight = 0.0

    def likeliest(self, geometry: SliceGeometry) -> np.ndarray:
        """The likeliest class of each conformed voxel, laid out for a plane: class indices (n, h, w)."""
        return np.asarray(self._seen_from(geometry, self._classes)[0])

    def ballot(self, scan: Scan) -> Ballot:
        """Let one more plane vote, its slices in any order; `close` it when all of them did.

        Parameters
        ----------
        scan
            The volume as this plane's run sees it.
        """
        classes, shares = (self._seen_from(scan.geometry, kept) for kept in (self._classes, self._shares))
        weight = _weight(scan.config)
        share = weight / (self._weight + weight) if self._weight else 1.0
        return Ballot(classes, shares, share, len(self._config.classes), _Classes(self._config, scan.config))

    def close(self, scan: Scan) -> None:
        """Count the plane of `scan`, all of whose slices have voted."""
        self._weight += _weight(scan.config)

    def _seen_from(self, geometry: SliceGeometry, kept: np.ndarray) -> np.ndarray:
        """A view of (KEPT, n, h, w) with its last three axes as `geometry` has them."""
        own = self._geometry
        order = [own.axes.index(axis) for axis in geometry.axes]
        turned = kept.transpose(0, *(1 + place for place in order))
        flips = (flip != own.flips[place] for flip, place in zip(geometry.flips, order, strict=True))
        return turned[(slice(None), *(slice(None, None, -1) if flip else slice(None) for flip in flips))]


def _weight(config: RunConfig) -> float:
    """What the probabilities of a plane's run weigh."""
    return config.vote or _QUICKNAT[config.plane]


class Ballot:
    """One plane's votes.

    Parameters
    ----------
    classes, shares
        What is remembered, (KEPT, n, h, w) as the plane sees it; written to.
    share
        Of this plane's opinion in the mean; 1 for the first plane, which may be asked for a slice again.
    count
        How many classes the first plane's run has.
    sides
        How this plane's classes become those.
    """

    def __init__(self, classes: np.ndarray, shares: np.ndarray, share: float, count: int, sides: _Classes) -> None:
        self._classes, self._shares, self._share, self._count, self._sides = classes, shares, share, count, sides

    def join(self, number: int, own: Tensor) -> Tensor:
        """Add the probabilities (K, h, w) of a conformed slice, in the classes of the plane's run.

        Returns
        -------
        Tensor
            The mean probabilities (K, h, w) of all planes so far, in the first run's classes.
        """
        found = own
        if self._share < 1:
            before = _spread(self._classes[:, number], self._shares[:, number], self._count).to(own)
            found = before.lerp_(self._sides.divide(own, before), self._share)
        likeliest = found.topk(min(KEPT, len(found)), 0)
        self._classes[: len(likeliest.indices), number] = likeliest.indices.cpu().numpy()
        self._shares[: len(likeliest.values), number] = likeliest.values.mul(255).round_().byte().cpu().numpy()
        return found


def _spread(classes: np.ndarray, shares: np.ndarray, count: int) -> Tensor:
    """Probabilities (K, h, w) float32 of the kept classes and shares, both (KEPT, h, w)."""
    where = torch.from_numpy(classes.astype(np.int64))
    spread = torch.zeros(count, *classes.shape[1:]).scatter_add_(0, where, torch.from_numpy(shares / np.float32(255)))
    spread[0] += 1 - spread.sum(0)
    return spread


class _Classes:
    """How the classes of a plane's run become those of the first."""

    def __init__(self, wanted: RunConfig, config: RunConfig) -> None:
        places = {c.name: place for place, c in enumerate(config.classes)}
        self._merged = config.classes != wanted.classes
        self._source = torch.tensor([places.get(c.name, places.get(split_side(c.name)[1], 0)) for c in wanted.classes])
        partners = mirrored(wanted.classes)
        by_value = {c.value: place for place, c in enumerate(wanted.classes)}
        self._partner = torch.tensor([by_value[partners[c.value]] for c in wanted.classes])
        self._divided = torch.tensor([c.name not in places for c in wanted.classes])

    def divide(self, own: Tensor, before: Tensor) -> Tensor:
        """`own` in the first run's classes; `before` are the other planes' probabilities of those."""
        if not self._merged:
            return own
        spread = own.index_select(0, self._source.to(own.device))
        divided = self._divided.to(own.device)
        one = before[divided]
        both = one + before.index_select(0, self._partner[self._divided].to(own.device))
        spread[divided] *= torch.where(both > _UNSEEN, one / both, 0.5)
        return spread
