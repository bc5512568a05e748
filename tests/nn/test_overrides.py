"""Switching gates: exactly what another gate would have given, and the network as it was afterwards."""

import copy
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from napari_scse.errors import RunError
from napari_scse.nn.architectures import KINDS, NetworkConfig, build_network
from napari_scse.nn.excitation import Aggregation, ScSE
from napari_scse.nn.overrides import Override, override_gates
from napari_scse.nn.recorder import record_excitations, sites

WAYS = [("cse", "max"), ("sse", "max"), *(("scse", str(way)) for way in Aggregation)]
PRECISIONS = {"float32": nullcontext, "bfloat16": lambda: torch.autocast("cpu", dtype=torch.bfloat16)}


def network_of(kind="fc-densenet", **overrides):
    torch.manual_seed(0)
    layout = {"maps": 8, "classes": 5, "depth": 2, "kernel": (3, 3), "position": "P6"} | overrides
    network = build_network(NetworkConfig.preset(kind, **layout)).eval()
    for name, parameter in network.named_parameters():
        if "_gate" in name:
            parameter.data *= 8  # gates that are far from 1/2
    return network


def hooks(network):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules())


def gate_at(network, site):
    parts = {"E": network.encoders, "D": network.decoders}
    part = {"B": network.bottleneck, "C": network.classifier}.get(site[1]) or parts[site[1]][int(site[3:]) - 1]
    return part.excitation, "spatial_gate" if site[0] == "s" else "channel_gate"


def with_gate(network, site, gate):
    """A copy of the network with another module as that gate."""
    twin = copy.deepcopy(network)
    setattr(*gate_at(twin, site), gate)
    return twin


class Formula(nn.Module):
    def __init__(self, gate, formula):
        super().__init__()
        self.gate = gate
        self.formula = formula

    def forward(self, u):
        return self.formula(self.gate(u))


FORMULAS = {
    "trained": lambda gate: gate,
    "off": lambda gate: torch.ones(gate.shape, dtype=gate.dtype),
    "mean": lambda gate: torch.stack([g.mean().expand(g.shape) for g in gate]),
    "inverted": lambda gate: 1 - gate,
}


@pytest.fixture(params=[torch.contiguous_format, torch.channels_last], ids=["nchw", "channels_last"])
def x(request):
    x = torch.randn(2, 1, 16, 24, generator=torch.Generator().manual_seed(2))
    return x.contiguous(memory_format=request.param)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("excitation", "aggregation"), WAYS)
@pytest.mark.parametrize("override", list(Override))
def test_it_is_what_a_network_with_such_a_gate_gives(override, excitation, aggregation, precision, x):
    network = network_of(excitation=excitation, aggregation=aggregation)
    for site in sites(network):
        twin = with_gate(network, site, Formula(getattr(*gate_at(network, site)), FORMULAS[override]))
        with torch.inference_mode(), PRECISIONS[precision]():
            expected = twin(x)
            with override_gates(network, {site: override}):
                out = network(x)
        assert torch.equal(out, expected)
        assert out.dtype == expected.dtype


@pytest.mark.parametrize("kind", KINDS)
def test_all_gates_off_is_the_network_without_excitation(kind, x):
    network, plain = network_of(kind, aggregation="max"), network_of(kind, excitation="none")
    plain.load_state_dict({name: w for name, w in network.state_dict().items() if "_gate" not in name})
    with torch.no_grad(), override_gates(network, dict.fromkeys(sites(network), "off")):
        out = network(x)
    assert torch.equal(out, plain(x))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("excitation", "aggregation"), WAYS)
def test_painting_the_trained_gates_back_changes_no_bit(excitation, aggregation, precision, x):
    network = network_of(excitation=excitation, aggregation=aggregation)
    with torch.inference_mode(), PRECISIONS[precision](), record_excitations(network, sites(network)) as recorder:
        expected = network(x)
    assert expected.dtype == getattr(torch, precision)
    arrays = {name: gate.float().numpy() for name, gate in recorder.maps.items()}
    for painted in (recorder.maps, arrays, {name: gate.astype(">f8") for name, gate in arrays.items()}):
        with PRECISIONS[precision](), override_gates(network, painted):
            assert torch.equal(network(x), expected)


