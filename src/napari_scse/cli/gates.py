"""Options that choose gates and epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from napari_scse.errors import InputError

if TYPE_CHECKING:
    from napari_scse.runs import Run

Epochs = Annotated[str, typer.Option("--epochs", metavar="all|N,…", help="Epochs to look at; also best and last.")]


def split_names(text: str, option: str) -> list[str]:
    """Split a list with commas; raises `InputError` for an empty item."""
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        raise InputError(f"{option} takes names separated by single commas; got '{text}'.")
    return items


def check_spatial(run: Run, sites: Sequence[str]) -> None:
    """Refuse sites that a run lacks, and channel gates, before any work is done for them; winners have a map."""
    from napari_scse.nn.architectures import build_network
    from napari_scse.nn.recorder import resolve_sites
    from napari_scse.nn.recorder import sites as sites_of

    network = build_network(run.config.network)
    channel = {name for name, site in sites_of(network).items() if site.kind == "channel"}
    for site in resolve_sites(network, sites):
        if site in channel:
            raise InputError(f"{site} is a channel gate and has no map, only one number a channel.")


def choose_epochs(run: Run, epochs: Sequence[str]) -> str | list[int | str]:
    """Return what `excite` takes for ``--epochs``, having refused those that the run lacks."""
    if list(epochs) == ["all"]:
        return "all"
    return [run.resolve_epoch(epoch) for epoch in epochs]
