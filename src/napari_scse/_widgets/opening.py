"""What Explore's thread does first: read the voxels, and lay them out for each run."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from napari_scse._napari.inputs import LayerInput
from napari_scse._widgets.cards import RunCard
from napari_scse.events import Event, Message

if TYPE_CHECKING:
    from napari_scse.exploration import Film


def open_films(
    source: LayerInput,
    cards: Sequence[RunCard],
    *,
    sites: tuple[str, ...],
    epochs: tuple[int, ...],
    labels: bool,
    winners: bool,
    device: str,
    precision: str,
) -> Generator[Event, None, tuple[list[Film], tuple[str, ...]]]:
    """Read the voxels and lay them out for each run: a job's generator. Returns what else the user should know, too."""
    from napari_scse.exploration import open_film
    from napari_scse.runs import load_run

    messages: list[str] = []
    films: list[Film] = []
    volume = source.volume()
    common = tuple(epoch for epoch in epochs if all(epoch in card.epochs for card in cards))
    for card in cards:
        work = open_film(
            volume,
            load_run(card.path),
            sites=tuple(site for site in sites if site in card.sites),
            epochs=common,
            labels=labels,
            winners=winners,
            device=device,
            precision=precision,
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
