"""SD-Net: one convolution with batch-norm and ReLU a block, un-pooling in the decoders.

Source: Roy, Navab, Wachinger 2018 (arXiv 1808.08127), section III-B, after Roy et al. 2017 (Skip-DeconvNet).

* ``paper-text`` has 4 encoders and 4 decoders (2.4e6 parameters), ``paper-count`` 3 and 3, which fits both Table I's
  1.8e6 and Table VII's words; with three the excitation adds less than Table I says. The paper contradicts itself here.
"""

from __future__ import annotations

from torch import Tensor, nn

from napari_scse.nn.blocks import make_activation, same_padding
from napari_scse.nn.config import Activation
from napari_scse.nn.fcn import EncoderDecoder


class NormLayer(nn.Module):
    """Convolution, batch-norm, activation."""

    def __init__(self, in_channels: int, maps: int, kernel: tuple[int, int], activation: Activation) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, maps, kernel, padding=same_padding(kernel))
        self.norm = nn.BatchNorm2d(maps)
        self.activation = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, maps, H, W)."""
        out: Tensor = self.activation(self.norm(self.conv(x)))
        return out


class SDNet(EncoderDecoder):
    """SD-Net."""

    def make_layer(self, in_channels: int, kernel: tuple[int, int]) -> nn.Module:
        """Return convolution, batch-norm, activation: the whole block."""
        return NormLayer(in_channels, self.config.maps, kernel, self.config.activation)
