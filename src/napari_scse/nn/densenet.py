"""FC-DenseNet: two densely connected convolutions and a 1x1 convolution a block.

Source: Roy, Navab, Wachinger 2018 (arXiv 1808.08127), section III-B, after Jégou et al. (arXiv 1611.09326) and QuickNAT
(arXiv 1801.04161), from which the un-pooling comes.

* Every convolution stands behind batch-norm and ReLU, and has a bias.
* ``dense_output="last"`` (paper-count): the block's 1x1 convolution sees the second convolution only; with a 1x1
  bottleneck that gives Table I's 3.1e6 parameters. ``"all"`` (paper-text) lets it see everything dense.
* With one input channel the first batch-norm works on the image itself, as in QuickNAT.
"""

from __future__ import annotations

from torch import Tensor, nn

from napari_scse.nn.blocks import concatenate, make_activation, same_padding
from napari_scse.nn.config import Activation, DenseOutput, NetworkConfig
from napari_scse.nn.fcn import EncoderDecoder


class DenseLayer(nn.Module):
    """Batch-norm, activation, convolution."""

    def __init__(self, in_channels: int, maps: int, kernel: tuple[int, int], activation: Activation) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels)
        self.activation = make_activation(activation)
        self.conv = nn.Conv2d(in_channels, maps, kernel, padding=same_padding(kernel))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, maps, H, W)."""
        out: Tensor = self.conv(self.activation(self.norm(x)))
        return out


class DenseBlock(nn.Module):
    """Two dense layers and a 1x1 layer."""

    def __init__(self, in_channels: int, config: NetworkConfig) -> None:
        super().__init__()
        maps, activation = config.maps, config.activation
        self.all = config.dense_output is DenseOutput.ALL
        self.layer1 = DenseLayer(in_channels, maps, config.kernel, activation)
        self.layer2 = DenseLayer(in_channels + maps, maps, config.kernel, activation)
        self.output = DenseLayer(in_channels + 2 * maps if self.all else maps, maps, (1, 1), activation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, maps, H, W)."""
        first = self.layer1(x)
        dense = concatenate(x, first)
        second = self.layer2(dense)
        out: Tensor = self.output(concatenate(dense, second) if self.all else second)
        return out


class FCDenseNet(EncoderDecoder):
    """FC-DenseNet."""

    def make_block(self, in_channels: int) -> nn.Module:
        """Return a dense block."""
        return DenseBlock(in_channels, self.config)

    def make_layer(self, in_channels: int, kernel: tuple[int, int]) -> nn.Module:
        """Return batch-norm, activation, convolution."""
        return DenseLayer(in_channels, self.config.maps, kernel, self.config.activation)