def test_levels_are_given_exactly_where_there_are_any(x):
    network = network_of()
    painted = np.random.default_rng(0).random((2, 1, 16, 24), dtype=np.float32)
    painted[painted < 0.5] = np.nan
    levels = torch.rand(8, 1, 1, generator=torch.Generator().manual_seed(1))
    overrides = {"sE-1": painted, "cE-1": levels, "cE-2": 0.25, "sB": painted[0, 0, :4, :6]}
    with (
        torch.no_grad(),
        record_excitations(network, ["sE-1"]) as trained,
        override_gates(network, overrides),
        record_excitations(network, ["sE-1", "cE-1", "cE-2"]) as changed,
    ):
        network(x)
    there = ~np.isnan(painted)
    assert 0.3 < there.mean() < 0.7
    given = changed.maps["sE-1"].numpy()
    assert np.array_equal(given[there], painted[there])
    assert np.array_equal(given[~there], trained.maps["sE-1"].numpy()[~there])
    assert torch.equal(changed.maps["cE-1"], levels.expand(2, 8, 1, 1))
    assert torch.equal(changed.maps["cE-2"], torch.full((2, 8, 1, 1), 0.25))


def test_float64_networks_get_float64_levels(x):
    network = network_of().double()
    painted = np.random.default_rng(0).random((16, 24))
    with torch.no_grad(), override_gates(network, {"sE-1": painted}), record_excitations(network, "sE-1") as recorder:
        network(x.double())
    assert np.array_equal(recorder.maps["sE-1"].numpy()[1, 0], painted)


def test_levels_are_copied(x):
    network = network_of()
    painted = torch.zeros(16, 24)
    turned = np.linspace(0, 1, 16 * 24, dtype=np.float32).reshape(16, 24)[::-1]
    override = override_gates(network, {"sE-1": painted, "sD-2": turned})
    expected = turned.copy()
    painted += 7
    turned[:] = 7
    with torch.no_grad(), override, record_excitations(network, ["sE-1", "sD-2"]) as recorder:
        network(x)
    assert not recorder.maps["sE-1"].any()
    assert np.array_equal(recorder.maps["sD-2"][0, 0].numpy(), expected)


def test_means_are_each_slices_own(x):
    network = network_of()
    with (
        torch.no_grad(),
        record_excitations(network, ["first", "cB"]) as trained,
        override_gates(network, {"first": "mean", "cB": "mean"}),
        record_excitations(network, ["first", "cB"]) as new,
    ):
        network(x)
    for site in ("sE-1", "cB"):
        for gate, mean in zip(trained.maps[site], new.maps[site], strict=True):
            assert torch.equal(mean, gate.mean().expand(gate.shape))
    assert len(new.maps["sE-1"].unique()) == 2


def test_no_hook_is_left_behind_and_nothing_has_changed(x):
    network = network_of()
    before, weights = network(x), copy.deepcopy(network.state_dict())
    override = override_gates(network, {"sE-1": "off", "cB": "trained", "last": 0.5})
    assert hooks(network) == 0
    assert override.names == ("sE-1", "cB", "sD-2")
    for _ in range(2):
        with override:
            assert hooks(network) == 2
            assert not torch.equal(network(x), before)
        assert hooks(network) == 0
        assert torch.equal(network(x), before)
    with pytest.raises(ZeroDivisionError), override:
        _ = 1 / 0
    with pytest.raises(RunError), override_gates(network, {"sE-1": np.zeros((3, 3))}):
        network(x)
    with override, override:
        network(x)
    with override, record_excitations(network, "sE-1", stop_early=True):
        network(x)
    with record_excitations(network, "sE-1", stop_early=True), override:
        network(x)
    assert hooks(network) == 0
    assert all(torch.equal(weights[name], w) for name, w in network.state_dict().items())


