"""States and choices are plain data: no Qt, no files but the runs'."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from napari_scse._widgets import choices
from napari_scse._widgets.cards import Catalogue, RunCard, device_choices, load_card, load_catalogue
from napari_scse._widgets.state import ExploreState, JobState, Phase, SegmentState, duration, last_decoder
from napari_scse.errors import RunError
from napari_scse.events import MapDone, Message, Progress, drain
from napari_scse.runs import Run, load_model, user_runs
from napari_scse.slices import Plane


def test_a_job_counts_and_estimates() -> None:
    state = JobState().start("Preparing")
    assert state.is_busy
    assert state.seconds_left is None
    before = state
    for step in range(1, 5):
        state = state.apply(Progress(step, 10, "slices"), 2.0 * step)
    assert (state.done, state.total, state.what) == (4, 10, "slices")
    assert state.seconds_left == pytest.approx(12)
    assert before.done == 0  # pure: the old state is what it was
    state = state.apply(MapDone(0, 0, 1, 7), 10.0)  # another count starts anew
    assert state.seconds_left is None
    assert state.apply(Message("Hear!"), 11.0).message == "Hear!"


def test_the_estimate_forgets_the_distant_past() -> None:
    state = JobState().start("")
    for step in range(100):  # empty slices come at once
        state = state.apply(Progress(step, 200, "slices"), 0.001 * step)
    for step in range(100, 150):
        state = state.apply(Progress(step, 200, "slices"), float(step))
    assert state.seconds_left == pytest.approx(51, abs=2)


def test_a_job_is_stopped_and_ended() -> None:
    idle = JobState()
    assert idle.stop() is idle
    stopping = idle.start("x").stop()
    assert stopping.phase is Phase.STOPPING
    ended = stopping.end("Done.")
    assert (ended.phase, ended.message, ended.failed) == (Phase.IDLE, "Done.", False)
    assert idle.start("x").end("Bad.", failed=True).failed


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (59.4, "59 s"), (75, "1 min 15 s"), (1830, "30 min"), (7260, "2 h 1 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.usefixtures("runs")
def test_cards_tell_what_a_run_is() -> None:
    catalogue = drain(load_catalogue())
    assert catalogue.listed
    cards = {card.name: card for card in catalogue.cards}
    scse, cse = cards["tiny-scse"], cards["tiny-cse"]
    assert scse.sites == ("sE-1", "sE-2", "sD-1", "sD-2")
    assert cse.sites == ()
    assert (scse.epochs, scse.best_epoch, scse.losses[2]) == ((1, 2, 3), 3, 0.5)
    assert "FC-DenseNet with scSE: 27 structures, coronal slices at 1 × 1 × 1 mm, 3 epochs" in choices.describe(scse)
    assert drain(load_card(scse.path)) == scse
    with pytest.raises(RunError, match="no run"):
        drain(load_card(scse.path.parent))


@pytest.mark.usefixtures("runs")
def test_odd_runs_do_not_hide_the_others(tiny_run: Callable[..., Run]) -> None:
    """A broken record, and runs that are called like a model's planes but differ in spacing."""
    home = user_runs()
    tiny_run(name="pair-coronal", folder=home)
    tiny_run(name="pair-axial", plane="axial", spacing=(2.0, 1.0, 1.0), folder=home)
    broken = tiny_run(name="broken", folder=home)
    (broken.path / "metrics.jsonl").write_text("no line of ours\n")
    catalogue = drain(load_catalogue())
    names = {card.name for card in catalogue.cards}
    assert {"tiny-scse", "tiny-cse", "pair-coronal", "pair-axial"} <= names
    assert not {"pair", "broken"} & names
    with pytest.raises(RunError, match="cannot be read"):
        drain(load_card(broken.path))


@pytest.mark.usefixtures("runs")
def test_a_model_whose_planes_have_no_epoch_in_common_is_asked_at_the_best_of_each(
    tiny_run: Callable[..., Run],
) -> None:
    tiny_run(name="pair-coronal", epochs=1, folder=user_runs())
    later = tiny_run(name="pair-axial", plane="axial", epochs=2, folder=user_runs())
    later.checkpoint(1).unlink()
    card = drain(load_catalogue()).first("pair")
    assert card is not None
    assert (card.name, card.planes, card.epochs) == ("pair", ("coronal", "axial"), ())
    assert [(c.value, c.text) for c in choices.epoch_choices(card)] == [("best", "best of each plane")]
    assert [c.reason for c in choices.run_choices([card])] == [""]
    later.checkpoint(2).unlink()
    assert [c.reason for c in choices.run_choices([RunCard.of_model(load_model(card.path))])] == ["no checkpoint yet"]


@pytest.mark.usefixtures("runs")
def test_a_default_run_that_is_a_plane_of_a_model_is_asked_alone_at_first(tiny_run: Callable[..., Run]) -> None:
    for plane in ("coronal", "axial"):
        for name in ("pair", "other"):
            tiny_run(name=f"{name}-{plane}", plane=plane, epochs=1, folder=user_runs())
    catalogue = replace(drain(load_catalogue()), default="pair-coronal")
    state = SegmentState(catalogue=catalogue)
    state.choose(catalogue.standing_for(catalogue.first(catalogue.default)))
    assert state.card is not None
    assert (state.card.name, state.planes) == ("pair", ("coronal",))
    planes = [choice.value for choice in choices.plane_choices(state.card)]
    assert planes == [("coronal", "axial"), ("coronal",), ("axial",)]
    state.choose(next(card for card in catalogue.cards if card.name == "other"))
    assert state.planes == ("coronal", "axial")
    assert state.asked == state.card
    state.epoch = 1
    state.choose_planes((Plane.AXIAL,))
    assert state.asked is not None
    assert (state.asked.name, state.epoch) == ("other-axial", "best")
    assert [c.text for c in choices.epoch_choices(state.asked)] == ["best (1)", "1 · Dice 0.100"]
    state.choose(catalogue.standing_for(catalogue.first("tiny-scse")))
    assert (state.card.name, state.planes) == ("tiny-scse", ("coronal",))


