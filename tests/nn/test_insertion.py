"""Excitation in a network that is not ours: what it had stays, what it gets is found again."""

import copy
import importlib.util
import io
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from napari_scse.errors import InputError
from napari_scse.nn.architectures import NetworkConfig, build_network
from napari_scse.nn.excitation import ChannelSE, ScSE, SpatialSE
from napari_scse.nn.insertion import add_excitation
from napari_scse.nn.overrides import override_gates
from napari_scse.nn.recorder import record_excitations, sites

EXAMPLE = Path(__file__).parents[2] / "examples" / "residual_network.py"


class BasicBlock(nn.Module):
    """As in ResNet-18."""

    def __init__(self, before, after, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample = None
        if before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x):
        skip = x if self.downsample is None else self.downsample(x)
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))) + skip)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.block = nn.GroupNorm(2, 8)  # a name that the container uses as well
        self.layer1 = nn.Sequential(BasicBlock(8, 8), BasicBlock(8, 8))
        self.layer2 = nn.Sequential(BasicBlock(8, 12, 2), BasicBlock(12, 12))
        self.layer10 = nn.Conv2d(12, 12, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(12, 4)

    def forward(self, x):
        x = self.layer10(self.layer2(self.layer1(self.block(self.conv1(x)))))
        return self.fc(self.pool(x).flatten(1))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return ResNet().eval()


@pytest.fixture
def x():
    return torch.randn(2, 3, 10, 14, generator=torch.Generator().manual_seed(2))


AFTER = ["layer1", "layer2.0", "layer1.0.bn2", "block", "layer10"]


@pytest.mark.parametrize("kind", ["cse", "sse", "scse"])
def test_with_the_gates_off_it_is_the_network_it_was_to_the_bit(kind, network, x):
    twin = copy.deepcopy(network)
    assert add_excitation(network, AFTER, kind) is network
    assert not torch.equal(network(x), twin(x))
    with override_gates(network, dict.fromkeys(sites(network), "off")):
        assert torch.equal(network(x), twin(x))


def test_blocks_stand_behind_what_was_named(network, x):
    plain = copy.deepcopy(network)
    add_excitation(network, ["layer1", "layer1.1.bn2"], "scse", reduction=4, aggregation="add")
    outer, inner = network.layer1.excitation, network.layer1.block[1].bn2.excitation
    assert all(isinstance(block, ScSE) and block.aggregation == "add" for block in (outer, inner))
    assert outer.channel_gate.reduce.out_features == 2
    u = plain.layer1[0](plain.block(plain.conv1(x)))
    block = plain.layer1[1]
    u = block.relu(inner(block.bn2(block.conv2(block.relu(block.bn1(block.conv1(u)))))) + u)
    expected = plain.fc(plain.pool(plain.layer10(plain.layer2(outer(u)))).flatten(1))
    assert torch.equal(network(x), expected)


def test_sites_have_the_names_that_were_given(network, x):
    add_excitation(network, "layer1")
    add_excitation(network, ["layer1.0.bn2", "layer2.0"], kind="cse")  # names are those of the network as it was
    assert list(sites(network)) == ["s:layer1", "c:layer1.0.bn2", "c:layer1", "c:layer2.0"]
    assert [site.channels for site in sites(network).values()] == [1, 8, 8, 12]
    with record_excitations(network, ["first", "c:layer2.0"]) as recorder:
        network(x)
    assert recorder.maps["s:layer1"].shape == (2, 1, 10, 14)
    assert recorder.maps["c:layer2.0"].shape == (2, 12, 1, 1)


def test_keys_and_weights_stay_and_only_the_gates_are_new(network, x):
    before = copy.deepcopy(network.state_dict())
    add_excitation(network, AFTER, "scse")
    after = network.state_dict()
    assert [key for key in after if ".excitation." not in key] == list(before)
    assert all(torch.equal(after[key], weight) for key, weight in before.items())
    new = {key for key in after if ".excitation." in key}
    assert {key.partition(".excitation.")[0] for key in new} == set(AFTER)

    other = add_excitation(ResNet().eval(), AFTER, "scse")
    assert not torch.equal(other(x), network(x))
    for loaded in (other, copy.deepcopy(other)):
        loaded.load_state_dict(after)
        assert torch.equal(loaded(x), network(x))
    loaded = add_excitation(ResNet().eval(), AFTER, "scse")
    missing, unexpected = loaded.load_state_dict(before, strict=False)
    assert (set(missing), unexpected) == (new, [])
    assert all(torch.equal(loaded.state_dict()[key], weight) for key, weight in before.items())
    assert set(after) == set(network.state_dict())  # loading took nothing out of what it was given

    inner = add_excitation(copy.deepcopy(network), "fc", channels=4).layer1
    assert set(inner.state_dict()) == {key.removeprefix("layer1.") for key in after if key.startswith("layer1.")}
    inner.load_state_dict(network.layer1.state_dict())


def test_a_file_of_weights_goes_and_comes_back(network, x):
    add_excitation(network, AFTER)
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    other = add_excitation(ResNet().eval(), AFTER)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(x), network(x))