def test_who_is_entered_later_sees_what_who_was_entered_earlier_gives(x):
    network = network_of()
    with (
        torch.no_grad(),
        record_excitations(network, "sE-1") as trained,
        override_gates(network, {"sE-1": "inverted"}),
        record_excitations(network, "sE-1") as once,
        override_gates(network, {"sE-1": "inverted", "cE-1": "off"}),
        record_excitations(network, "sE-1") as twice,
    ):
        network(x)
    assert torch.equal(once.maps["sE-1"], 1 - trained.maps["sE-1"])
    assert torch.equal(twice.maps["sE-1"], 1 - once.maps["sE-1"])


@pytest.mark.parametrize("aggregation", list(Aggregation))
def test_gradients_flow_through_what_is_left_of_the_gates(aggregation, x):
    network = network_of(aggregation=aggregation, maps=16).train()  # enough maps that no gate is dead
    half = torch.full((16, 24), torch.nan)
    half[:8] = 0.5
    with torch.inference_mode():
        painted = torch.rand(8, 12)  # torch refuses to save such a tensor for a backward pass
    left = {"sE-1": half, "cE-1": "mean", "cB": "inverted", "sD-2": "trained"}
    gone = {"sE-2": painted, "sB": "off", "cD-1": 0.5}
    with override_gates(network, left | gone):
        network(x).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert "_gate" in name or parameter.grad is not None
    for site in left | gone:
        gradients = [p.grad for p in getattr(*gate_at(network, site)).parameters()]
        assert all(g is None or not g.any() for g in gradients) == (site in gone), site


def test_outputs_keep_their_memory_format(x):
    network = network_of().to(memory_format=torch.channels_last)
    painted = torch.rand(16, 24)
    for override in (*Override, painted):
        with torch.inference_mode():
            expected = network(x)
            with override_gates(network, {"sE-1": override, "cB": "mean", "sC": override}):
                assert network(x).stride() == expected.stride()


def test_any_network_of_blocks_can_be_switched():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 6, 3), ScSE(6), nn.ReLU(), ScSE(6, aggregation="add"))
    x = torch.randn(2, 3, 9, 8)
    with override_gates(network, {"first": "off", "c:1": "off", "s:3": "off", "c:3": "off"}):
        out = network(x)
    assert torch.equal(out, 2 * torch.relu(network[0](x)))


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"sE-9": "off"}, "no site 'sE-9': this network has sE-1"),
        ({"sE-1": "open"}, "no override 'open' for sE-1: choose one of trained, off, mean, inverted, or give levels"),
        ({"first": "off", "sE-1": "mean"}, "sE-1 is named twice"),
        (
            {"sE-1": np.array([[0.5, 1.5], [np.nan, -0.1]])},
            "levels for sE-1 go as far as 1.5: a gate is between 0 and 1",
        ),
        ({"sE-1": torch.tensor([-0.25])}, "as far as -0.25"),
        ({"cE-1": torch.tensor([3, 255], dtype=torch.uint8)}, "as far as 255"),
        ({"cE-1": np.inf}, "as far as inf"),
    ],
)
def test_what_is_no_override_is_refused_in_a_sentence(overrides, sentence):
    with pytest.raises(RunError, match=sentence):
        override_gates(network_of(), overrides)


@pytest.mark.parametrize(
    ("site", "shape", "sentence"),
    [
        (
            "sE-2",
            (16, 24),
            r"levels for sE-2 have the shape \(16, 24\), and its gate has \(2, 1, 8, 12\) here: give \(8, 12\)",
        ),
        ("sE-2", (3, 1, 8, 12), r"shape \(3, 1, 8, 12\)"),
        ("sE-2", (1, 2, 1, 8, 12), r"shape \(1, 2, 1, 8, 12\)"),
        ("sE-2", (0,), r"shape \(0,\)"),
        ("cE-2", (8,), r"shape \(8,\), and its gate has \(2, 8, 1, 1\) here: give \(8, 1, 1\)"),
    ],
)
def test_another_shape_is_refused_in_a_sentence_that_has_the_gates(site, shape, sentence):
    network = network_of()
    with pytest.raises(RunError, match=sentence), override_gates(network, {site: np.zeros(shape)}):
        network(torch.zeros(2, 1, 16, 24))
