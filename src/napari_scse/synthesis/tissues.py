"""How bright each label of a head is in one scan: means and spreads, drawn from the T1 priors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from napari_scse.synthesis import priors
from napari_scse.synthesis.config import SynthesisConfig
from napari_scse.synthesis.draws import Draws, blur

#: The tissues of white matter: of the cerebrum, and of the cerebellum.
WHITE_MATTER = tuple(priors.GENERATION_CLASSES[priors.GENERATION_LABELS.index(label)] for label in (2, 7))

_ABOVE = 0.23  # share of white matter's intensity by which a control point may lie above it
_REACH = 3.0  # voxels that the control points' correction is smoothed over


@dataclass(frozen=True)
class Tissues:
    """Mean and standard deviation of each label's intensity, shape (labels,), in the order of `GENERATION_LABELS`."""

    mean: Tensor
    spread: Tensor


def draw_tissues(random: Draws, config: SynthesisConfig, outside: Tensor, partner: Tensor) -> Tissues:
    """Draw one scan's tissues.

    Parameters
    ----------
    outside
        Whether a label lies outside the brain, shape (labels,).
    partner
        Index of each label's partner on the other side, or its own, shape (labels,).
    """
    device = random.device
    means, deviations = (torch.tensor(t, device=device) for t in (priors.T1_MEANS, priors.T1_DEVIATIONS))
    tissue = torch.tensor(priors.GENERATION_CLASSES, device=device)
    count = len(means)
    foreign = torch.unique(tissue[outside])
    centre = means[:, 0]
    if config.fading and random.chance(config.fading):
        centre = fade(centre, foreign, random.uniforms(count))
    mean = (centre + config.contrast * means[:, 1] * astray(random, config, count)).clamp(min=0)
    spread = (deviations[:, 0] + deviations[:, 1] * random.normal(count)).abs() * random.uniform(*config.deviation)
    low, high = config.extracerebral
    factor = torch.exp(low + (high - low) * random.uniforms(len(foreign)))
    mean[foreign] *= factor
    spread[foreign] *= factor.clamp(max=1.5)
    if random.chance(0.5):
        mean[0] = spread[0] = 0.0
    mean, spread = mean[tissue], spread[tissue]
    if config.parting:
        own = random.normal(len(tissue))[torch.minimum(partner, torch.arange(len(tissue), device=device))]
        own = own * means[tissue, 1] * random.uniform(0, config.parting)
        mean = (mean + own.masked_fill(outside | (tissue == 0), 0.0)).clamp(min=0)
    return Tissues(mean, spread)


def fade(centre: Tensor, foreign: Tensor, shares: Tensor) -> Tensor:
    """Bring grey tissues nearer to white matter: the fainter a tissue is, the more of its contrast it may lose.

    Parameters
    ----------
    centre
        Mean intensity of each tissue, shape (tissues,).
    foreign
        The tissues outside the brain, which stay.
    shares
        Where between the least contrast and all of it each tissue ends, 0 … 1, shape (tissues,).
    """
    white = centre[WHITE_MATTER[0]]
    contrast = 1 - centre / white
    grey = (contrast > 0) & (contrast < 0.5)
    grey[foreign] = False
    kept = contrast + (1 - contrast) * shares
    return torch.where(grey, white * (1 - contrast * kept), centre)


def level(image: Tensor, white: Tensor, below: float) -> Tensor:
    """Bring white matter to one intensity, as FreeSurfer does for its T1.mgz (``mri_normalize``).

    Voxels that are as bright as white matter, with all their neighbours, become control points: they get exactly the
    median intensity of white matter, to whatever structure they belong, and what lies around is scaled as they are.

    Parameters
    ----------
    image
        Intensities, shape (n, h, w).
    white
        Where white matter is, the same shape; somewhere.
    below
        Share of white matter's intensity by which a control point may lie below it.
    """
    wanted = image[white].median()
    lowest, highest = (functional.max_pool3d(sign * image[None], 3, 1, 1)[0] * sign for sign in (-1, 1))
    points = (lowest > wanted * (1 - below)) & (highest < wanted * (1 + _ABOVE))
    weight = blur(points.to(image), [_REACH] * 3) + 1e-3
    around = (blur(image * points, [_REACH] * 3) + 1e-3 * wanted) / weight
    return torch.where(points, wanted, image * wanted / around)


def astray(random: Draws, config: SynthesisConfig, count: int) -> Tensor:
    """How far the mean of each tissue lies from its prior's, in the prior's standard deviations."""
    own = random.normal(count)
    if not any(config.coupling):
        return own
    shared = random.uniform(*config.coupling)
    return own * float((1 - shared) ** 0.5) + random.gaussian() * float(shared**0.5)
