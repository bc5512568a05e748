"""Looking at the gates while a network runs: figure 7 of Roy, Navab, Wachinger 2018 (arXiv 1808.08127).

Recording is hooks on the gates and a way to take them off again; the outputs stay what they were, bit for bit.

Sites are named as in the paper, spatial gates with an s and channel gates with a c: ``sE-1`` is the first encoder,
counted from the input, ``sB`` the bottleneck, ``sD-1`` the first decoder after it, so that with depth 4 ``sD-4`` is the
last, at full resolution, ``sC`` the classifier. ``first`` and ``last`` name sE-1 and the last decoder's spatial gate
for any depth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from napari_scse.errors import RunError
from napari_scse.nn.excitation import ExcitationBlock
from napari_scse.nn.fcn import EncoderDecoder


@dataclass(frozen=True)
class Site:
    """A gate one can look at."""

    name: str  # such as "sE-1"
    kind: Literal["spatial", "channel"]
    stride: int  # pixels of the input per pixel of the map it recalibrates: 1, 2, 4, ...
    channels: int  # of the gate's own output: 1 for a spatial gate, C for a channel gate


def sites(network: nn.Module) -> dict[str, Site]:
    """Return every gate of the network: the spatial ones, then the channel ones, each in forward order."""
    return {name: site for name, (site, _) in _gates(network).items()}


def resolve_sites(network: nn.Module, names: str | Iterable[str]) -> tuple[str, ...]:
    """Turn names and the aliases ``first`` and ``last`` into site names, each once, in the order asked for.

    Raises
    ------
    RunError
        Where the network has no such gate; the message says what it has.
    """
    there = _gates(network)
    aliases = {"first": "sE-1", "last": f"sD-{_checked(network).config.depth}"}
    resolved = []
    for name in [names] if isinstance(names, str) else names:
        site = aliases.get(name, name)
        if site not in there:
            raise RunError(f"There is no site {name!r}: {_what_there_is(there)}.")
        resolved.append(site)
    return tuple(dict.fromkeys(resolved))


class record_excitations:  # noqa: N801 - it reads as a function: with record_excitations(network, ["sE-1"]) as recorder
    """Keep what the gates return while the network runs inside the ``with`` block.

    Parameters
    ----------
    network
        One of ours, in any mode and on any device.
    sites
        Site names or aliases; an empty list records nothing.
    stop_early
        Leave the ``with`` block as soon as every gate asked for is computed. The forward pass then returns nothing, and
        nothing after it inside the block is run.

    Attributes
    ----------
    maps : dict of str to Tensor
        The last forward pass's gates: (N, 1, h, w) for a spatial site, (N, C, 1, 1) for a channel site, in [0, 1],
        detached, in the number type the network computed.

    Raises
    ------
    RunError
        Where the network has no such gate, when it is made.
    """

    def __init__(self, network: nn.Module, sites: str | Iterable[str], stop_early: bool = False) -> None:
        self.names = resolve_sites(network, sites)
        self.maps: dict[str, Tensor] = {}
        self._stop = _Stop() if stop_early else None
        self._gates = {name: gate for name, (_, gate) in _gates(network).items() if name in self.names}
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> Self:
        self._hooks = [gate.register_forward_hook(self._hook(name)) for name, gate in self._gates.items()]
        self._pending = set(self._gates)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        return error is not None and error is self._stop

    def _hook(self, name: str) -> Callable[[nn.Module, tuple[Any, ...], Tensor], None]:
        def keep(_gate: nn.Module, _args: tuple[Any, ...], output: Tensor) -> None:
            self.maps[name] = output.detach()
            self._pending.discard(name)
            if not self._pending:
                self._pending = set(self._gates)
                if self._stop is not None:
                    raise self._stop

        return keep


class _Stop(Exception):  # noqa: N818 - not an error
    """Everything asked for has been seen."""


def _checked(network: nn.Module) -> EncoderDecoder:
    if not isinstance(network, EncoderDecoder):
        raise TypeError(f"expected a network of build_network, got {type(network).__name__}")
    return network


def _gates(network: nn.Module) -> dict[str, tuple[Site, nn.Module]]:
    network = _checked(network)
    depth = network.config.depth
    places: list[tuple[str, int, nn.Module]] = []
    for i, encoder in enumerate(network.encoders):
        places.append((f"E-{i + 1}", 2**i, encoder))
    places.append(("B", 2**depth, network.bottleneck))
    for j, decoder in enumerate(network.decoders):
        places.append((f"D-{j + 1}", 2 ** (depth - j - 1), decoder))
    places.append(("C", 1, network.classifier))
    found: dict[str, tuple[Site, nn.Module]] = {}
    kinds: tuple[Literal["spatial", "channel"], ...] = ("spatial", "channel")
    for kind in kinds:
        for suffix, stride, part in places:
            excitation = part.excitation
            gate = getattr(excitation, f"{kind}_gate", None)
            if isinstance(excitation, ExcitationBlock) and gate is not None:
                name = kind[0] + suffix
                found[name] = Site(name, kind, stride, 1 if kind == "spatial" else excitation.channels), gate
    return found


def _what_there_is(there: dict[str, tuple[Site, nn.Module]]) -> str:
    if not there:
        return "this network has no gates at all"
    kinds = {site.kind for site, _ in there.values()}
    lacking = {"spatial", "channel"} - kinds
    have = ", ".join(there)
    return f"this network has no {lacking.pop()} gate, only {have}" if lacking else f"this network has {have}"