def test_new_parameters_are_where_the_old_ones_are(network):
    network.layer2.to(torch.float64)
    network.layer1[0].eval()
    network.layer1[1].train()
    network.layer10.to("meta")
    add_excitation(network, ["layer1.1", "layer2.1.bn1", "layer10", "layer2.0.relu"], channels={"layer2.0.relu": 12})
    excitation = network.layer2.get_submodule("0.relu.excitation")
    assert {p.dtype for p in excitation.parameters()} == {torch.float32}  # a ReLU has none: those of the network
    assert {p.dtype for p in network.layer2[1].bn1.excitation.parameters()} == {torch.float64}
    assert {p.device.type for p in network.layer10.excitation.parameters()} == {"meta"}
    assert network.layer1[1].training
    assert network.layer1[1].excitation.channel_gate.training
    assert not network.layer2[1].bn1.excitation.training


def test_modes_of_what_is_there_stay(network):
    network.layer1.train()
    network.layer1[0].bn1.eval()
    add_excitation(network, "layer1")
    assert network.layer1.training
    assert not network.layer1.block[0].bn1.training


def test_every_new_parameter_gets_a_gradient_and_training_goes_on(network, x):
    add_excitation(network.train(), AFTER)
    optimiser = torch.optim.SGD(network.parameters(), 0.01)
    network(x).square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    optimiser.step()


@pytest.mark.parametrize(
    ("part", "count"),
    [
        (nn.Conv2d(3, 7, 1), 7),
        (nn.ConvTranspose2d(3, 5, 2), 5),
        (nn.Sequential(nn.Conv2d(3, 7, 1), nn.ReLU()), 7),
        (nn.Sequential(nn.Conv2d(3, 8, 1), nn.GroupNorm(2, 8), nn.Dropout2d()), 8),
        (nn.Sequential(nn.Conv2d(3, 8, 1), nn.InstanceNorm2d(8)), 8),
        (nn.Sequential(nn.Conv2d(3, 6, 1), SpatialSE(6)), 6),
        (nn.Sequential(nn.Conv2d(3, 6, 1), ScSE(6, aggregation="concatenate")), 12),
    ],
)
def test_channels_are_those_of_the_last_layer_that_says_so(part, count):
    module = add_excitation(nn.Sequential(part, nn.ReLU()), "0")
    assert module[0].excitation.channels == count
    assert module(torch.zeros(1, 3, 4, 4)).shape[1] == count


def test_channels_can_be_given(network, x):
    add_excitation(network, ["layer1.0.relu", "layer2"], "cse", channels={"layer1.0.relu": 8})
    add_excitation(network, "conv1", "sse", channels=8)
    network(x)
    assert isinstance(network.conv1.excitation, SpatialSE)
    assert isinstance(network.layer2.excitation, ChannelSE)


def test_a_network_of_ours_takes_more_too():
    config = NetworkConfig.preset("u-net", maps=8, classes=3, depth=2, excitation="sse")
    network = add_excitation(build_network(config), "bottleneck.block", "cse")
    assert list(sites(network)) == ["sE-1", "sE-2", "sD-1", "sD-2", "c:bottleneck.block"]
    assert network(torch.zeros(1, 1, 8, 8)).shape == (1, 3, 8, 8)


