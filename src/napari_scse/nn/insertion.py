"""Excitation in somebody else's network: behind a named sub-module, as SENet does in a ResNet.

The sub-module is replaced by an `Excited`, which runs it and then the block. Its weights are not touched, and its keys
in the state dict stay what they were: what the block adds is called ``<name>.excitation.…``. So weights of the network
as it was load with ``strict=False``, before and after (the gates are then reported as missing, and nothing else), and
``named_parameters`` and ``named_modules`` alone show one level more, ``<name>.block.…``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from napari_scse.errors import InputError
from napari_scse.nn.excitation import Aggregation, Excitation, ExcitationBlock, build_excitation

Module = TypeVar("Module", bound=nn.Module)

_KINDS = tuple(str(kind) for kind in Excitation if kind is not Excitation.NONE)
_AGGREGATIONS = tuple(str(way) for way in Aggregation if way is not Aggregation.CONCATENATE)


class Excited(nn.Module):
    """A sub-module, and the excitation behind it.

    Parameters
    ----------
    name
        How the network calls the sub-module; for sentences only.
    block
        Any module that returns maps (N, C, H, W).
    excitation
        For C channels; it takes the block's mode.
    """

    def __init__(self, name: str, block: nn.Module, excitation: ExcitationBlock) -> None:
        super().__init__()
        self.name = name
        self.block = block
        self.excitation = excitation.train(block.training)
        self.training = block.training  # by `train` a frozen batch-norm inside would change its mode
        self.register_state_dict_post_hook(_without_block)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_with_block)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_post_hook(_report_without_block)  # type: ignore[no-untyped-call]
        self.loaded_as = ""  # what the network that loads its weights calls it: "layer1."

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Whatever the block takes -> (N, C, H, W).

        Raises
        ------
        InputError
            Where the block returns anything but maps of as many channels as the excitation was made for.
        """
        u = self.block(*args, **kwargs)
        if not isinstance(u, Tensor) or u.ndim != 4 or u.shape[1] != self.excitation.channels:
            came = f"a tensor {tuple(u.shape)}" if isinstance(u, Tensor) else f"a {type(u).__name__}"
            raise InputError(
                f"The excitation after {self.name} was made for maps (N, {self.excitation.channels}, H, W), and "
                f"{self.name} returns {came}: name another sub-module, or say how many channels it has with channels=…"
            )
        out: Tensor = self.excitation(u)
        return out


def add_excitation(
    module: Module,
    after: str | Iterable[str],
    kind: Excitation | str = Excitation.SCSE,
    reduction: int = 2,
    aggregation: Aggregation | str = Aggregation.MAX,
    channels: int | Mapping[str, int] | None = None,
) -> Module:
    """Put an excitation block behind each of the named sub-modules, in place.

    Parameters
    ----------
    module
        A network of 2-D maps, (N, C, H, W).
    after
        Names as in ``module.named_modules()`` before anything was added, such as ``"layer1"`` (behind a whole stage),
        ``"layer1.0"`` (behind a residual block) or ``"layer1.0.bn2"`` (inside it, before the sum, as in SENet). Each
        must be called by its owner, and return one tensor.
    kind
        ``"cse"``, ``"sse"`` or ``"scse"``.
    reduction
        r of the channel gate.
    aggregation
        Of scSE: ``"max"``, ``"add"`` or ``"multiply"``. Concatenation would double the channels that follow.
    channels
        How many maps the sub-modules return, or a dict from names to that. Where it is not said, it is taken from the
        last convolution or normalisation in the sub-module, in module order; if that is not what it returns, the first
        forward pass says so.

    Returns
    -------
    torch.nn.Module
        `module` itself. New parameters have the device, number type and mode of the sub-module they stand behind; they
        are drawn from torch's generator, and gates begin near 1/2.

    Raises
    ------
    InputError
        Where there is no such sub-module, it has an excitation already, its channels cannot be known, or an option is
        not one of those above. Nothing is changed then.
    """
    names = [after] if isinstance(after, str) else list(after)
    if kind not in _KINDS:
        raise InputError(f"There is no excitation {str(kind)!r} to add: choose one of {', '.join(_KINDS)}.")
    if aggregation not in _AGGREGATIONS:
        why = " would double the channels that follow" if aggregation in list(Aggregation) else " is not known"
        raise InputError(f"The aggregation {str(aggregation)!r}{why}: choose one of {', '.join(_AGGREGATIONS)}.")
    if reduction < 1:
        raise InputError(f"The reduction is at least 1, not {reduction}.")
    if isinstance(channels, Mapping) and not channels.keys() <= set(names):
        strangers = ", ".join(sorted(channels.keys() - set(names)))
        raise InputError(f"There are channels for {strangers}, after which nothing is to be added.")

    planned: dict[tuple[int, str], tuple[nn.Module, str, Excited]] = {}  # by place: two names may mean the same
    for name in names:
        owner, leaf, part = _find(module, name)
        given = channels.get(name) if isinstance(channels, Mapping) else channels
        count = _channels(part) if given is None else given
        if count is None:
            raise InputError(
                f"How many channels {name} returns cannot be known, as there is no convolution and no normalisation of "
                f"2-D maps in it: say channels={{{name!r}: …}}."
            )
        if count < 1:
            raise InputError(f"The number of channels of {name} is at least 1, not {count}.")
        like = next(_numbers(part, module), torch.empty(0))
        excitation = build_excitation(kind, count, reduction, aggregation).to(like.device, like.dtype)
        planned[id(owner), leaf] = owner, leaf, Excited(name, part, excitation)
    for owner, leaf, excited in planned.values():
        setattr(owner, leaf, excited)
    return module


