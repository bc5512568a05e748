"""What the widgets know of runs and devices."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_scse.errors import RunError
from napari_scse.events import Event
from napari_scse.slices import Plane

if TYPE_CHECKING:
    from napari_scse.runs import Model, Run
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
    """What the widgets need to know of a run, or of a model of several planes, read once from its folders.

    Attributes
    ----------
    path
        The run's folder; of a model that of its runs without their plane's name.
    planes
        The planes it can be asked in; more than one only for a model.
    epochs
        Those with a checkpoint; of a model those that all its runs have, which may be none.
    trained
        Whether every plane has a checkpoint.
    model
        Name of the model that the run is a plane of, or empty.
    sites
        Names of the spatial gates; a model has none, its runs do.
    """

    name: str
    path: Path
    network: str
    excitation: str
    planes: tuple[Plane, ...]
    spacing: tuple[float, float, float]
    classes: tuple[Structure, ...]
    epochs: tuple[int, ...]
    best_epoch: int | None
    trained: bool
    scores: dict[int, float] = field(default_factory=dict)
    losses: dict[int, float] = field(default_factory=dict)
    sites: tuple[str, ...] = ()
    model: str = ""

    @classmethod
    def of(cls, run: Run) -> RunCard:
        """Read the card of `run`; raises `RunError` where its record is broken."""
        config, epochs, metrics = run.config, run.epochs, run.metrics()
        return cls(
            run.name,
            run.path,
            config.network.kind,
            str(config.network.excitation),
            (config.plane,),
            config.spacing,
            config.classes,
            epochs,
            run.best_epoch if epochs else None,
            bool(epochs),
            {m["epoch"]: m["validation_dice"] for m in metrics if m.get("validation_dice") is not None},
            {m["epoch"]: m["loss"] for m in metrics if m.get("loss") is not None},
            spatial_sites(config.network),
        )

    @classmethod
    def of_model(cls, model: Model) -> RunCard:
        """Read the card of `model`."""
        return cls.together(model.name, [cls.of(run) for run in model.runs])

    @classmethod
    def together(cls, name: str, cards: Sequence[RunCard]) -> RunCard:
        """Make the card of a model out of its runs'."""
        common = set.intersection(*(set(card.epochs) for card in cards))
        return replace(
            cards[0],
            name=name,
            path=cards[0].path.parent / name,
            planes=tuple(card.plane for card in cards),
            model="",
            epochs=tuple(sorted(common)),
            best_epoch=None,
            trained=all(card.trained for card in cards),
            scores={},
            losses={},
            sites=(),
        )

    def alone(self, plane: Plane) -> RunCard:
        """Return a run's card; of a model one with the name, folder and plane of its run."""
        if not self.is_model:
            return self
        return replace(self, name=f"{self.name}-{plane}", path=Path(f"{self.path}-{plane}"), planes=(plane,))

    @property
    def is_model(self) -> bool:
        """Whether several runs are asked together."""
        return len(self.planes) > 1

    @property
    def plane(self) -> Plane:
        """The plane of a run; the first one of a model."""
        return self.planes[0]

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
        """Return this catalogue with one more run (or the same one, read anew, and with it the model it belongs to)."""
        return replace(self, cards=_grouped([*(c for c in self.cards if c.path != card.path), card]))

    def first(self, name: str, need_sites: bool = False) -> RunCard | None:
        """Return the run called `name` if it is there, otherwise the first that can be used."""
        usable = [card for card in self.cards if card.trained and (card.sites or not need_sites)]
        return next((card for card in usable if card.name == name), usable[0] if usable else None)

    def comparable(self, card: RunCard) -> list[RunCard]:
        """Return the runs that can be explored beside `card`: of its plane and spacing, with an epoch in common."""
        return [
            other
            for other in self.cards
            if other.path != card.path
            and not other.is_model
            and (other.plane, other.spacing) == (card.plane, card.spacing)
            and set(other.epochs) & set(card.epochs)
            and set(other.sites) & set(card.sites)
        ]

    def standing_for(self, card: RunCard | None) -> RunCard | None:
        """Return the model that a run is a plane of, or the run itself."""
        if card is None or not card.model:
            return card
        return next((one for one in self.cards if one.is_model and one.name == card.model), card)

    def planes_at_first(self, card: RunCard) -> tuple[Plane, ...]:
        """Return all planes, but of the default run's model that run's alone: labels come sooner, and can be taught."""
        own = self.first(self.default)
        return own.planes if own is not None and own.model and self.standing_for(own) == card else card.planes


def load_catalogue() -> Generator[Event, None, Catalogue]:
    """Look for runs and devices. A job's generator: importing torch takes a second or two.

    A run whose record is broken is left out; opened by its folder (`load_card`) it says what is wrong.
    """
    from napari_scse.execution import choose_device, supports_bfloat16
    from napari_scse.runs import DEFAULT_EXPLORE_RUN, DEFAULT_RUN, list_models, list_runs

    models, runs = [], []
    for model in list_models():
        with suppress(RunError):
            models.append(RunCard.of_model(model))
    models = [card for card in models if card.trained]
    for run in list_runs():
        with suppress(RunError):
            runs.append(RunCard.of(run))
    slow = (
        ""
        if supports_bfloat16(choose_device("auto"))
        else "this computer's processor has no bfloat16: it would be slower"
    )
    yield from ()
    return Catalogue(True, _grouped([*models, *runs]), device_choices(), slow, DEFAULT_RUN, DEFAULT_EXPLORE_RUN)


def _grouped(cards: Sequence[RunCard]) -> tuple[RunCard, ...]:
    """Return `cards`, the runs marked that belong to a model among them, and the models' made anew of these."""
    models = {f"{card.path}-{plane}": card.path for card in cards if card.is_model for plane in card.planes}
    names = {card.path: card.name for card in cards if card.is_model}
    runs = {
        str(card.path): replace(card, model=names[models[str(card.path)]] if str(card.path) in models else "")
        for card in cards
        if not card.is_model
    }
    grouped = []
    for card in cards:
        parts = [runs[path] for plane in card.planes if (path := f"{card.path}-{plane}") in runs]
        if not card.is_model:
            grouped.append(runs[str(card.path)])
        else:
            grouped.append(RunCard.together(card.name, parts) if len(parts) == len(card.planes) else card)
    return tuple(grouped)


def load_card(path: Path) -> Generator[Event, None, RunCard]:
    """Read the run in the folder `path`, or the model whose runs are called so. A job's generator."""
    from napari_scse.runs import load_model

    yield from ()
    model = load_model(path)
    return RunCard.of_model(model) if len(model.runs) > 1 else RunCard.of(model.runs[0])


def spatial_sites(network: Any) -> tuple[str, ...]:
    """Return the names of the spatial gates of a `NetworkConfig`, encoders first."""
    import torch

    from napari_scse.nn.architectures import build_network
    from napari_scse.nn.recorder import sites

    with torch.device("meta"):  # the names only: no weights are made
        built = build_network(network)
    return tuple(site.name for site in sites(built).values() if site.kind == "spatial" and site.stride)


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
