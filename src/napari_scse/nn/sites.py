"""The gates of a network by name: where one can look, and what one can switch.

Networks of ours have the paper's names, spatial gates with an s and channel gates with a c: ``sE-1`` is the first
encoder, counted from the input, ``sB`` the bottleneck, ``sD-1`` the first decoder after it, so that with depth 4
``sD-4`` is the last, at full resolution, ``sC`` the classifier. ``first`` and ``last`` name sE-1 and the last decoder's
spatial gate for any depth.

In any other module a gate is named by that letter, a colon and the path of its block: ``s:layer1.0``, ``c:layer1.0``.
The same goes for blocks that somebody put into a network of ours, where the paper has no name for the place.

* Where the block is an attribute called ``excitation``, the path is that of its owner. What `add_excitation` put behind
  ``layer1.0`` is ``s:layer1.0`` therefore, however many blocks stand around it.
* Order is that in which the modules were registered, as that of the forward pass is not known; ``first`` and ``last``
  are the first and the last spatial gate in that order.
* A gate that stands in several places is one site, named after the first of them.

Where both gates of a block compete by maximum (eq. 4), ``wD-4`` is its winner map: the share of channels in which the
spatial gate's product is the larger one and is kept. It can be looked at as a gate can, and is none: `sites` does not
list it, and nothing can stand in for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from torch import nn

from napari_scse.errors import RunError
from napari_scse.nn.excitation import Aggregation, ExcitationBlock, ScSE
from napari_scse.nn.fcn import EncoderDecoder
from napari_scse.nn.insertion import Excited

GateKind = Literal["spatial", "channel"]


@dataclass(frozen=True)
class Site:
    """A gate one can look at."""

    name: str  # such as "sE-1"
    kind: GateKind
    stride: int | None  # pixels of the input per pixel of the map it recalibrates: 1, 2, 4, ...; None where not known
    channels: int  # of the gate's own output: 1 for a spatial gate, C for a channel gate


def sites(network: nn.Module) -> dict[str, Site]:
    """Return every gate of the network: the spatial ones, then the channel ones, each in forward or module order.

    Strides are known for networks of ours. Elsewhere only a forward pass can tell: compare the sizes of map and input.
    """
    return {name: site for name, (site, _) in gates(network).items()}


def resolve_sites(network: nn.Module, names: str | Iterable[str]) -> tuple[str, ...]:
    """Turn names and the aliases ``first`` and ``last`` into site names, each once, in the order asked for.

    Raises
    ------
    RunError
        Where the network has no such gate; the message says what it has.
    """
    there = gates(network)
    aliases = _aliases(network, [name for name, (site, _) in there.items() if site.kind == "spatial"])
    winners = winner_sites(network)
    resolved = []
    for name in [names] if isinstance(names, str) else names:
        site = aliases.get(name, name)
        if site not in there and site not in winners:
            raise RunError(f"There is no site {name!r}: {_what_there_is(there)}.")
        resolved.append(site)
    return tuple(dict.fromkeys(resolved))


def gates(network: nn.Module) -> dict[str, tuple[Site, nn.Module]]:
    """Return every site with the gate itself, in the order of `sites`."""
    found: dict[str, tuple[Site, nn.Module]] = {}
    seen: set[int] = set()
    places = list(_places(network))
    kinds: tuple[GateKind, ...] = ("spatial", "channel")
    for kind in kinds:
        for suffix, stride, block in places:
            gate = getattr(block, f"{kind}_gate", None)
            if isinstance(gate, nn.Module) and id(gate) not in seen:
                seen.add(id(gate))
                name = kind[0] + suffix
                found[name] = Site(name, kind, stride, 1 if kind == "spatial" else block.channels), gate
    return found


def winner_sites(network: nn.Module) -> dict[str, tuple[str, str]]:
    """Return the winner maps that there are, each with its spatial and its channel gate."""
    there, found = gates(network), {}
    for suffix, _, block in _places(network):
        both = f"s{suffix}", f"c{suffix}"
        if isinstance(block, ScSE) and block.aggregation is Aggregation.MAX and all(name in there for name in both):
            found[f"w{suffix}"] = both
    return found


def _places(network: nn.Module) -> Iterator[tuple[str, int | None, ExcitationBlock]]:
    """What a site's name says after the letter, its stride, and the block: the paper's first, then all others."""
    named: set[int] = set()
    if isinstance(network, EncoderDecoder):
        for suffix, stride, block in _paper_places(network):
            named.add(id(block))
            yield suffix, stride, block
        if network.held is not None:  # decoders that learnt nothing: theirs are no sites
            named |= {id(module) for module in network.held.modules()}
    for path, block in _blocks(network, "", set()):
        if id(block) not in named:
            yield f":{path}", None, block


def _paper_places(network: EncoderDecoder) -> Iterator[tuple[str, int, ExcitationBlock]]:
    depth = network.config.depth
    parts: list[tuple[str, int, nn.Module]] = [
        *((f"E-{i + 1}", 2**i, encoder) for i, encoder in enumerate(network.encoders)),
        ("B", 2**depth, network.bottleneck),
        *((f"D-{j + 1}", 2 ** (depth - j - 1), decoder) for j, decoder in enumerate(network.decoders)),
        ("C", 1, network.classifier),
    ]
    for suffix, stride, part in parts:
        if isinstance(part.excitation, ExcitationBlock):
            yield suffix, stride, part.excitation


def _blocks(part: nn.Module, path: str, seen: set[int]) -> Iterator[tuple[str, ExcitationBlock]]:
    """Every block once, in module order, with the path that names it."""
    if id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, ExcitationBlock):
        yield path, part
        return
    for name, child in part.named_children():
        owned = isinstance(part, Excited) or (path and name == "excitation" and isinstance(child, ExcitationBlock))
        yield from _blocks(child, path if owned else f"{path}.{name}".lstrip("."), seen)


def _aliases(network: nn.Module, spatial: list[str]) -> dict[str, str]:
    if isinstance(network, EncoderDecoder):
        return {"first": "sE-1", "last": f"sD-{network.config.depth}"}
    return {"first": spatial[0], "last": spatial[-1]} if spatial else {}


def _what_there_is(there: dict[str, tuple[Site, nn.Module]]) -> str:
    if not there:
        return "this network has no gates at all"
    kinds = {site.kind for site, _ in there.values()}
    lacking = {"spatial", "channel"} - kinds
    have = ", ".join(there)
    return f"this network has no {lacking.pop()} gate, only {have}" if lacking else f"this network has {have}"
