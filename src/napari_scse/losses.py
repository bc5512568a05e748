"""Training losses: weighted logistic loss (paper, section III) and the Dice loss that SD-Net's original adds to it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def median_frequency_weights(
    pixels: Tensor, pixels_where_present: Tensor, power: float = 1.0, limit: float | None = None
) -> Tensor:
    """Class weights by median-frequency balancing.

    A class's frequency is its share of the pixels of only those slices in which it occurs; its weight is the median of
    all frequencies (of an even number the lower middle one) over its own.

    Parameters
    ----------
    pixels
        Shape (K,): how many pixels each class has.
    pixels_where_present
        Shape (K,): how many pixels, of any class, the slices have in which the class occurs.
    power
        The weights are raised to this power; 1 is the paper's, 0.5 tames rare classes.
    limit
        Largest weight, or None.

    Returns
    -------
    torch.Tensor
        Shape (K,), float32; 0 for a class that never occurs.
    """
    present = pixels > 0
    frequency = pixels.double() / pixels_where_present.clamp(min=1).double()
    weights = torch.zeros(len(pixels), dtype=torch.float64)
    weights[present] = (frequency[present].median() / frequency[present]) ** power
    if limit is not None:
        weights.clamp_(max=limit)
    return weights.float()


def segmentation_loss(logits: Tensor, labels: Tensor, weights: Tensor, dice_weight: float = 0.0) -> Tensor:
    """Weighted logistic loss, plus `dice_weight` times the soft Dice loss over the foreground classes of the batch.

    Parameters
    ----------
    logits
        Shape (B, K, H, W).
    labels
        Shape (B, H, W), int64 class indices.
    weights
        Shape (K,).

    Returns
    -------
    torch.Tensor
        A scalar. The logistic part is the mean over pixels of weight times negative log-likelihood (not divided by the
        sum of the weights, so that a batch with rare classes weighs more).
    """
    log_probability = functional.log_softmax(logits.float(), dim=1)
    loss = functional.nll_loss(log_probability, labels, weights, reduction="none").mean()
    if dice_weight:
        loss = loss + dice_weight * _dice_loss(log_probability.exp(), labels)
    return loss


def _dice_loss(probability: Tensor, labels: Tensor) -> Tensor:
    """1 - soft Dice, pooled over the batch, averaged over the foreground classes that occur in it."""
    classes = probability.shape[1]
    counts = torch.bincount(labels.flatten(), minlength=classes)[1:].to(probability)
    own = probability.gather(1, labels[:, None])[:, 0].flatten()
    overlap = torch.zeros(classes, device=own.device, dtype=own.dtype).index_add(0, labels.flatten(), own)[1:]
    predicted = probability.sum(dim=(0, 2, 3))[1:]
    present = counts > 0
    if not bool(present.any()):
        return probability.sum() * 0.0
    dice = (2 * overlap + 1) / (predicted + counts + 1)
    return 1 - dice[present].mean()