@pytest.mark.usefixtures("runs")
def test_a_run_that_is_read_anew_stays_in_its_model(tiny_run: Callable[..., Run]) -> None:
    first = tiny_run(name="pair-coronal", epochs=2, folder=user_runs())
    second = tiny_run(name="pair-axial", plane="axial", epochs=0, folder=user_runs())
    catalogue = drain(load_catalogue())
    names = [choice.text for choice in choices.run_choices(catalogue.cards)]
    assert "pair-coronal" in names  # a plane in training does not hide those that are done
    assert "pair" not in names
    for file in ("metrics.jsonl", "epoch-0001.safetensors"):
        shutil.copy(first.path / file, second.path)
    catalogue = drain(load_catalogue())
    assert catalogue.first("pair").epochs == (1,)
    shutil.copy(first.path / "epoch-0002.safetensors", second.path)
    renewed = catalogue.with_card(drain(load_card(second.path)))
    assert renewed.first("pair").epochs == (1, 2)
    assert {card.model for card in renewed.cards if card.name.startswith("pair-")} == {"pair"}
    again = Catalogue(True, ()).with_card(drain(load_card(user_runs() / "pair")))  # as one that is taught anew
    assert again.with_card(RunCard.of(second)).first("pair-axial").model == "pair"


@pytest.mark.usefixtures("runs")
def test_a_run_that_cannot_be_explored_beside_another_is_not_kept(tiny_run: Callable[..., Run]) -> None:
    across = tiny_run(name="across", plane="axial", excitation="sse", folder=user_runs())
    catalogue = drain(load_catalogue())
    state = ExploreState(catalogue=catalogue)
    state.choose(catalogue.first("tiny-scse"))
    state.other = catalogue.first("tiny-sse").path
    state.choose(catalogue.first("tiny-scse"))
    assert state.other is not None
    state.choose(catalogue.card(across.path))
    assert state.other is None


def test_closed_choices_say_why(runs: list[Run], tiny_run: Callable[..., Run], tmp_path: Path) -> None:
    cards = tuple(RunCard.of(run) for run in runs)
    networks = {c.value: c for c in choices.network_choices(cards)}
    assert [kind for kind, choice in networks.items() if choice.is_open] == ["u-net", "fc-densenet"]
    assert "napari-scse train --network sd-net" in networks["sd-net"].tooltip
    variants = {c.value: c for c in choices.excitation_choices(cards, "u-net")}
    assert [se for se, choice in variants.items() if choice.is_open] == ["none"]
    assert "--network u-net --se scse" in variants["scse"].tooltip
    explorable = {c.text: c.reason for c in choices.explorable_choices(cards)}
    assert explorable == {
        "tiny-scse": "",
        "tiny-sse": "",
        "tiny-cse": "cSE: no spatial gates",
        "tiny-unet": "none: no spatial gates",
    }
    empty = RunCard.of(tiny_run(name="empty", epochs=0, folder=tmp_path))
    assert [c.reason for c in choices.run_choices([empty])] == ["no checkpoint yet"]
    assert choices.epoch_choices(None) == []
    assert [c.text for c in choices.epoch_choices(cards[0])][:2] == ["best (3)", "1 · Dice 0.100"]


def test_devices_that_are_not_there_say_why() -> None:
    import torch

    devices = {c.value: c for c in device_choices()}
    assert devices["auto"].is_open
    assert devices["cpu"].is_open
    assert devices["cuda"].is_open == torch.cuda.is_available()
    assert devices["cuda"].is_open or "CUDA" in devices["cuda"].tooltip


def test_choosing_keeps_network_variant_and_run_together(runs: list[Run]) -> None:
    cards = tuple(RunCard.of(run) for run in runs)
    state = SegmentState(catalogue=Catalogue(True, cards))
    seen: list[object] = []
    state.events.run.connect(lambda path: seen.append(path))
    state.choose(state.catalogue.first("tiny-sse"))
    assert (state.network, state.excitation, state.card) == ("fc-densenet", "sse", cards[1])
    state.epoch = 2
    state.choose_excitation("scse")
    assert (state.card, state.epoch) == (cards[0], "best")
    state.choose_network("u-net")  # has no scSE: its first run
    assert state.card == cards[3]
    state.choose_network("relaynet")  # nothing there: nothing changes
    assert state.card == cards[3]
    assert seen == [cards[1].path, cards[0].path, cards[3].path]
    assert state.catalogue.first("unknown") == cards[0]
    assert state.catalogue.first("tiny-cse", need_sites=True) == cards[0]
    assert Catalogue().first("x") is None


def test_explore_starts_at_the_papers_sites(runs: list[Run]) -> None:
    cards = tuple(RunCard.of(run) for run in runs)
    state = ExploreState(catalogue=Catalogue(True, cards))
    state.choose(cards[0])
    assert (state.sites, state.epochs) == (("sE-1", "sD-2"), (1, 2, 3))
    state.choose(cards[2])
    assert state.sites == ()
    assert last_decoder(("sE-1", "sE-2")) == "sE-2"


def test_a_run_read_anew_replaces_itself(runs: list[Run]) -> None:
    cards = tuple(RunCard.of(run) for run in runs)
    catalogue = Catalogue(True, cards).with_card(cards[0])
    assert sorted(card.name for card in catalogue.cards) == sorted(card.name for card in cards)
    assert catalogue.card(cards[0].path) == cards[0]
    assert catalogue.card(None) is None