@pytest.mark.parametrize(
    ("after", "options", "sentence"),
    [
        ("layer3", {}, "no sub-module 'layer3': ResNet has conv1, block, layer1, layer2, layer10, pool, fc."),
        ("layer1.2", {}, "no sub-module 'layer1.2': Sequential has 0, 1."),
        ("conv1.weight", {}, "no sub-module 'conv1.weight': Conv2d has no sub-modules."),
        ("layer1.0.downsample", {}, "no sub-module 'layer1.0.downsample'"),
        ("", {}, "no sub-module ''"),
        ("layer2", {}, "layer2 has an excitation already"),
        (["layer1", "layer2.excitation"], {}, "no sub-module 'layer2.excitation'"),
        ("pool", {}, "How many channels pool returns cannot be known, .* say channels={'pool': …}"),
        ("fc", {}, "How many channels fc returns cannot be known"),
        ("layer1", {"channels": 0}, "channels of layer1 is at least 1, not 0"),
        ("layer1", {"channels": {"layer10": 12}}, "channels for layer10, after which nothing is to be added"),
        ("layer1", {"kind": "se"}, "no excitation 'se' to add: choose one of cse, sse, scse"),
        ("layer1", {"kind": "none"}, "no excitation 'none' to add"),
        ("layer1", {"reduction": 0}, "reduction is at least 1, not 0"),
        (
            "layer1",
            {"aggregation": "concatenate"},
            "'concatenate' would double the channels that follow: choose one of",
        ),
        ("layer1", {"aggregation": "mean"}, "'mean' is not known: choose one of max, add, multiply"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(after, options, sentence, network):
    add_excitation(network, "layer2")
    before = repr(network)
    with pytest.raises(InputError, match=sentence):
        add_excitation(network, [*([after] if isinstance(after, str) else after), "conv1"], **options)
    assert repr(network) == before


def test_nothing_is_added_to_what_is_an_excitation():
    config = NetworkConfig.preset("u-net", maps=8, classes=3, depth=2)
    for name in ("encoders.0.excitation", "encoders.0.excitation.spatial_gate"):
        with pytest.raises(InputError, match=f"{re.escape(name)} belongs to an excitation block"):
            add_excitation(build_network(config), name)
    with pytest.raises(InputError, match=r"encoders.0 has an excitation already"):
        add_excitation(build_network(config), "encoders.0")


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        return self.conv(x), x


@pytest.mark.parametrize(
    ("part", "channels", "came"),
    [
        (
            nn.Sequential(nn.Conv2d(3, 8, 1), nn.PixelShuffle(2)),
            None,
            r"\(N, 8, H, W\), and 0 returns a tensor \(1, 2, 8, 8\)",
        ),
        (nn.Sequential(nn.Conv2d(3, 8, 1), nn.Flatten()), None, r".* returns a tensor \(1, 128\)"),
        (Pair(), None, r"\(N, 4, H, W\), and 0 returns a tuple"),
        (nn.Conv2d(3, 8, 1), 7, r"\(N, 7, H, W\), and 0 returns a tensor \(1, 8, 4, 4\)"),
    ],
)
def test_what_returns_something_else_is_named_when_it_runs(part, channels, came):
    module = add_excitation(nn.Sequential(part), "0", channels=channels)
    with pytest.raises(InputError, match=f"The excitation after 0 was made for maps {came}"):
        module(torch.zeros(1, 3, 4, 4))


def test_one_place_with_two_names_gets_one_block(x):
    shared = BasicBlock(3, 3)
    module = nn.Sequential(shared, shared)
    add_excitation(module, ["0.bn2", "1.bn2", "0.bn2"], "cse")
    assert list(sites(module)) == ["c:0.bn2"]
    add_excitation(module, ["0", "1"], "cse")  # two places, though one module
    assert list(sites(module)) == ["c:0.bn2", "c:0", "c:1"]
    module(x)


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("residual_network", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_learns_and_prints_its_gates(example, capsys):
    with torch.random.fork_rng():
        accuracy = example.main(["--steps", "80"])
    told = capsys.readouterr().out
    assert accuracy > 0.8
    before, after = (float(re.search(rf"{when} the training: +(.+)%", told)[1]) for when in ("before", "after"))
    assert after - before > 20
    rows = re.findall(r"c:layer2 +(disc|square) +((?:[01]\.\d\d ?){16})\n", told)
    (_, disc), (_, square) = rows
    assert max(abs(float(a) - float(b)) for a, b in zip(disc.split(), square.split(), strict=True)) > 0.1
