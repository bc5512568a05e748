"""What every network promises, whatever it is made of."""

import itertools

import pytest
import torch
from torch import nn

from napari_scse.nn.architectures import KINDS, PRESETS, NetworkConfig, build_network
from napari_scse.nn.densenet import FCDenseNet
from napari_scse.nn.excitation import ExcitationBlock, NoExcitation, build_excitation
from napari_scse.nn.gates import ChannelGate, SpatialGate
from napari_scse.nn.relaynet import ReLayNet
from napari_scse.nn.sdnet import SDNet
from napari_scse.nn.unet import UNet

EXCITATIONS = [
    ("none", "max"),
    ("cse", "max"),
    ("sse", "max"),
    ("scse", "max"),
    ("scse", "add"),
    ("scse", "multiply"),
    ("scse", "concatenate"),
]
POSITIONS = {"P1": "E", "P2": "D", "P3": "B", "P4": "C", "P5": "ED", "P6": "EDBC"}
PARTS = {"E": "encoders", "D": "decoders", "B": "bottleneck", "C": "classifier"}


def small(kind="fc-densenet", preset="paper-count", **overrides):
    return NetworkConfig.preset(kind, preset, **({"maps": 8, "classes": 5, "depth": 2, "kernel": (3, 3)} | overrides))


def network_of(config, seed=0):
    torch.manual_seed(seed)
    return build_network(config)


@torch.no_grad()
def enliven(network):
    """In so small a network a gate can start out without effect: with no hidden unit alive, or nowhere the greater."""
    for gate in network.modules():
        if isinstance(gate, ChannelGate):
            gate.reduce.weight[1] = -gate.reduce.weight[0]
        if isinstance(gate, (ChannelGate, SpatialGate)):
            for weight in gate.parameters():
                weight *= 5
    return network


def image(*size, channels=1, batch=2):
    return torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("skip", [1, 2])
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize(("excitation", "aggregation"), EXCITATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_contract(kind, excitation, aggregation, position, skip):
    config = small(kind, excitation=excitation, aggregation=aggregation, position=position, skip=skip)
    described = config.to_dict()
    network = enliven(network_of(config))
    applied = []
    for name, block in network.named_modules():
        if isinstance(block, ExcitationBlock):
            block.register_forward_hook(lambda *_, name=name: applied.append(name))

    logits = network(image(9, 6))
    logits.square().mean().backward()

    assert logits.shape == (2, 5, 9, 6)
    assert config.to_dict() == described
    assert network.config is config
    # Every block is there, is of its class and is applied once; the authors' dense block builds one it never applies.
    blocks = {name: block for name, block in network.named_modules() if isinstance(block, ExcitationBlock)}
    assert sorted(applied) == sorted(blocks)
    expected = type(build_excitation(excitation, 8))
    excited = [PARTS[part] for part in POSITIONS[position]]
    for name, block in blocks.items():
        assert type(block) is (expected if name.split(".")[0] in excited else NoExcitation), name
    # Everything learns, the gates too.
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if "_gate." in name:
            assert parameter.grad.any(), name
    gates = sum(isinstance(module, (ChannelGate, SpatialGate)) for module in network.modules())
    sites = sum(2 if part in "ED" else 1 for part in POSITIONS[position])
    assert gates == sites * {"none": 0, "cse": 1, "sse": 1, "scse": 2}[excitation]


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (2, 3), (13, 10), (16, 16)])
@pytest.mark.parametrize("upsampling", ["unpool", "transposed"])
@pytest.mark.parametrize("kind", KINDS)
def test_any_size_comes_back(kind, upsampling, size):
    network = network_of(small(kind, depth=4, upsampling=upsampling, position="P6", aggregation="concatenate")).eval()
    with torch.no_grad():
        logits = network(image(*size))
    assert logits.shape == (2, 5, *size)
    assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("kind", "network"), [("u-net", UNet), ("sd-net", SDNet), ("fc-densenet", FCDenseNet), ("relaynet", ReLayNet)]
)
def test_each_name_builds_its_network(kind, network):
    assert type(build_network(small(kind))) is network


