"""What is explored, and what Explore's thread does first: read the voxels, and lay them out for each run."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from napari_scse._napari.inputs import LayerInput
from napari_scse._widgets.cards import RunCard
from napari_scse._widgets.state import ExploreState
from napari_scse.events import Event, Message

if TYPE_CHECKING:
    from napari_scse.exploration import Film


@dataclass(frozen=True, eq=False)
class Explored:
    """What is explored: all that was chosen, as it was when Explore was pressed.

    Attributes
    ----------
    choices
        A copy of the state; its epochs are those that all the runs have.
    cards
        The run, and the one that it is compared with, if there is one.
    source
        The scan.
    path
        The file that the scan was opened from, or a name to fill in.
    """

    choices: ExploreState
    cards: tuple[RunCard, ...]
    source: LayerInput
    path: str

    @classmethod
    def of(cls, state: ExploreState, card: RunCard, source: LayerInput, path: str) -> Self:
        """Take down what `state` says now."""
        other = state.catalogue.card(state.other)
        cards = (card,) if other is None else (card, other)
        common = tuple(epoch for epoch in state.epochs if all(epoch in one.epochs for one in cards))
        return cls(replace(state, epochs=common), cards, source, path)


def open_films(explored: Explored) -> Generator[Event, None, tuple[list[Film], tuple[str, ...]]]:
    """Read the voxels and lay them out for each run: a job's generator. Returns what else the user should know, too."""
    from napari_scse.exploration import open_film
    from napari_scse.runs import load_run

    messages: list[str] = []
    films: list[Film] = []
    choices, volume = explored.choices, explored.source.volume()
    for card in explored.cards:
        work = open_film(
            volume,
            load_run(card.path),
            sites=tuple(site for site in choices.sites if site in card.sites),
            epochs=choices.epochs,
            labels=choices.labels,
            winners=choices.winners,
            device=choices.device,
            precision=choices.precision,
        )
        films.append((yield from _listen(work, messages)))
    return films, tuple(messages)


def _listen(work: Generator[Event, None, Film], messages: list[str]) -> Generator[Event, None, Film]:
    """Pass events on and keep the sentences among them."""
    while True:
        try:
            event = next(work)
        except StopIteration as stop:
            film: Film = stop.value
            return film
        if isinstance(event, Message):
            messages.append(event.text)
        yield event
