"""What strokes do not speak of stays: decoders as they were, beside those that learnt.

A network that learnt from strokes has its encoders once and its decoders twice. A pixel that the held decoders give
class a gets class b from those that learnt only if strokes taught that very change, from a to b; otherwise it keeps its
class. So in no pass through the network does anything change that nobody corrected anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from napari_scse.nn.blocks import Classifier

Change = tuple[int, int]  # from one class index to another


def allow(classes: int, taught: Iterable[Change]) -> Tensor:
    """Return which class may become which: boolean (classes, classes), from the first to the second."""
    allowed = torch.eye(classes, dtype=torch.bool)
    for before, after in taught:
        allowed[before, after] = True
    return allowed


def join(before: Tensor, learnt: Tensor, allowed: Tensor) -> Tensor:
    """Let what was learnt choose among the classes that a pixel's own may be changed to.

    The best of these scores as the pixel's class did before; all other scores are those from before.

    Parameters
    ----------
    before, learnt
        Logits, or logarithms of probabilities, (N, K, H, W).
    allowed
        See `allow`.

    Returns
    -------
    torch.Tensor
        Logits (N, K, H, W).
    """
    may = allowed[before.argmax(1)].permute(0, 3, 1, 2)
    best = learnt.masked_fill(~may, -torch.inf).amax(1, keepdim=True)
    return torch.where(may, learnt - best + before.amax(1, keepdim=True), before)


class Held(nn.Module):
    """Decoders and classifier of a network before it learnt.

    Parameters
    ----------
    decoders, classifier
        As in `EncoderDecoder`.
    classes
        How many there are.
    taught
        The changes that may be made.
    """

    def __init__(self, decoders: nn.ModuleList, classifier: Classifier, classes: int, taught: Iterable[Change]) -> None:
        super().__init__()
        self.decoders = decoders
        self.classifier = classifier
        self.allowed: Tensor
        self.register_buffer("allowed", allow(classes, taught), persistent=False)

    def join(self, before: Tensor, learnt: Tensor) -> Tensor:
        """See `join`."""
        return join(before, learnt, self.allowed)
