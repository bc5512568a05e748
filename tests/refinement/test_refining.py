"""What is painted is learnt, what is not stays, and the run that was taught is what it was."""

from __future__ import annotations

import copy
import hashlib
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_scse.conform import windows
from napari_scse.errors import InputError, RunError
from napari_scse.events import Event, Message, StepDone, drain
from napari_scse.execution import Executor, choose_device
from napari_scse.inference import Scan, locate, segment
from napari_scse.nn.architectures import EncoderDecoder, build_network
from napari_scse.refinement import Part, RefineConfig, Refined, Strokes, refine
from napari_scse.runs import Run
from napari_scse.volume import LabelVolume, Volume


def contents(folder: Path) -> dict[str, str]:
    """Every file of a folder and its SHA-256."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def learnt(refined: Refined) -> EncoderDecoder:
    """What the decoders that learnt say, whatever was taught."""
    network = copy.deepcopy(refined.network)
    network.let_go()
    return network


def probabilities(network: torch.nn.Module, run: Run, volume: Volume) -> np.ndarray:
    """(slices, K, h, w) of whole slices."""
    scan = Scan.of(volume, run.config)
    with Executor(network, choose_device("cpu")) as executor:
        location = drain(locate(scan, executor))
        parts = windows(scan.plane_shape, run.config.canvas, (0, scan.plane_shape[0], 0, scan.plane_shape[1]))
        found = executor.run(scan.slices(range(len(scan.data)), location.gain, parts[:1])).softmax(1)
    return np.asarray(found)


def test_strokes_are_learnt(scan: Volume, run: Run, strokes: Strokes, quick: RefineConfig) -> None:
    events: list[Event] = []
    refined = drain(refine(scan, run, strokes, config=quick, device="cpu"), events.append)
    steps = [event for event in events if isinstance(event, StepDone)]
    assert [(s.step, s.steps) for s in steps] == [(n, quick.steps) for n in range(1, quick.steps + 1)]
    assert tuple(s.loss for s in steps) == refined.loss
    assert np.mean(refined.loss[-3:]) < 0.8 * np.mean(refined.loss[:3])
    assert refined.right_after > refined.right_before + 0.1
    assert refined.strokes == strokes.counts()
    assert refined.run is run
    assert refined.rounds == 1
    assert not refined.network.training
    assert all(p.device.type == "cpu" and p.dtype is torch.float32 for p in refined.network.parameters())


def test_what_is_held_more_changes_less(scan: Volume, run: Run, strokes: Strokes, quick: RefineConfig) -> None:
    before = probabilities(run.network(), run, scan)
    changes = []
    for hold in (0.0, 3.0, 300.0):
        refined = drain(refine(scan, run, strokes, config=replace(quick, hold=hold), device="cpu"))
        changes.append(float(np.abs(probabilities(learnt(refined), run, scan) - before).mean()))
    assert changes[0] > 1.5 * changes[1] > 1.5 * changes[2]


def test_the_run_is_what_it_was(scan: Volume, run: Run, strokes: Strokes, quick: RefineConfig) -> None:
    before, network = contents(run.path), run.network()
    own = weights(network)
    refined = drain(refine(scan, run, strokes, config=quick, device="cpu"))
    assert contents(run.path) == before
    for name, tensor in run.network().state_dict().items():
        assert torch.equal(tensor, own[name])
    assert refined.checkpoint == before["epoch-0002.safetensors"]
    assert refined.epoch == 2


def test_batch_norm_keeps_its_statistics(scan: Volume, run: Run, strokes: Strokes, quick: RefineConfig) -> None:
    refined = drain(refine(scan, run, strokes, config=quick, device="cpu"))
    before = run.network().state_dict()
    changed = {name for name, tensor in learnt(refined).state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert not [name for name in changed if "running_" in name or "num_batches" in name]


@pytest.mark.parametrize("part", list(Part))
def test_only_the_part_that_is_to_learn_does(
    part: Part, scan: Volume, run: Run, strokes: Strokes, quick: RefineConfig
) -> None:
    refined = drain(refine(scan, run, strokes, config=replace(quick, part=part, steps=2), device="cpu"))
    before = run.network().state_dict()
    changed = {
        ".".join(name.split(".")[:2])
        for name, tensor in learnt(refined).state_dict().items()
        if not torch.equal(tensor, before[name])
    }
    last, decoders = {"decoders.1"}, {"decoders.0", "decoders.1"}
    expected = {
        Part.CLASSIFIER: set(),
        Part.LAST: last,
        Part.DECODERS: decoders,
    }[part]
    assert changed == expected | {"classifier.conv"}
    assert all(parameter.requires_grad for parameter in refined.network.parameters())


def test_the_same_seed_gives_the_same_network(scan: Volume, run: Run, strokes: Strokes, quick: RefineConfig) -> None:
    def learn(seed: int) -> dict[str, torch.Tensor]:
        return weights(drain(refine(scan, run, strokes, config=replace(quick, seed=seed), device="cpu")).network)

    first, second, other = learn(1), learn(1), learn(2)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("after", [0, 1, 5])
def test_it_can_be_cancelled_at_any_event(
    after: int, scan: Volume, run: Run, strokes: Strokes, quick: RefineConfig, tmp_path: Path
) -> None:
    before = contents(run.path)
    work = refine(scan, run, strokes, config=quick, device="cpu")
    list(itertools.islice(work, after))
    work.close()
    assert contents(run.path) == before
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}


def test_a_round_goes_on_from_the_one_before(scan: Volume, run: Run, strokes: Strokes, quick: RefineConfig) -> None:
    first = drain(refine(scan, run, strokes, config=quick, device="cpu"))
    own = weights(first.network)
    second = drain(refine(scan, run, strokes, config=quick, start=first, location=first.location, device="cpu"))
    assert second.rounds == 2
    assert np.mean(second.loss[:2]) < np.mean(first.loss[:2])
    assert second.right_before == pytest.approx(first.right_after, abs=0.02)  # what is remembered is rounded
    for name, tensor in first.network.state_dict().items():
        assert torch.equal(tensor, own[name])


def test_only_changes_that_strokes_made_are_made(scan: Volume, run: Run, strokes: Strokes, quick: RefineConfig) -> None:
    refined = drain(refine(scan, run, strokes, config=quick, device="cpu"))
    taught = set(refined.network.config.taught)
    before, after, free = (
        probabilities(network, run, scan).argmax(1) for network in (run.network(), refined.network, learnt(refined))
    )
    changed = before != after
    made = set(zip(before[changed].tolist(), after[changed].tolist(), strict=True))
    assert made
    assert made <= taught
    others = before != free
    assert not set(zip(before[others].tolist(), free[others].tolist(), strict=True)) <= taught


def test_strokes_that_change_nothing_teach_nothing(scan: Volume, run: Run, quick: RefineConfig) -> None:
    found = drain(segment(scan, run, mirror=False, device="cpu")).labels
    painted = np.zeros(found.shape, bool)
    painted[12:16, 10:14, 8:20] = True
    refined = drain(refine(scan, run, Strokes(found.data, painted), config=replace(quick, enough=10**6), device="cpu"))
    assert any("Nothing was learnt" in text for text in refined.messages)
    assert refined.right_after == refined.right_before
    for name, tensor in run.network().state_dict().items():
        assert torch.equal(refined.network.state_dict()[name], tensor)


def test_what_was_taught_stays_taught(scan: Volume, run: Run, strokes: Strokes, quick: RefineConfig) -> None:
    first = drain(refine(scan, run, strokes, config=quick, device="cpu"))
    number = int(np.unique(np.nonzero(strokes.painted)[1])[0])
    one = np.zeros_like(strokes.painted)
    one[:, number] = strokes.painted[:, number]
    fewer = Strokes(strokes.labels, one)
    second = drain(refine(scan, run, fewer, config=quick, start=first, device="cpu"))
    assert set(second.network.config.taught) >= set(first.network.config.taught)
    own = run.network().state_dict()
    assert second.network.held is not None
    for name, tensor in second.network.held.state_dict().items():
        assert torch.equal(tensor, own[name])  # the run's, not the first round's


def test_a_round_of_another_run_is_refused(
    scan: Volume, run: Run, tiny_run: Callable[..., Run], strokes: Strokes, quick: RefineConfig
) -> None:
    first = drain(refine(scan, run, strokes, config=quick, device="cpu"))
    with pytest.raises(InputError, match="tiny, epoch 1, not of tiny"):
        drain(refine(scan, run, strokes, epoch=1, config=quick, start=first, device="cpu"))
    with pytest.raises(InputError, match="other"):
        drain(refine(scan, tiny_run(name="other", neighbours=1), strokes, config=quick, start=first, device="cpu"))


def test_what_was_sure_is_held_more_than_what_was_not(scan: Volume, run: Run, strokes: Strokes) -> None:
    config = RefineConfig(steps=24, learning_rate=2e-2, hold=3.0, others=4, precision="float32")
    before = probabilities(run.network(), run, scan)
    free, held = (
        np.abs(probabilities(learnt(drain(refine(scan, run, strokes, config=one, device="cpu"))), run, scan) - before)
        for one in (replace(config, confidence=4.0), replace(config, confidence=0.0, release=0))
    )
    assert free.mean() > 1.2 * held.mean()  # a random network is sure of nothing


def test_weights_go_the_share_of_the_way_that_was_asked_for(
    scan: Volume, run: Run, strokes: Strokes, quick: RefineConfig
) -> None:
    whole, half = (
        learnt(drain(refine(scan, run, strokes, config=replace(quick, steps=4, mixing=mixing), device="cpu")))
        for mixing in (1.0, 0.5)
    )
    for began, there, between in zip(*(n.parameters() for n in (run.network(), whole, half)), strict=True):
        torch.testing.assert_close(between, (began + there) / 2)


def test_a_known_location_gives_the_same(scan: Volume, run: Run, strokes: Strokes, quick: RefineConfig) -> None:
    laid_out = Scan.of(scan, run.config)
    with Executor(run.network(), choose_device("cpu")) as executor:
        location = drain(locate(laid_out, executor))
    one = drain(refine(scan, run, strokes, config=quick, device="cpu"))
    other = drain(refine(scan, run, strokes, config=quick, scan=laid_out, location=location, device="cpu"))
    assert one.loss == other.loss


@pytest.mark.parametrize("kind", ["u-net", "sd-net", "relaynet"])
@pytest.mark.parametrize("plane", ["axial", "sagittal"])
def test_other_networks_and_planes_learn_too(
    kind: str, plane: str, tiny_run: Callable[..., Run], scan: Volume, labels: LabelVolume, quick: RefineConfig
) -> None:
    run = tiny_run(kind=kind, plane=plane, spacing=(1.4, 1.4, 1.4), canvas=(16, 16), name=kind, epochs=1)
    painted = np.zeros(labels.shape, bool)
    painted[10:20, 10:12, 8:20] = True
    refined = drain(refine(scan, run, Strokes(labels.data, painted), config=quick, device="cpu"))
    assert np.mean(refined.loss[-6:]) < np.mean(refined.loss[:6])


def test_a_broken_network_ends_in_a_sentence(scan: Volume, run: Run, strokes: Strokes, quick: RefineConfig) -> None:
    network = build_network(run.config.network)
    with torch.no_grad():
        network.classifier.conv.bias.fill_(float("nan"))  # type: ignore[union-attr, operator]
    run.save_epoch(3, network, {"loss": 1.0})
    with pytest.raises(RunError, match="no longer a number"):
        drain(refine(scan, run, strokes, epoch=3, config=quick, device="cpu"))


def test_few_strokes_are_remarked_upon(scan: Volume, run: Run, labels: LabelVolume, quick: RefineConfig) -> None:
    painted = np.zeros(labels.shape, bool)
    painted[15, 11, 12:16] = True
    events: list[Event] = []
    refined = drain(refine(scan, run, Strokes(labels.data, painted), config=quick, device="cpu"), events.append)
    said = [event.text for event in events if isinstance(event, Message)]
    assert said[0].startswith("Only 6 voxels")  # four of 1.3 mm, in the run's of 1 mm
    assert tuple(said) == refined.messages


def test_strokes_that_contradict_each_other_are_remarked_upon(
    scan: Volume, run: Run, strokes: Strokes, quick: RefineConfig
) -> None:
    random = np.random.default_rng(0).choice([2, 3, 41, 42, 17, 53], strokes.labels.shape)  # no rhyme or reason
    refined = drain(refine(scan, run, Strokes(random, strokes.painted), config=quick, device="cpu"))
    assert any("were not learnt" in text for text in refined.messages)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 0}, "at least one step"),
        ({"hold": -1.0}, "not negative"),
        ({"hold": float("nan")}, "not negative"),
        ({"mixing": 0.0}, "some of the way"),
        ({"mixing": 1.5}, "some of the way"),
        ({"learning_rate": 0.0}, "positive"),
        ({"precision": "int8"}, "precision"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        RefineConfig(**changes)  # type: ignore[arg-type]


def test_a_refined_network_is_one(scan: Volume, run: Run, strokes: Strokes, quick: RefineConfig) -> None:
    refined = drain(refine(scan, run, strokes, config=quick, device="cpu"))
    assert isinstance(refined, Refined)
    assert learnt(refined).state_dict().keys() == run.network().state_dict().keys()
