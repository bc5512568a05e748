"""What can be chosen in the widgets, and why something cannot: pure functions over runs and devices."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_scse.events import Event
from napari_scse.slices import Plane

if TYPE_CHECKING:
    from napari_scse.runs import Run
    from napari_scse.structures import Structure

NETWORKS = {"u-net": "U-Net", "sd-net": "SD-Net", "fc-densenet": "FC-DenseNet", "relaynet": "ReLayNet"}
EXCITATIONS = {
    "none": ("none", "No squeeze & excitation block."),
    "cse": ("cSE", "Recalibrates channels: which maps matter, averaged over the slice."),
    "sse": ("sSE", "Recalibrates places: where in the slice to look. Its gates can be seen in Explore."),
    "scse": (
        "scSE",
        "Recalibrates channels and places, and takes the larger of both. Its spatial gates can be seen in Explore.",
    ),
}


@dataclass(frozen=True)
class Choice:
    """One entry of a combo box: greyed out, with `reason` as text and tooltip, where there is a reason against it."""

    value: Any
    text: str
    tooltip: str = ""
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it can be chosen."""
        return not self.reason


@dataclass(frozen=True)
class RunCard:
    """What the widgets need to know of a run, read once from its folder."""

    name: str
    path: Path
    network: str
    excitation: str
    plane: Plane
    spacing: tuple[float, float, float]
    classes: tuple[Structure, ...]
    epochs: tuple[int, ...]
    best_epoch: int | None
    scores: dict[int, float] = field(default_factory=dict)
    losses: dict[int, float] = field(default_factory=dict)
    sites: tuple[str, ...] = ()
    strides: tuple[int, ...] = ()

    @classmethod
    def of(cls, run: Run) -> RunCard:
        """Read the card of `run`; raises `RunError` where its record is broken."""
        config, epochs, metrics = run.config, run.epochs, run.metrics()
        return cls(
            run.name,
            run.path,
            config.network.kind,
            str(config.network.excitation),
            config.plane,
            config.spacing,
            config.classes,
            epochs,
            run.best_epoch if epochs else None,
            {m["epoch"]: m["validation_dice"] for m in metrics if m.get("validation_dice") is not None},
            {m["epoch"]: m["loss"] for m in metrics if m.get("loss") is not None},
            *spatial_sites(config.network),
        )

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """The smallest type for the run's labels."""
        return np.uint8 if max(structure.value for structure in self.classes) < 256 else np.uint16

    @property
    def title(self) -> str:
        """Network and excitation in words."""
        return f"{NETWORKS[self.network]} with {EXCITATIONS[self.excitation][0]}"


@dataclass(frozen=True)
class Catalogue:
    """The runs and devices of this computer.

    Attributes
    ----------
    listed
        Whether the search is over.
    cards
        One for each run; the bundled ones come first.
    devices
        Choices for the device.
    bfloat16
        Why bfloat16 is no help here, or empty.
    default, default_explore
        Names of the runs that are picked at first.
    """

    listed: bool = False
    cards: tuple[RunCard, ...] = ()
    devices: tuple[Choice, ...] = (Choice("auto", "automatic"),)
    bfloat16: str = ""
    default: str = ""
    default_explore: str = ""

    def card(self, path: Path | None) -> RunCard | None:
        """Find a run by its folder."""
        return next((card for card in self.cards if card.path == path), None)

    def with_card(self, card: RunCard) -> Catalogue:
        """Return this catalogue with one more run (or the same one, read anew)."""
        return replace(self, cards=(*(c for c in self.cards if c.path != card.path), card))

    def first(self, name: str, need_sites: bool = False) -> RunCard | None:
        """Return the run called `name` if it is there, otherwise the first that can be used."""
        usable = [card for card in self.cards if card.epochs and (card.sites or not need_sites)]
        return next((card for card in usable if card.name == name), usable[0] if usable else None)


def load_catalogue() -> Generator[Event, None, Catalogue]:
    """Look for runs and devices. A job's generator: importing torch takes a second or two."""
    from napari_scse.execution import choose_device, supports_bfloat16
    from napari_scse.runs import DEFAULT_EXPLORE_RUN, DEFAULT_RUN, list_runs

    cards = tuple(RunCard.of(run) for run in list_runs())
    slow = (
        ""
        if supports_bfloat16(choose_device("auto"))
        else "this computer's processor has no bfloat16: it would be slower"
    )
    yield from ()
    return Catalogue(True, cards, device_choices(), slow, DEFAULT_RUN, DEFAULT_EXPLORE_RUN)


def load_card(path: Path) -> Generator[Event, None, RunCard]:
    """Read the run in the folder `path`. A job's generator."""
    from napari_scse.runs import load_run

    yield from ()
    return RunCard.of(load_run(path))