def _find(module: nn.Module, name: str) -> tuple[nn.Module, str, nn.Module]:
    """Return the owner of the sub-module, what the owner calls it, and itself; an `Excited` on the way is not seen."""
    owner, part, leaf = module, module, ""
    for leaf in name.split("."):
        owner = part.block if isinstance(part, Excited) else part
        found = getattr(owner, leaf, None)
        if not isinstance(found, nn.Module):
            there = ", ".join(child for child, _ in owner.named_children()) or "no sub-modules"
            raise InputError(f"There is no sub-module {name!r}: {type(owner).__name__} has {there}.")
        part = found
        if isinstance(part, ExcitationBlock):
            raise InputError(f"{name} belongs to an excitation block, and none can be added after it.")
    if isinstance(part, Excited) or hasattr(part, "excitation"):
        raise InputError(f"{name} has an excitation already.")
    return owner, leaf, part


def _channels(part: nn.Module) -> int | None:
    """Return how many maps the last layer that says so returns, in module order."""
    match part:
        case nn.Conv2d() | nn.ConvTranspose2d() | ExcitationBlock():
            return part.out_channels
        case nn.BatchNorm2d() | nn.SyncBatchNorm() | nn.InstanceNorm2d():
            return part.num_features
        case nn.GroupNorm():
            return part.num_channels
    counts = [_channels(child) for child in part.children()]
    return next((count for count in reversed(counts) if count is not None), None)


def _numbers(*modules: nn.Module) -> Iterator[Tensor]:
    tensors = chain.from_iterable(chain(module.parameters(), module.buffers()) for module in modules)
    return (tensor for tensor in tensors if tensor.is_floating_point())


def _without_block(_excited: nn.Module, state: dict[str, Any], prefix: str, _metadata: Any) -> None:
    """Give what is in ``block`` the keys that it had, in the old order."""
    own = [key for key in state if key.startswith(prefix)]
    state.update({_shorter(key, prefix): state.pop(key) for key in own})


def _with_block(excited: Excited, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """The way back: all but the excitation belongs to ``block``."""
    excited.loaded_as = prefix
    own = [key for key in state if key.startswith(prefix) and not key.startswith(f"{prefix}excitation.")]
    state.update({f"{prefix}block.{key.removeprefix(prefix)}": state.pop(key) for key in own})


def _report_without_block(excited: Excited, incompatible: Any) -> None:
    """Name missing and unexpected keys as the state dict does."""
    for keys in incompatible:
        keys[:] = [_shorter(key, excited.loaded_as) for key in keys]


def _shorter(key: str, prefix: str) -> str:
    return prefix + key.removeprefix(prefix).removeprefix("block.") if key.startswith(prefix) else key
