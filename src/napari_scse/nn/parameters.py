"""Table I of Roy, Navab, Wachinger 2018 (arXiv 1808.08127) beside the networks built here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch

from napari_scse.nn.architectures import KINDS, PRESETS, Excitation, NetworkConfig, build_network

_PAPER_PARAMETERS = {"fc-densenet": 3.1e6, "sd-net": 1.8e6, "u-net": 2.1e6}
_PAPER_ADDED = {Excitation.CSE: 3.2e4, Excitation.SSE: 512.0, Excitation.SCSE: 3.3e4}
_PAPER_PERCENT = {
    "fc-densenet": {Excitation.CSE: 1.03, Excitation.SSE: 0.01, Excitation.SCSE: 1.06},
    "sd-net": {Excitation.CSE: 1.17, Excitation.SSE: 0.02, Excitation.SCSE: 1.18},
    "u-net": {Excitation.CSE: 1.52, Excitation.SSE: 0.02, Excitation.SCSE: 1.57},
}
_SD_NET = "Table I's own percentages for SD-Net imply 2.8e6 parameters: the paper contradicts itself"
_NOTES = {
    ("u-net", "paper-count"): "5x5 kernels, one-convolution bottleneck: fits Table I, not the text's 3x3",
    ("u-net", "paper-text"): "the text's 3x3 kernels: no such network reaches Table I's 2.1e6",
    ("sd-net", "paper-count"): f"3 + 3 blocks fit 1.8e6 and Table VII, but then add less than Table I says; {_SD_NET}",
    ("sd-net", "paper-text"): f"4 + 4 blocks as in the text fit what Table I adds, but not its 1.8e6; {_SD_NET}",
    ("fc-densenet", "paper-count"): "the last 1x1 sees the second convolution only, 1x1 bottleneck: fits Table I",
    ("fc-densenet", "paper-text"): "the last 1x1 sees everything dense, dense bottleneck: more than Table I's 3.1e6",
    ("relaynet", "paper-count"): "9 classes, PReLU, as the authors' checkpoints; not in Table I",
    ("relaynet", "paper-text"): "9 classes, ReLU; not in Table I",
}


@dataclass(frozen=True)
class ParameterRow:
    """One network with one SE variant: our exact count, and the paper's rounded figures where it gives any."""

    network: str
    preset: str
    excitation: Excitation
    parameters: int  # all of them, learnable
    added: int  # by the excitation
    paper_parameters: float | None  # without excitation
    paper_added: float | None
    paper_percent: float | None
    note: str

    @property
    def percent(self) -> float:
        """What the excitation adds, in per cent of the network without."""
        return 100 * self.added / (self.parameters - self.added)


@cache
def count_parameters(config: NetworkConfig) -> int:
    """Return the number of learnable parameters; nothing is allocated."""
    with torch.device("meta"):
        return sum(p.numel() for p in build_network(config).parameters())


def table_one() -> tuple[ParameterRow, ...]:
    """Return a row for every network, preset and SE variant, at the paper's defaults (28 classes, P5, r = 2)."""
    return tuple(_row(kind, preset, se) for kind in KINDS for preset in PRESETS for se in Excitation)


def _row(kind: str, preset: str, excitation: Excitation) -> ParameterRow:
    parameters = count_parameters(NetworkConfig.preset(kind, preset, excitation=excitation))
    reference = count_parameters(NetworkConfig.preset(kind, preset, excitation=Excitation.NONE))
    in_table = kind in _PAPER_PARAMETERS
    return ParameterRow(
        network=kind,
        preset=preset,
        excitation=excitation,
        parameters=parameters,
        added=parameters - reference,
        paper_parameters=_PAPER_PARAMETERS.get(kind),
        paper_added=_PAPER_ADDED.get(excitation) if in_table else None,
        paper_percent=_PAPER_PERCENT.get(kind, {}).get(excitation),
        note=_NOTES[kind, preset],
    )
