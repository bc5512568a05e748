"""The two gates of section II: what a channel and what a place is worth.

Source: Roy, Navab, Wachinger 2018 (arXiv 1808.08127), sections II-A and II-B; the channel gate is that of Hu, Shen, Sun
(arXiv 1709.01507).

* A gate returns its map *after* the sigmoid, so that a forward hook on it sees what the paper shows in figure 7.
* The sigmoid is taken in float32 also where a network computes bfloat16: close to 1, where many gates are, bfloat16 has
  steps of 0.004, and a map would be a few bands. Blocks round a gate to their map's number type where they multiply.
* No biases: the added parameters are then exactly those of the paper's Table I.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def spatial_mean(u: Tensor) -> Tensor:
    """Equation (1): the mean of every channel over the whole field of view, (N, C, H, W) -> (N, C)."""
    if u.dtype is torch.bfloat16 and u.is_contiguous(memory_format=torch.channels_last):
        # Summing the rows of the (N, H * W, C) matrix is several times quicker on the CPU; it, too, adds up in float32.
        total = u.permute(0, 2, 3, 1).flatten(1, 2).sum(1)
        return (total.float() / (u.shape[2] * u.shape[3])).to(u.dtype)
    return u.mean((2, 3))


class ChannelGate(nn.Module):
    """sigma(W1 relu(W2 z)), z the spatial mean of u: equations (1) and (2).

    Parameters
    ----------
    channels
        C, the number of maps of u.
    reduction
        r; the hidden layer has C // r units, at least one.
    """

    def __init__(self, channels: int, reduction: int = 2) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.reduce = nn.Linear(channels, hidden, bias=False)  # W2
        self.expand = nn.Linear(hidden, channels, bias=False)  # W1

    def forward(self, u: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, 1, 1) in [0, 1]."""
        z_hat = self.expand(torch.relu(self.reduce(spatial_mean(u))))
        return torch.sigmoid(_wide(z_hat))[:, :, None, None]


class SpatialGate(nn.Module):
    """sigma(q), q a 1x1 convolution of u to one channel: equation (3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, 1, 1, bias=False)  # W_sq

    def forward(self, u: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 1, H, W) in [0, 1]."""
        return torch.sigmoid(_wide(self.squeeze(u)))


def _wide(q: Tensor) -> Tensor:
    """At least float32."""
    return q.float() if q.dtype in (torch.bfloat16, torch.float16) else q
