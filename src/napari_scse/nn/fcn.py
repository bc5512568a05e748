"""The F-CNN of figure 2: encoders, bottleneck, decoders with skip connections, classifier.

The four networks differ in the block that they put into it (and in the kind of bottleneck). Weights are drawn after He
(fan-in, ReLU) with zero biases: without batch-norm a U-Net's signal would otherwise fade, as every gate starts near
1/2. The gates and the classifier keep torch's defaults, small enough that no gate starts out saturated.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import replace

from torch import Tensor, nn

from napari_scse.nn.blocks import BottleneckBlock, Classifier, Decoder, Encoder
from napari_scse.nn.config import Bottleneck, NetworkConfig
from napari_scse.nn.held import Change, Held

Trail = list[tuple[Tensor, Tensor | None]]  # of each encoder: the skip connection, and the indices of the pooling


class EncoderDecoder(nn.Module, ABC):
    """Base of the networks; a subclass says what a block is.

    Parameters
    ----------
    config
        What to build; it is kept as ``config``.

    Attributes
    ----------
    held
        Of a network that learnt from strokes: its decoders before; None for others.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoders, self.decoders = nn.ModuleList(), nn.ModuleList()  # the order of parameters and sites
        channels = config.in_channels
        skips = []
        for _ in range(config.depth):
            encoder = Encoder(config, self.make_block, channels)
            self.encoders.append(encoder)
            skips.append(encoder.skip_channels)
            channels = encoder.out_channels
        self.bottleneck = BottleneckBlock(config, self.make_bottleneck(channels))
        self.decoders, self.classifier = self._make_decoders(skips)
        self.held: Held | None = None
        if config.taught:
            self.held = Held(*self._make_decoders(skips), config.classes, config.taught)
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
        trail: Trail = []
        for encoder in self.encoders:
            x, skip, indices = encoder(x)
            trail.append((skip, indices))
        x = self.bottleneck(x)
        logits = _decode(x, trail, self.decoders, self.classifier)
        if self.held is None:
            return logits
        return self.held.join(_decode(x, trail, self.held.decoders, self.held.classifier), logits)

    def keep_from(self, before: EncoderDecoder, taught: Iterable[Change]) -> None:
        """Make no changes but those `taught`, and those that `before` was taught already; see `Held`.

        Parameters
        ----------
        before
            A network with the same encoders, whose answers are kept elsewhere.
        """
        self.config = replace(self.config, taught=tuple(sorted({*before.config.taught, *taught})))
        source = before.held or before
        decoders, classifier = copy.deepcopy((source.decoders, source.classifier))
        if self.config.taught:
            self.held = Held(decoders, classifier, self.config.classes, self.config.taught)
        else:  # nothing may change
            self.decoders, self.classifier, self.held = decoders, classifier, None

    def let_go(self) -> None:
        """Hold nothing any more."""
        self.config, self.held = replace(self.config, taught=()), None

    def untaught(self) -> EncoderDecoder:
        """Return the network as it was before strokes taught it anything: itself, or a copy."""
        if self.held is None:
            return self
        network = copy.deepcopy(self)
        held = copy.deepcopy(self.held)
        network.decoders, network.classifier = held.decoders, held.classifier
        network.let_go()
        return network

    def _make_decoders(self, skips: list[int]) -> tuple[nn.ModuleList, Classifier]:
        """Decoders for skip connections of so many channels, the first encoder's first, and the classifier."""
        decoders, channels = nn.ModuleList(), self.bottleneck.out_channels
        for skip_channels in reversed(skips):
            decoder = Decoder(self.config, self.make_block, channels, skip_channels)
            decoders.append(decoder)
            channels = decoder.out_channels
        return decoders, Classifier(self.config, channels)


def _decode(x: Tensor, trail: Trail, decoders: nn.ModuleList, classifier: nn.Module) -> Tensor:
    for decoder, (skip, indices) in zip(decoders, reversed(trail), strict=True):
        x = decoder(x, skip, indices)
    logits: Tensor = classifier(x)
    return logits


def _initialise(part: nn.Module) -> None:
    gated = {id(m) for name, g in part.named_modules() if name.endswith("_gate") for m in g.modules()}
    for module in part.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) and id(module) not in gated:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
