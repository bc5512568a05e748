"""Looking at the gates changes nothing and leaves nothing behind."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from napari_scse.errors import RunError
from napari_scse.nn.architectures import KINDS, NetworkConfig, build_network
from napari_scse.nn.excitation import ChannelSE, NoExcitation, ScSE, SpatialSE
from napari_scse.nn.overrides import override_gates
from napari_scse.nn.recorder import Site, record_excitations, resolve_sites, sites


def network_of(kind="fc-densenet", **overrides):
    torch.manual_seed(0)
    layout = {"maps": 8, "classes": 5, "depth": 3, "kernel": (3, 3)} | overrides
    return build_network(NetworkConfig.preset(kind, **layout)).eval()


def hooks(network):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules())


@pytest.fixture
def x():
    return torch.randn(2, 1, 16, 24, generator=torch.Generator().manual_seed(2))


def test_sites_are_named_as_in_the_paper():
    found = sites(network_of(depth=4))
    encoders, decoders = [f"E-{i}" for i in range(1, 5)], [f"D-{i}" for i in range(1, 5)]
    assert list(found) == [kind + place for kind in "sc" for place in encoders + decoders]
    assert [site.stride for site in found.values()] == [1, 2, 4, 8, 8, 4, 2, 1] * 2
    assert found["sE-1"] == Site("sE-1", "spatial", 1, 1)
    assert found["cD-1"] == Site("cD-1", "channel", 8, 8)


def test_bottleneck_and_classifier_have_sites_too():
    found = sites(network_of(position="P6"))
    assert [name for name in found if name[1:] in ("B", "C")] == ["sB", "sC", "cB", "cC"]
    assert (found["sB"].stride, found["sC"].stride, found["cC"].channels) == (8, 1, 5)


@pytest.mark.parametrize("kind", KINDS)
def test_maps_are_what_the_gates_return_and_have_the_sites_shape(kind, x):
    network = network_of(kind, position="P6")
    with torch.no_grad(), record_excitations(network, sites(network)) as recorder:
        network(x)
    assert list(recorder.names) == list(sites(network))
    for name, site in sites(network).items():
        maps = recorder.maps[name]
        size = (16 // site.stride, 24 // site.stride) if site.kind == "spatial" else (1, 1)
        assert maps.shape == (2, site.channels, *size)
        assert 0 <= maps.min() <= maps.max() <= 1
    u = network.encoders[0].block(x)
    assert torch.equal(recorder.maps["sE-1"], network.encoders[0].excitation.spatial_gate(u))
    assert torch.equal(recorder.maps["cE-1"], network.encoders[0].excitation.channel_gate(u))


@pytest.mark.parametrize("kind", KINDS)
def test_a_winner_map_says_which_product_is_kept(kind, x):
    """Where features are negative it is that of the smaller gate."""
    network = network_of(kind)
    with torch.no_grad(), record_excitations(network, ["wE-1", "wD-3"]) as recorder:
        network(x)
    assert list(recorder.maps) == ["wE-1", "wD-3"]
    encoder = network.encoders[0]
    u = encoder.block(x)
    a, b = encoder.excitation.channel_gate(u), encoder.excitation.spatial_gate(u)
    kept = (encoder.excitation(u) == u * b) & (u * a != u * b)
    assert torch.equal(recorder.maps["wE-1"], kept.float().mean(1, keepdim=True))
    assert 0 < recorder.maps["wE-1"].mean() < 1
    with torch.no_grad(), record_excitations(network, "wE-1", stop_early=True) as early:
        network(x)
    assert torch.equal(early.maps["wE-1"], recorder.maps["wE-1"])


def test_only_gates_that_compete_have_a_winner():
    for options in ({"excitation": "sse"}, {"aggregation": "add"}):
        with pytest.raises(RunError, match="no site 'wE-1'"):
            resolve_sites(network_of(**options), "wE-1")
    with pytest.raises(RunError, match="winner map"):
        override_gates(network_of(), {"wE-1": "off"})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [False, True])
def test_outputs_keep_every_bit(kind, training, x):
    network, twin = network_of(kind).train(training), network_of(kind).train(training)
    expected = twin(x)
    with record_excitations(network, ["first", "last", "cE-2"]) as recorder:
        out = network(x)
    assert torch.equal(out, expected)
    assert all(not maps.requires_grad for maps in recorder.maps.values())
    out.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_no_hook_is_left_behind(x):
    network = network_of()
    recorder = record_excitations(network, ["sE-1", "cD-3"])
    assert hooks(network) == 0
    with recorder:
        assert hooks(network) == 2
        network(x)
    assert hooks(network) == 0
    with pytest.raises(RuntimeError), recorder:
        network(torch.cat((x, x), 1))  # a channel too many
    assert hooks(network) == 0
    with record_excitations(network, ["sE-1"], stop_early=True):
        network(x)
    assert hooks(network) == 0


def test_stopping_early_runs_nothing_deeper(x):
    network = network_of()
    with torch.no_grad(), record_excitations(network, ["sE-2", "sE-1"]) as whole:
        network(x)
    ran = []
    for name, module in network.named_children():
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    for i, encoder in enumerate(network.encoders):
        encoder.register_forward_pre_hook(lambda *_, i=i: ran.append(i))
    with torch.no_grad(), record_excitations(network, ["sE-2", "sE-1"], stop_early=True) as recorder:
        network(x)
        ran.append("after")
    assert ran == [0, 1]
    assert set(recorder.maps) == {"sE-1", "sE-2"}
    assert all(torch.equal(maps, whole.maps[name]) for name, maps in recorder.maps.items())


def test_a_recorder_serves_batch_after_batch(x):
    network = network_of()
    recorder = record_excitations(network, "last", stop_early=True)
    for batch in (x, x + 1):
        with torch.no_grad():
            with recorder:
                network(batch)
            with record_excitations(network, "last") as whole:
                network(batch)
        assert torch.equal(recorder.maps["sD-3"], whole.maps["sD-3"])


def test_two_recorders_at_once_do_not_take_each_others_stop(x):
    network = network_of()
    with record_excitations(network, "sD-3", stop_early=True) as outer:
        with record_excitations(network, "sE-1", stop_early=True) as inner:
            network(x)
        network(x)
    assert set(inner.maps) == {"sE-1"}
    assert set(outer.maps) == {"sD-3"}


def test_errors_inside_are_not_swallowed():
    with pytest.raises(ZeroDivisionError), record_excitations(network_of(), "first", stop_early=True):
        _ = 1 / 0


def test_aliases_and_repetitions():
    network = network_of(depth=3)
    assert resolve_sites(network, ["last", "first", "sD-3", "cE-2"]) == ("sD-3", "sE-1", "cE-2")
    assert resolve_sites(network, "first") == ("sE-1",)
    assert resolve_sites(network, []) == ()


@pytest.mark.parametrize(
    ("excitation", "position", "name", "sentence"),
    [
        ("scse", "P5", "sE-9", r"no site 'sE-9': this network has sE-1, .*cD-3\."),
        ("scse", "P5", "se-1", "no site 'se-1'"),
        ("scse", "P5", "First", "no site 'First'"),
        ("cse", "P5", "first", "no site 'first': this network has no spatial gate, only cE-1"),
        ("sse", "P2", "cE-1", r"no site 'cE-1': this network has no channel gate, only sD-1, sD-2, sD-3\."),
        ("scse", "P1", "last", "no site 'last': this network has sE-1"),
        ("none", "P5", "last", r"no site 'last': this network has no gates at all\."),
    ],
)
def test_unknown_sites_say_what_there_is(excitation, position, name, sentence):
    network = network_of(excitation=excitation, position=position)
    with pytest.raises(RunError, match=sentence):
        record_excitations(network, ["sE-1", name] if excitation == "scse" else [name])


class Foreign(nn.Module):
    """Blocks in a list, in a dict, as an attribute called excitation at the root and below it, one of them twice."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), ScSE(4))
        self.stage = nn.ModuleDict({"a": nn.Sequential(OrderedDict(conv=nn.Conv2d(4, 4, 1), excitation=ChannelSE(4)))})
        self.excitation = SpatialSE(4)
        self.again = self.excitation
        self.plain = NoExcitation(4)

    def forward(self, x):
        return self.plain(self.again(2 * self.excitation(self.stage["a"](self.stem(x)))))


