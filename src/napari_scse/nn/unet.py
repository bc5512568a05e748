"""U-Net: two convolutions with ReLU a block, no batch-norm.

Source: Roy, Navab, Wachinger 2018 (arXiv 1808.08127), section III-B, after Ronneberger et al. (arXiv 1505.04597).

* Convolutions are padded, and every block has the same number of maps.
* ``paper-text`` has the text's 3x3 kernels, with which no such network reaches Table I's 2.1e6 parameters;
  ``paper-count`` has 5x5 kernels and one convolution as its bottleneck.
"""

from __future__ import annotations

from torch import Tensor, nn

from napari_scse.nn.blocks import make_activation, same_padding
from napari_scse.nn.config import Activation
from napari_scse.nn.fcn import EncoderDecoder


class ConvLayer(nn.Module):
    """Convolution, activation."""

    def __init__(self, in_channels: int, maps: int, kernel: tuple[int, int], activation: Activation) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, maps, kernel, padding=same_padding(kernel))
        self.activation = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, maps, H, W)."""
        out: Tensor = self.activation(self.conv(x))
        return out


class UNetBlock(nn.Module):
    """Two layers."""

    def __init__(self, in_channels: int, maps: int, kernel: tuple[int, int], activation: Activation) -> None:
        super().__init__()
        self.layer1 = ConvLayer(in_channels, maps, kernel, activation)
        self.layer2 = ConvLayer(maps, maps, kernel, activation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, maps, H, W)."""
        out: Tensor = self.layer2(self.layer1(x))
        return out


class UNet(EncoderDecoder):
    """U-Net."""

    def make_block(self, in_channels: int) -> nn.Module:
        """Return two convolutions with their activations."""
        return UNetBlock(in_channels, self.config.maps, self.config.kernel, self.config.activation)

    def make_layer(self, in_channels: int, kernel: tuple[int, int]) -> nn.Module:
        """Return convolution, activation."""
        return ConvLayer(in_channels, self.config.maps, kernel, self.config.activation)
