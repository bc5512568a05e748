"""The F-CNN of figure 2: encoders, bottleneck, decoders with skip connections, classifier.

The four networks differ in the block that they put into it (and in the kind of bottleneck). Weights are drawn after He
(fan-in, ReLU) with zero biases: without batch-norm a U-Net's signal would otherwise fade, as every gate starts near
1/2. The gates and the classifier keep torch's defaults, small enough that no gate starts out saturated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from napari_scse.nn.blocks import BottleneckBlock, Classifier, Decoder, Encoder
from napari_scse.nn.config import Bottleneck, NetworkConfig


class EncoderDecoder(nn.Module, ABC):
    """Base of the networks; a subclass says what a block is.

    Parameters
    ----------
    config
        What to build; it is kept as ``config`` and never changed.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoders = nn.ModuleList()
        self.decoders = nn.ModuleList()
        channels = config.in_channels
        skips = []
        for _ in range(config.depth):
            encoder = Encoder(config, self.make_block, channels)
            self.encoders.append(encoder)
            skips.append(encoder.skip_channels)
            channels = encoder.out_channels
        self.bottleneck = BottleneckBlock(config, self.make_bottleneck(channels))
        channels = self.bottleneck.out_channels
        for skip_channels in reversed(skips):
            decoder = Decoder(config, self.make_block, channels, skip_channels)
            self.decoders.append(decoder)
            channels = decoder.out_channels
        self.classifier = Classifier(config, channels)
        for part in (self.encoders, self.bottleneck, self.decoders):
            _initialise(part)

    def make_block(self, in_channels: int) -> nn.Module:
        """Return one block: (N, in, H, W) -> (N, maps, H, W)."""
        return self.make_layer(in_channels, self.config.kernel)

    @abstractmethod
    def make_layer(self, in_channels: int, kernel: tuple[int, int]) -> nn.Module:
        """Return one convolution with what the network puts around it: (N, in, H, W) -> (N, maps, H, W)."""

    def make_bottleneck(self, in_channels: int) -> nn.Module:
        """Return the bottleneck that the configuration names."""
        match self.config.bottleneck:
            case Bottleneck.BLOCK:
                return self.make_block(in_channels)
            case Bottleneck.CONVOLUTION:
                return self.make_layer(in_channels, self.config.kernel)
            case Bottleneck.POINTWISE:
                return self.make_layer(in_channels, (1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> logits (N, classes, H, W), for any H, W >= 1."""
        trail = []
        for encoder in self.encoders:
            x, skip, indices = encoder(x)
            trail.append((skip, indices))
        x = self.bottleneck(x)
        for decoder in self.decoders:
            skip, indices = trail.pop()
            x = decoder(x, skip, indices)
        logits: Tensor = self.classifier(x)
        return logits


def _initialise(part: nn.Module) -> None:
    gated = {id(m) for name, g in part.named_modules() if name.endswith("_gate") for m in g.modules()}
    for module in part.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) and id(module) not in gated:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