LAYOUTS = list(itertools.product(KINDS, ["unpool", "transposed"], ["block", "convolution", "pointwise"]))


@pytest.mark.parametrize(("kind", "upsampling", "bottleneck"), LAYOUTS)
@pytest.mark.parametrize("others", [{}, {"in_channels": 3, "kernel": (3, 7), "depth": 1, "activation": "prelu"}])
def test_every_layout_runs(kind, upsampling, bottleneck, others):
    config = small(kind, upsampling=upsampling, bottleneck=bottleneck, dense_output="all", **others)
    logits = network_of(config)(image(8, 11, channels=config.in_channels))
    assert logits.shape == (2, 5, 8, 11)


@pytest.mark.parametrize("position", ["P5", "P6"])
@pytest.mark.parametrize("aggregation", ["max", "concatenate"])
@pytest.mark.parametrize("kind", KINDS)
def test_channels_last_and_bfloat16_all_the_way(kind, aggregation, position):
    network = network_of(small(kind, aggregation=aggregation, position=position))
    network.to(memory_format=torch.channels_last)
    outputs = []
    for name, module in network.named_modules():
        module.register_forward_hook(lambda _m, _i, out, name=name: outputs.append((name, out)))
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(image(9, 6))
    for name, output in outputs:
        for x in output if isinstance(output, tuple) else (output,):
            if x is not None and x.ndim == 4 and x.shape[-1] > 1:
                assert x.is_contiguous(memory_format=torch.channels_last), name
                if name.endswith("gate"):
                    assert x.dtype is torch.float32, name
                elif not name.startswith("encoders.0.block.layer1."):  # there the image itself is normalised
                    assert x.dtype in (torch.bfloat16, torch.int64), name
    logits.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.dtype is torch.float32 for p in network.parameters())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("preset", PRESETS)
def test_a_description_and_its_weights_are_the_network(kind, preset):
    network = network_of(small(kind, preset)).eval()
    twin = build_network(NetworkConfig.from_dict(network.config.to_dict())).eval()
    twin.load_state_dict(network.state_dict(), strict=True)
    with torch.no_grad():
        assert torch.equal(network(image(7, 5)), twin(image(7, 5)))


def test_skip_configurations_differ_in_the_skip_connection_only():
    first, second = (network_of(small(position="P1", skip=skip)).eval() for skip in (1, 2))
    second.load_state_dict(first.state_dict())
    x = image(8, 8)
    pooled_1, skip_1, indices_1 = first.encoders[0](x)
    pooled_2, skip_2, indices_2 = second.encoders[0](x)
    assert torch.equal(pooled_1, pooled_2)
    assert torch.equal(indices_1, indices_2)
    u = first.encoders[0].block(x)
    assert torch.equal(skip_2, u)
    assert torch.equal(skip_1, first.encoders[0].excitation(u))
    assert not torch.equal(first(x), second(x))


def test_position_4_recalibrates_the_class_scores():
    network = network_of(small(position="P4", excitation="sse")).eval()
    block = network.classifier.excitation
    assert block.channels == 5
    seen = []
    network.classifier.conv.register_forward_hook(lambda _m, _i, out: seen.append(out))
    logits = network(image(8, 8))
    assert torch.equal(logits, block(seen[0]))
    assert isinstance(network.classifier.merge, nn.Identity)


def test_gates_start_out_unsaturated():
    network = network_of(small("u-net", depth=4))
    seen = []
    for gate in network.modules():
        if isinstance(gate, (ChannelGate, SpatialGate)):
            gate.register_forward_hook(lambda _m, _i, out: seen.append(out))
    logits = network(image(32, 32))
    assert all(0.02 < gate.mean() < 0.98 for gate in seen)
    assert 0.05 < logits.std() < 20