@pytest.fixture
def foreign():
    torch.manual_seed(0)
    return Foreign().eval()


def test_gates_of_any_network_are_named_by_the_path_of_their_block(foreign):
    found = sites(foreign)
    assert list(found) == ["s:stem.1", "s:excitation", "c:stem.1", "c:stage.a"]
    assert found["s:stem.1"] == Site("s:stem.1", "spatial", None, 1)
    assert found["c:stage.a"] == Site("c:stage.a", "channel", None, 4)
    assert resolve_sites(foreign, ["first", "last", "c:stem.1"]) == ("s:stem.1", "s:excitation", "c:stem.1")
    twice = nn.ModuleList([foreign, foreign])
    assert list(sites(twice)) == ["s:0.stem.1", "s:0", "c:0.stem.1", "c:0.stage.a"]


def test_a_wrapped_network_of_ours_is_any_network(x):
    network = network_of(excitation="scse")
    wrapped = nn.Sequential(OrderedDict(net=network))
    assert list(sites(wrapped))[:2] == ["s:net.encoders.0", "s:net.encoders.1"]
    with (
        torch.no_grad(),
        record_excitations(wrapped, "first") as recorder,
        record_excitations(network, "first") as ours,
    ):
        wrapped(x)
    assert torch.equal(recorder.maps["s:net.encoders.0"], ours.maps["sE-1"])


def test_of_a_block_that_runs_twice_the_last_call_is_kept(foreign, x):
    with torch.no_grad(), record_excitations(foreign, "last") as recorder:
        foreign(x)
        first = foreign.excitation(foreign.stage["a"](foreign.stem(x)))
    assert len(recorder.names) == 1
    with torch.no_grad(), record_excitations(foreign, sites(foreign)) as recorder:
        foreign(x)
    assert torch.equal(recorder.maps["s:excitation"], foreign.excitation.spatial_gate(2 * first))
    with torch.no_grad(), record_excitations(foreign, sites(foreign), stop_early=True) as recorder:
        foreign(x)
    assert torch.equal(
        recorder.maps["s:excitation"], foreign.excitation.spatial_gate(foreign.stage["a"](foreign.stem(x)))
    )


def test_entered_twice_a_recorder_still_leaves_no_hook(x):
    network = network_of()
    recorder = record_excitations(network, "first")
    with recorder, recorder:
        network(x)
    assert hooks(network) == 0


@pytest.mark.parametrize(
    ("module", "name", "sentence"),
    [
        (nn.Linear(2, 2), "first", "no site 'first': this network has no gates at all"),
        (nn.Sequential(ChannelSE(4)), "last", "no site 'last': this network has no spatial gate, only c:0"),
        (nn.Sequential(ScSE(4)), "sE-1", "no site 'sE-1': this network has s:0, c:0"),
        (nn.Sequential(ScSE(4)), "s:0.excitation", "no site 's:0.excitation'"),
    ],
)
def test_any_network_says_what_it_has(module, name, sentence):
    with pytest.raises(RunError, match=sentence):
        resolve_sites(module, name)
