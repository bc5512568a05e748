"""What every F-CNN here is made of: encoder, bottleneck, decoder and classifier around a network's own block.

Source: Roy, Navab, Wachinger 2018 (arXiv 1808.08127), figure 2 and section III-B.

* Any height and width works without padding: pooling rounds up, un-pooling and up-convolution return to the skip
  connection's size.
* Un-pooling needs one index for every map. After a concatenation (equation 7) a map stands twice, cSE's before sSE's:
  where only one side is doubled, cSE's indices, which are those of the map itself, serve both.
* Section II-D puts P4 *after* the classifier block: the gates recalibrate the class scores. Nothing follows there, so
  after a concatenation a 1x1 convolution brings the 2 K maps back to K scores.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_scse.nn.config import Activation, NetworkConfig, Upsampling
from napari_scse.nn.excitation import Excitation, ExcitationBlock, build_excitation
from napari_scse.nn.unpool import unpool

MakeBlock = Callable[[int], nn.Module]  # in_channels -> a block that returns `maps` maps of the input's size


def same_padding(kernel: tuple[int, int]) -> tuple[int, int]:
    """Return the zero padding that keeps height and width for an odd kernel."""
    return kernel[0] // 2, kernel[1] // 2


def make_activation(activation: Activation) -> nn.Module:
    """Return a fresh ReLU or PReLU; in place, as every map it is put on belongs to its block."""
    return nn.ReLU(inplace=True) if activation is Activation.RELU else nn.PReLU()


def concatenate(*maps: Tensor) -> Tensor:
    """Join maps along the channels in the last one's number type, staying in channels_last.

    A map of one channel is as much NCHW as channels_last, and by its strides alone `torch.cat` would take it for NCHW
    and drag the rest of the network along: it is given the strides of channels_last (a view).
    """
    maps = tuple(x.to(maps[-1].dtype) for x in maps)  # under autocast the image itself is float32
    return torch.cat([_as_channels_last(x) if x.shape[1] == 1 else x for x in maps], 1)


def _as_channels_last(x: Tensor) -> Tensor:
    n, _, height, width = x.shape
    return x.reshape(n, height, width, 1).permute(0, 3, 1, 2)


def excitation_at(config: NetworkConfig, here: bool, channels: int) -> ExcitationBlock:
    """Return the configured excitation where the position asks for one, and none elsewhere."""
    kind = config.excitation if here else Excitation.NONE
    return build_excitation(kind, channels, config.reduction, config.aggregation)


class Encoder(nn.Module):
    """Block, excitation, 2x2 max-pooling."""

    def __init__(self, config: NetworkConfig, make_block: MakeBlock, in_channels: int) -> None:
        super().__init__()
        self.block = make_block(in_channels)
        self.excitation = excitation_at(config, config.position.encoders, config.maps)
        self.out_channels = self.excitation.out_channels
        self.skip_channels = self.out_channels if config.skip == 1 else config.maps
        self.plain_skip = config.skip == 2
        self.with_indices = config.upsampling is Upsampling.UNPOOL

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """(N, in, H, W) -> the pooled map (N, out, ceil(H/2), ceil(W/2)), the skip connection and the indices."""
        u = self.block(x)
        recalibrated = self.excitation(u)
        skip = u if self.plain_skip else recalibrated
        if self.with_indices:
            pooled, indices = F.max_pool2d(recalibrated, 2, ceil_mode=True, return_indices=True)
            return pooled, skip, indices
        return F.max_pool2d(recalibrated, 2, ceil_mode=True), skip, None


class BottleneckBlock(nn.Module):
    """Block, excitation."""

    def __init__(self, config: NetworkConfig, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.excitation = excitation_at(config, config.position.bottleneck, config.maps)
        self.out_channels = self.excitation.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H, W)."""
        out: Tensor = self.excitation(self.block(x))
        return out


class Decoder(nn.Module):
    """Up-sampling, concatenation with the skip connection, block, excitation."""

    def __init__(self, config: NetworkConfig, make_block: MakeBlock, in_channels: int, skip_channels: int) -> None:
        super().__init__()
        self.upsample: nn.Module | None = None
        if config.upsampling is Upsampling.TRANSPOSED:
            self.upsample = nn.ConvTranspose2d(in_channels, config.maps, 2, stride=2)
        up_channels = in_channels if self.upsample is None else config.maps
        self.block = make_block(skip_channels + up_channels)
        self.excitation = excitation_at(config, config.position.decoders, config.maps)
        self.out_channels = self.excitation.out_channels

    def forward(self, x: Tensor, skip: Tensor, indices: Tensor | None) -> Tensor:
        """(N, in, ceil(H/2), ceil(W/2)) and the skip connection (N, skip, H, W) -> (N, out, H, W)."""
        height, width = skip.shape[2:]
        if self.upsample is not None:
            up = self.upsample(x)[:, :, :height, :width]
        elif indices is not None:
            up = unpool(x, _one_for_each(indices, x.shape[1]), (height, width))
        else:
            raise ValueError("un-pooling needs the indices of the pooling")
        out: Tensor = self.excitation(self.block(concatenate(skip, up)))
        return out


class Classifier(nn.Module):
    """1x1 convolution to the class scores, and the excitation of positions P4 and P6."""

    def __init__(self, config: NetworkConfig, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, config.classes, 1)
        self.excitation = excitation_at(config, config.position.classifier, config.classes)
        doubled = self.excitation.out_channels
        self.merge = nn.Identity() if doubled == config.classes else nn.Conv2d(doubled, config.classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> logits (N, classes, H, W)."""
        logits: Tensor = self.merge(self.excitation(self.conv(x)))
        return logits


def _one_for_each(indices: Tensor, channels: int) -> Tensor:
    """Return one index map for each of `channels` maps."""
    if indices.shape[1] < channels:
        return torch.cat((indices, indices), 1)
    return indices[:, :channels]
