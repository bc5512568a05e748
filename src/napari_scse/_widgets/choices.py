"""What can be chosen in the widgets, and why something cannot: pure functions over cards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_scse._widgets.cards import EXCITATIONS, NETWORKS, Catalogue, Choice, RunCard
from napari_scse.slices import Plane

if TYPE_CHECKING:
    from napari_scse.runs.registry import RegisteredRun


def network_choices(cards: Sequence[RunCard], fetchable: Sequence[RegisteredRun] = ()) -> list[Choice]:
    """Return one choice per network; those without a run on this computer are greyed out."""
    there = {card.network for card in cards if card.trained}
    far = {run.network for run in fetchable}
    return [
        _trained(kind in there, kind in far, Choice(kind, text), f"napari-scse train --network {kind}")
        for kind, text in NETWORKS.items()
    ]


def excitation_choices(
    cards: Sequence[RunCard], network: str | None, fetchable: Sequence[RegisteredRun] = ()
) -> list[Choice]:
    """Return one choice per SE variant; those without a run of `network` on this computer are greyed out."""
    there = {card.excitation for card in cards if card.network == network and card.trained}
    far = {run.excitation for run in fetchable if run.network == network}
    return [
        _trained(se in there, se in far, Choice(se, *words), f"napari-scse train --network {network} --se {se}")
        for se, words in EXCITATIONS.items()
    ]


def run_choices(cards: Iterable[RunCard], network: str | None = None, excitation: str | None = None) -> list[Choice]:
    """Return one choice per model and run of `network` and `excitation` (None: any); a model stands for its runs."""
    return [
        _run_choice(card)
        for card in cards
        if network in (None, card.network) and excitation in (None, card.excitation) and not card.model
    ]


def _run_choice(card: RunCard) -> Choice:
    return Choice(card.path, card.name, describe(card), "" if card.trained else "no checkpoint yet")


def plane_choices(card: RunCard | None) -> list[Choice]:
    """Return all of a model's planes together, then each that can be asked alone."""
    if card is None:
        return []
    if not card.is_model:
        return [Choice(card.planes, str(card.plane))]
    together = Choice(card.planes, ", ".join(card.planes), "The mean of all planes' probabilities.")
    # sagittal slices alone do not tell left from right
    alone = [Choice((plane,), str(plane)) for plane in card.planes if plane is not Plane.SAGITTAL]
    return [together, *alone]


def explorable_choices(cards: Iterable[RunCard]) -> list[Choice]:
    """Return one choice per run; those without a spatial gate are greyed out."""
    return [
        replace(
            choice,
            reason=choice.reason or ("" if card.sites else f"{EXCITATIONS[card.excitation][0]}: no spatial gates"),
        )
        for card in cards
        if not card.is_model
        for choice in (_run_choice(card),)
    ]


def comparable_choices(catalogue: Catalogue, card: RunCard | None) -> list[Choice]:
    """Return no run, then each that can be shown beside `card`."""
    nothing = Choice(None, "none", "Another run beside this one, with their differences.")
    return [nothing, *(_run_choice(other) for other in (catalogue.comparable(card) if card else ()))]


def epoch_choices(card: RunCard | None) -> list[Choice]:
    """Return the best epoch, then every epoch, with the validation Dice where it is known."""
    if card is None:
        return []
    best = [Choice("best", _best(card), "The epoch with the highest validation Dice.")] if card.trained else []
    return best + [Choice(epoch, epoch_text(card, epoch)) for epoch in card.epochs]


def _best(card: RunCard) -> str:
    return "best of each plane" if card.is_model else f"best ({card.best_epoch})"


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
    planes = ", ".join(card.planes)
    what = f"{len(card.classes) - 1} structures, {planes} slices at {spacing} mm"
    epochs = f", {len(card.epochs)} epochs" if not card.is_model else ""
    return f"{card.title}: {what}{epochs}.\n{card.path}"


def _trained(there: bool, far: bool, choice: Choice, command: str) -> Choice:
    """Return `choice`, greyed out where no run of it is `there`; some are so `far` that they are to be fetched."""
    if there:
        return choice
    how = f"train one with “{command}”, or open its folder."
    if far:
        how = "fetch one: it is at the end of the list of trained runs."
    tip = f"{choice.tooltip} No such run is installed: {how}".strip()
    return replace(choice, tooltip=tip, reason="to be fetched" if far else "no run")