def spatial_sites(network: Any) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return names and strides of the spatial gates of a `NetworkConfig`, encoders first."""
    import torch

    from napari_scse.nn.architectures import build_network
    from napari_scse.nn.recorder import sites

    with torch.device("meta"):  # the names only: no weights are made
        built = build_network(network)
    found = [site for site in sites(built).values() if site.kind == "spatial"]
    return tuple(site.name for site in found), tuple(site.stride for site in found)


def device_choices() -> tuple[Choice, ...]:
    """Return one choice per device; those that are not there say why."""
    from napari_scse.execution import choose_device, device_problem

    names = {"cpu": "CPU", "cuda": "CUDA GPU", "mps": "Apple GPU"}
    automatic = choose_device("auto").type
    choices = [Choice("auto", f"automatic ({names[automatic]})", "The fastest device that is there.")]
    for name, text in names.items():
        problem = device_problem(name) or ""
        choices.append(Choice(name, text, problem, "not available" if problem else ""))
    return tuple(choices)


def network_choices(cards: Sequence[RunCard]) -> list[Choice]:
    """Return one choice per network; those without a run are greyed out."""
    there = {card.network for card in cards if card.epochs}
    return [
        _trained(kind in there, kind, text, f"napari-scse train --network {kind}", "")
        for kind, text in NETWORKS.items()
    ]


def excitation_choices(cards: Sequence[RunCard], network: str | None) -> list[Choice]:
    """Return one choice per SE variant; those without a run of `network` are greyed out."""
    there = {card.excitation for card in cards if card.network == network and card.epochs}
    return [
        _trained(se in there, se, text, f"napari-scse train --network {network} --se {se}", meaning)
        for se, (text, meaning) in EXCITATIONS.items()
    ]


def run_choices(cards: Iterable[RunCard], network: str | None = None, excitation: str | None = None) -> list[Choice]:
    """Return one choice per run of `network` and `excitation` (None: any)."""
    return [
        Choice(card.path, card.name, describe(card), "" if card.epochs else "no checkpoint yet")
        for card in cards
        if network in (None, card.network) and excitation in (None, card.excitation)
    ]


def explorable_choices(cards: Iterable[RunCard]) -> list[Choice]:
    """Return one choice per run; those without a spatial gate are greyed out."""
    return [
        replace(
            choice,
            reason=choice.reason or ("" if card.sites else f"{EXCITATIONS[card.excitation][0]}: no spatial gates"),
        )
        for card in cards
        for choice in run_choices([card])
    ]


def epoch_choices(card: RunCard | None) -> list[Choice]:
    """Return the best epoch, then every epoch, with the validation Dice where it is known."""
    if card is None:
        return []
    best = (
        [Choice("best", f"best ({card.best_epoch})", "The epoch with the highest validation Dice.")]
        if card.epochs
        else []
    )
    return best + [Choice(epoch, epoch_text(card, epoch)) for epoch in card.epochs]


def epoch_text(card: RunCard, epoch: int) -> str:
    """Return an epoch's number and validation Dice."""
    score = card.scores.get(epoch)
    return f"{epoch}" if score is None else f"{epoch} · Dice {score:.3f}"


def epoch_tip(card: RunCard, epoch: int) -> str:
    """Say how an epoch did: its loss and validation Dice where they are known."""
    loss, score = card.losses.get(epoch), card.scores.get(epoch)
    parts = [f"Epoch {epoch}"]
    parts += [] if loss is None else [f"loss {loss:.3g}"]
    parts += [] if score is None else [f"validation Dice {score:.3f}"]
    return " · ".join(parts)


def site_choices(card: RunCard | None) -> list[Choice]:
    """Return one choice per spatial gate of a run."""
    where = {"E": "encoder {} (1 is the first, at full resolution)", "D": "decoder {} (the last is at full resolution)"}
    where |= {"B": "the bottleneck", "C": "the classifier"}
    return [
        Choice(site, site, f"Spatial gate of {where[site[1]].format(site.partition('-')[2])}.")
        for site in (card.sites if card else ())
    ]


def precision_choices(catalogue: Catalogue) -> list[Choice]:
    """Return float32, and bfloat16 with what it costs."""
    tip = catalogue.bfloat16 or "Faster; about one voxel in a thousand changes its label, all of them near ties."
    return [
        Choice("float32", "float32", "Exact, and the default."),
        Choice("bfloat16", "bfloat16", tip, "slower here" if catalogue.bfloat16 else ""),
    ]


def describe(card: RunCard) -> str:
    """Say in a few words what a run is."""
    spacing = " × ".join(f"{size:g}" for size in card.spacing)
    what = f"{len(card.classes) - 1} structures, {card.plane} slices at {spacing} mm, {len(card.epochs)} epochs"
    return f"{card.title}: {what}.\n{card.path}"


def _trained(there: bool, value: str, text: str, command: str, meaning: str) -> Choice:
    if there:
        return Choice(value, text, meaning)
    return Choice(
        value,
        text,
        f"{meaning} No such run is installed: train one with “{command}”, or open its folder.".strip(),
        "no run",
    )
