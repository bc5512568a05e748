"""Looking at the gates while a network runs: figure 7 of Roy, Navab, Wachinger 2018 (arXiv 1808.08127).

Recording is hooks on the gates and a way to take them off again; the outputs stay what they were, bit for bit.
How gates and winner maps are called is said in `sites`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from napari_scse.nn.sites import Site, gates, resolve_sites, sites, winner_sites

__all__ = ["Site", "record_excitations", "resolve_sites", "sites", "winner_sites"]


class record_excitations:  # noqa: N801 - it reads as a function: with record_excitations(network, ["sE-1"]) as recorder
    """Keep what the gates return while the network runs inside the ``with`` block.

    Entered inside `override_gates` it sees what the override gives, entered before it the trained gates.

    Parameters
    ----------
    network
        Any module that carries excitation blocks, in any mode and on any device.
    sites
        Site names or aliases; an empty list records nothing.
    stop_early
        Leave the ``with`` block as soon as every gate asked for is computed. The forward pass then returns nothing, and
        nothing after it inside the block is run.

    Attributes
    ----------
    maps : dict of str to Tensor
        The last forward pass's gates: (N, 1, h, w) for a spatial site or winner map, (N, C, 1, 1) for a channel site,
        in [0, 1], detached; float32 also where the network computes bfloat16. Of a gate that is called several times in
        a forward pass, the last call's; with `stop_early`, of the last call before the stop.

    Raises
    ------
    RunError
        Where the network has no such gate, when it is made.
    """

    def __init__(self, network: nn.Module, sites: str | Iterable[str], stop_early: bool = False) -> None:
        self.names = resolve_sites(network, sites)
        self.maps: dict[str, Tensor] = {}
        self._stop = _Stop() if stop_early else None
        self._winners = {name: both for name, both in winner_sites(network).items() if name in self.names}
        wanted = {*self.names, *(gate for both in self._winners.values() for gate in both)}
        self._gates = {name: gate for name, (_, gate) in gates(network).items() if name in wanted}
        self._levels: dict[str, Tensor] = {}
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> Self:
        self._hooks += [gate.register_forward_hook(self._hook(name)) for name, gate in self._gates.items()]
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
        def keep(_gate: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
            self._levels[name] = output.detach()
            if name in self.names:
                self.maps[name] = self._levels[name]
            for winner, (spatial, channel) in self._winners.items():
                if name == spatial:  # the channel gate comes first
                    self.maps[winner] = _won(args[0], output, self._levels[channel])
            self._pending.discard(name)
            if not self._pending:
                self._pending = set(self._gates)
                if self._stop is not None:
                    raise self._stop

        return keep


def _won(u: Tensor, spatial: Tensor, channel: Tensor) -> Tensor:
    """In which share of the channels max-out keeps `u` times the spatial gate: (N, 1, h, w) float32."""
    u = u.detach()
    return (u * spatial.detach().to(u.dtype) > u * channel.to(u.dtype)).float().mean(1, keepdim=True)


class _Stop(Exception):  # noqa: N818 - not an error
    """Everything asked for has been seen."""
