"""Section II of the paper, equation by equation, against plain float64 NumPy."""

import numpy as np
import pytest
import torch

from napari_scse.nn.excitation import (
    Aggregation,
    ChannelSE,
    Excitation,
    NoExcitation,
    ScSE,
    SpatialSE,
    build_excitation,
)
from napari_scse.nn.gates import ChannelGate, SpatialGate, spatial_mean

C = 6


@pytest.fixture(params=[torch.contiguous_format, torch.channels_last], ids=["nchw", "channels_last"])
def u(request) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(3, C, 5, 7, dtype=torch.float64, generator=generator)
    return values.contiguous(memory_format=request.param)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def channel_gate(u: np.ndarray, gate: ChannelGate) -> np.ndarray:
    """Equations (1) and (2), one scan, one channel at a time."""
    w2, w1 = gate.reduce.weight.detach().numpy(), gate.expand.weight.detach().numpy()
    out = np.empty(u.shape[:2])
    for n, maps in enumerate(u):
        z = np.array([sum(maps[k].ravel()) / maps[k].size for k in range(len(maps))])
        z_hat = w1 @ np.maximum(w2 @ z, 0)
        out[n] = sigmoid(z_hat)
    return out[:, :, None, None]


def spatial_gate(u: np.ndarray, gate: SpatialGate) -> np.ndarray:
    """Equation (3), one place at a time."""
    w = gate.squeeze.weight.detach().numpy().ravel()
    n, _, height, width = u.shape
    out = np.empty((n, 1, height, width))
    for index in np.ndindex(n, height, width):
        out[index[0], 0, index[1], index[2]] = sigmoid(w @ u[index[0], :, index[1], index[2]])
    return out


def test_equation_1(u):
    z = spatial_mean(u).numpy()
    np.testing.assert_allclose(z, u.numpy().reshape(3, C, -1).sum(-1) / 35, rtol=1e-12)


def test_spatial_mean_of_bfloat16_adds_up_in_float32():
    ones = torch.ones(1, 2, 200, 200, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last)
    assert torch.equal(spatial_mean(ones), torch.ones(1, 2, dtype=torch.bfloat16))


@pytest.mark.parametrize("reduction", [1, 2, 4, 16])
def test_equation_2(u, reduction):
    block = ChannelSE(C, reduction).double()
    expected = channel_gate(u.numpy(), block.channel_gate) * u.numpy()
    np.testing.assert_allclose(block(u).detach().numpy(), expected, rtol=1e-12)
    assert block.channel_gate.reduce.out_features == max(1, C // reduction)


def test_equation_3(u):
    block = SpatialSE(C).double()
    expected = spatial_gate(u.numpy(), block.spatial_gate) * u.numpy()
    np.testing.assert_allclose(block(u).detach().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("aggregation", "join"),
    [
        ("max", np.maximum),  # (4)
        ("add", np.add),  # (5)
        ("multiply", np.multiply),  # (6)
        ("concatenate", lambda c, s: np.concatenate((c, s), 1)),  # (7)
    ],
)
def test_equations_4_to_7(u, aggregation, join):
    block = ScSE(C, 2, aggregation).double()
    c = channel_gate(u.numpy(), block.channel_gate) * u.numpy()
    s = spatial_gate(u.numpy(), block.spatial_gate) * u.numpy()
    out = block(u)
    np.testing.assert_allclose(out.detach().numpy(), join(c, s), rtol=1e-12)
    assert out.shape[1] == block.out_channels == (2 * C if aggregation == "concatenate" else C)


@pytest.mark.parametrize(
    ("kind", "block", "gates"),
    [
        ("none", NoExcitation, set()),
        ("cse", ChannelSE, {"channel_gate"}),
        ("sse", SpatialSE, {"spatial_gate"}),
        ("scse", ScSE, {"channel_gate", "spatial_gate"}),
    ],
)
def test_each_kind_builds_exactly_its_class(kind, block, gates):
    # The authors' code gives the scSE layer to who asks for 'CSE'.
    built = build_excitation(kind, C)
    assert type(built) is block
    assert {name for name, _ in built.named_children()} == gates
    assert {name.split(".")[0] for name in built.state_dict()} == gates
    assert type(build_excitation(Excitation(kind), C, 2, Aggregation.ADD)) is block


def test_no_gate_has_a_bias():
    names = [name for name, _ in ScSE(C).named_parameters()]
    assert names == ["channel_gate.reduce.weight", "channel_gate.expand.weight", "spatial_gate.squeeze.weight"]


def test_gates_return_what_the_figure_shows(u):
    block = ScSE(C).double()
    a, b = block.channel_gate(u), block.spatial_gate(u)
    assert a.shape == (3, C, 1, 1)
    assert b.shape == (3, 1, 5, 7)
    for gate in (a, b):
        assert 0 < gate.min() < gate.max() < 1


def test_none_changes_nothing(u):
    assert build_excitation("none", C)(u) is u


@pytest.mark.parametrize("kind", ["cse", "sse", "scse"])
@pytest.mark.parametrize("aggregation", list(Aggregation))
def test_blocks_stay_in_channels_last(kind, aggregation):
    u = torch.randn(2, 8, 5, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    out = build_excitation(kind, 8, 2, aggregation)(u)
    assert out.is_contiguous(memory_format=torch.channels_last)
    (gradient,) = torch.autograd.grad(out.square().sum(), u)
    assert gradient.is_contiguous(memory_format=torch.channels_last)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="SE"):
        build_excitation("SE", C)
    with pytest.raises(ValueError, match="mean"):
        ScSE(C, 2, "mean")


@pytest.mark.parametrize("kind", ["cse", "sse", "scse"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gates_near_one_keep_their_steps_in_low_precision(kind, dtype):
    block = build_excitation(kind, 4).to(dtype)
    u = torch.rand(1, 4, 40, 40).mul(0.5).to(dtype)
    for name, gate in block.named_children():
        gate.register_forward_hook(lambda _m, _i, out, name=name: seen.update({name: out}))
    seen = {}
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.fill_(4.0)
        assert block(u).dtype is dtype
    for gate in seen.values():
        assert gate.dtype is torch.float32
        assert (gate > 0.5).all()
    if "spatial_gate" in seen:
        late = seen["spatial_gate"][seen["spatial_gate"] > 0.99]
        assert len(late.unique()) > 3 * len(late.to(dtype).unique())
