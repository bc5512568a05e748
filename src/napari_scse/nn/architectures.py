"""The networks by name. A new one is a file of its own and one line here (and its name and layouts in `config`)."""

from __future__ import annotations

from napari_scse.nn.config import KINDS, PRESETS, NetworkConfig, Position
from napari_scse.nn.densenet import FCDenseNet
from napari_scse.nn.excitation import Aggregation, Excitation
from napari_scse.nn.fcn import EncoderDecoder
from napari_scse.nn.relaynet import ReLayNet
from napari_scse.nn.sdnet import SDNet
from napari_scse.nn.unet import UNet

__all__ = [
    "KINDS",
    "PRESETS",
    "Aggregation",
    "EncoderDecoder",
    "Excitation",
    "NetworkConfig",
    "Position",
    "build_network",
]

NETWORKS: dict[str, type[EncoderDecoder]] = {
    "u-net": UNet,
    "sd-net": SDNet,
    "fc-densenet": FCDenseNet,
    "relaynet": ReLayNet,
}


def build_network(config: NetworkConfig) -> EncoderDecoder:
    """Return a freshly drawn network: (N, in_channels, H, W) -> logits (N, classes, H, W) for any H, W >= 1."""
    return NETWORKS[config.kind](config)
