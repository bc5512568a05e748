"""Giving a gate another value and running the network on from there: what does a gate do?

An override is a forward hook on the gate that returns the replacement; the network itself is never changed. The trained
gate is computed all the same, as ``"mean"`` and ``"inverted"`` are made of it.

With a gate at 1 a map passes as it is: cSE, sSE and scSE by maximum then return the block's own map, bit for bit, and
the sum (5) returns twice that. Levels of 0 close a gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from napari_scse.errors import RunError
from napari_scse.nn.sites import Site, gates, resolve_sites


class Override(StrEnum):
    """What stands in for a gate."""

    TRAINED = "trained"  # the gate as it is
    OFF = "off"  # 1 everywhere: nothing is recalibrated
    MEAN = "mean"  # its mean over each slice's field of view, or over the channels for a channel gate
    INVERTED = "inverted"  # 1 - gate


Levels = float | Tensor | np.ndarray


class override_gates:  # noqa: N801 - it reads as a function: with override_gates(network, {"sE-1": "off"}):
    """Let gates give something else while the network runs inside the ``with`` block.

    Parameters
    ----------
    network
        Any module that carries excitation blocks, in any mode and on any device.
    overrides
        Site name or alias -> an `Override` or its name, or levels in [0, 1]: a number, or an array whose shape
        broadcasts to the gate's output, (N, 1, h, w) for a spatial gate and (N, C, 1, 1) for a channel gate. NaN means
        that the gate stays there. Levels are copied; a recorded map goes back without loss.

    Attributes
    ----------
    names : tuple of str
        The sites, in the order given.

    Raises
    ------
    RunError
        When it is made: where the network has no such gate, one is named twice, or a value is not one of those above.
        When the network runs: where levels have another shape than the gate.

    Notes
    -----
    Hooks run in the order in which their ``with`` blocks were entered, and each sees what the one before it returned: a
    `record_excitations` entered inside sees the override, one entered before it the trained gate, and an inner override
    starts from what an outer one gives. Gradients flow through what is left of the gate, and to no levels. Whoever else
    runs the same network object meanwhile gets the overrides too.

    Examples
    --------
    >>> with override_gates(network, {"sE-1": "off", "cE-2": "mean"}):  # doctest: +SKIP
    ...     logits = network(slices)
    """

    def __init__(self, network: nn.Module, overrides: Mapping[str, Override | str | Levels]) -> None:
        there = gates(network)
        self._hooks: list[RemovableHandle] = []
        self._gates: list[tuple[Site, nn.Module, Override | Tensor]] = []
        for name, value in overrides.items():
            (found,) = resolve_sites(network, name)
            if found not in there:
                raise RunError(f"{found} is a winner map, which follows from two gates: nothing can stand in for it.")
            site, gate = there[found]
            if site in (taken for taken, *_ in self._gates):
                raise RunError(f"The site {found} is named twice: give it one override.")
            override = _kind(found, value) if isinstance(value, str) else _levels(found, value)
            self._gates.append((site, gate, override))
        self.names = tuple(site.name for site, *_ in self._gates)

    def __enter__(self) -> Self:
        self._hooks += [
            gate.register_forward_hook(partial(_replace, site=site, override=override))
            for site, gate, override in self._gates
            if override is not Override.TRAINED
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []


def _kind(name: str, value: str) -> Override:
    if value not in list(Override):
        raise RunError(
            f"There is no override {value!r} for {name}: choose one of {', '.join(Override)}, or give levels."
        )
    return Override(value)


def _levels(name: str, value: Levels) -> Tensor:
    """Return a copy that shares nothing with what was given; float32 and float64 numbers stay what they are."""
    if isinstance(value, Tensor):
        levels = value.detach().clone() if value.is_floating_point() else value.detach().float()
    else:  # through float64, which holds all others: torch reads neither foreign byte orders nor negative strides
        levels = torch.from_numpy(np.array(value, dtype=np.float64, order="C"))
    outside = levels[(levels < 0) | (levels > 1)]
    if outside.numel():
        raise RunError(
            f"The levels for {name} go as far as {outside[(outside - 0.5).abs().argmax()].item():g}: a gate is between "
            "0 and 1, and NaN where it stays as it is."
        )
    return levels


def _replace(
    _gate: nn.Module, _args: tuple[Any, ...], output: Tensor, *, site: Site, override: Override | Tensor
) -> Tensor:
    """Return what stands in for the gate's `output`, in its shape and number type."""
    if isinstance(override, Tensor):
        _check_shape(site, tuple(override.shape), tuple(output.shape))
        levels = override.to(output.dtype).to(output.device)
        return torch.where(torch.isnan(levels), output, levels)
    match override:
        case Override.TRAINED:
            return output
        case Override.OFF:
            return torch.ones_like(output)
        case Override.MEAN:  # a spatial gate has one channel, a channel gate one place
            return torch.zeros_like(output) + output.mean((1, 2, 3), keepdim=True)
        case Override.INVERTED:
            return 1 - output


def _check_shape(site: Site, levels: tuple[int, ...], gate: tuple[int, ...]) -> None:
    ends = zip(reversed(levels), reversed(gate), strict=False)
    if len(levels) > len(gate) or any(n not in (1, m) for n, m in ends):
        fitting = gate[2:] if site.kind == "spatial" else gate[1:]
        raise RunError(
            f"The levels for {site.name} have the shape {levels}, and its gate has {gate} here: give {fitting}, or "
            "another shape that broadcasts to the gate's."
        )
