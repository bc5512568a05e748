"""Looking at the gates while a network runs: figure 7 of Roy, Navab, Wachinger 2018 (arXiv 1808.08127).

Recording is hooks on the gates and a way to take them off again; the outputs stay what they were, bit for bit.
How gates are called is said in `sites`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from napari_scse.nn.sites import Site, gates, resolve_sites, sites

__all__ = ["Site", "record_excitations", "resolve_sites", "sites"]


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
        The last forward pass's gates: (N, 1, h, w) for a spatial site, (N, C, 1, 1) for a channel site, in [0, 1],
        detached; float32 also where the network computes bfloat16. Of a gate that is called several times in a forward
        pass, the last call's; with `stop_early`, of the last call before the stop.

    Raises
    ------
    RunError
        Where the network has no such gate, when it is made.
    """

    def __init__(self, network: nn.Module, sites: str | Iterable[str], stop_early: bool = False) -> None:
        self.names = resolve_sites(network, sites)
        self.maps: dict[str, Tensor] = {}
        self._stop = _Stop() if stop_early else None
        self._gates = {name: gate for name, (_, gate) in gates(network).items() if name in self.names}
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
