"""Weights on disk: safetensors only, read strictly, written atomically."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from napari_scse.atomic import write_atomically
from napari_scse.errors import RunError


def load_weights(network: nn.Module, file: Path, *, keep: str | None = None, leave: str | None = None) -> None:
    """Load a checkpoint strictly, in place; raises `RunError` when it does not fit.

    With `keep`, the part of the network of that name keeps its own weights; with `leave`, that part of the file, which
    the network need not have, is left out.
    """
    tensors = {k: v.float() if v.is_floating_point() else v for k, v in load_tensors(file).items()}
    if leave is not None:
        tensors = {k: v for k, v in tensors.items() if not k.startswith(f"{leave}.")}
    if keep is not None:
        tensors |= {k: v for k, v in network.state_dict().items() if k.startswith(f"{keep}.")}
    try:
        network.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(f"The weights in {file} do not fit the network that run.json describes: {reason}.") from error


def load_tensors(file: Path) -> dict[str, Tensor]:
    """Read a safetensors file; anything else, a pickle for instance, is refused unread."""
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise RunError(f"{file} is not a readable safetensors file ({error}).") from error


def save_tensors(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file atomically."""
    write_atomically(file, save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}))
