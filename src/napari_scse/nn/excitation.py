"""Squeeze & excitation blocks for segmentation: cSE, sSE and scSE.

Source: Roy, Navab, Wachinger 2018 (arXiv 1808.08127), section II. Each block takes a map u (N, C, H, W) and returns it
recalibrated; the gates are sub-modules named ``channel_gate`` and ``spatial_gate``, so that looking at them is a hook.

* cSE, equation (2); sSE, equation (3).
* scSE aggregates both by maximum (4, the default), sum (5), product of both (6) or concatenation (7), which doubles C.
* The product follows equation (6) to the letter: (a u) (b u), in which u appears squared.
"""

from __future__ import annotations

from enum import StrEnum

import torch
from torch import Tensor, nn

from napari_scse.nn.gates import ChannelGate, SpatialGate
from napari_scse.nn.recalibrate import max_out

__all__ = [
    "Aggregation",
    "ChannelGate",
    "ChannelSE",
    "Excitation",
    "ExcitationBlock",
    "NoExcitation",
    "ScSE",
    "SpatialGate",
    "SpatialSE",
    "build_excitation",
]


class Excitation(StrEnum):
    """Which block recalibrates a map."""

    NONE = "none"
    CSE = "cse"
    SSE = "sse"
    SCSE = "scse"


class Aggregation(StrEnum):
    """How scSE joins its two recalibrated maps, section II-C."""

    MAX = "max"
    ADD = "add"
    MULTIPLY = "multiply"
    CONCATENATE = "concatenate"


class ExcitationBlock(nn.Module):
    """Base of the blocks: takes ``channels`` maps, returns ``out_channels``."""

    def __init__(self, channels: int, out_channels: int | None = None) -> None:
        super().__init__()
        self.channels = channels
        self.out_channels = channels if out_channels is None else out_channels


class NoExcitation(ExcitationBlock):
    """The reference networks: the map as it is."""

    def forward(self, u: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        return u


class ChannelSE(ExcitationBlock):
    """cSE: every channel times its gate, equation (2)."""

    def __init__(self, channels: int, reduction: int = 2) -> None:
        super().__init__(channels)
        self.channel_gate = ChannelGate(channels, reduction)

    def forward(self, u: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return u * _gate(self.channel_gate, u)


class SpatialSE(ExcitationBlock):
    """sSE: every place times its gate, equation (3)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.spatial_gate = SpatialGate(channels)

    def forward(self, u: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return u * _gate(self.spatial_gate, u)


class ScSE(ExcitationBlock):
    """scSE: both at once, equations (4) to (7)."""

    def __init__(self, channels: int, reduction: int = 2, aggregation: Aggregation | str = Aggregation.MAX) -> None:
        aggregation = Aggregation(aggregation)
        super().__init__(channels, 2 * channels if aggregation is Aggregation.CONCATENATE else channels)
        self.channel_gate = ChannelGate(channels, reduction)
        self.spatial_gate = SpatialGate(channels)
        self.aggregation = aggregation

    def forward(self, u: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W), or (N, 2 C, H, W) for the concatenation."""
        a, b = _gate(self.channel_gate, u), _gate(self.spatial_gate, u)
        match self.aggregation:
            case Aggregation.MAX:
                return max_out(u, a, b)
            case Aggregation.ADD:
                return u * a + u * b
            case Aggregation.MULTIPLY:
                return (u * a) * (u * b)
            case Aggregation.CONCATENATE:
                return torch.cat((u * a, u * b), 1)

    def extra_repr(self) -> str:
        """Name the aggregation in the printed network."""
        return f"aggregation={self.aggregation.value}"


def _gate(gate: nn.Module, u: Tensor) -> Tensor:
    """What `gate` lets through, in the number type of `u`."""
    levels: Tensor = gate(u)
    return levels.to(u.dtype)


def build_excitation(
    kind: Excitation | str, channels: int, reduction: int = 2, aggregation: Aggregation | str = Aggregation.MAX
) -> ExcitationBlock:
    """Return exactly the block that `kind` names; its ``out_channels`` says how many maps it returns."""
    match Excitation(kind):
        case Excitation.NONE:
            return NoExcitation(channels)
        case Excitation.CSE:
            return ChannelSE(channels, reduction)
        case Excitation.SSE:
            return SpatialSE(channels)
        case Excitation.SCSE:
            return ScSE(channels, reduction, aggregation)
