"""The hand-written max-out against autograd's."""

import pytest
import torch

from napari_scse.nn.recalibrate import max_out


def example(dtype=torch.float64, memory_format=torch.contiguous_format, n=2):
    generator = torch.Generator().manual_seed(4)
    u = torch.randn(n, 5, 3, 4, dtype=torch.float64, generator=generator)
    # Odd and even 64ths: exact in every number type, and no gate equals another.
    a = torch.randint(32, (n, 5, 1, 1), generator=generator).double() / 32 + 1 / 64
    b = torch.randint(33, (n, 1, 3, 4), generator=generator).double() / 32
    u = u.to(dtype).contiguous(memory_format=memory_format)
    return u.requires_grad_(), a.to(dtype).requires_grad_(), b.to(dtype).requires_grad_()


def plain(u, a, b):
    return torch.maximum(a * u, b * u)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
def test_gradient_is_right_for_any_sign(memory_format):
    assert torch.autograd.gradcheck(max_out, example(memory_format=memory_format))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
def test_same_bits_as_the_formula(dtype, memory_format):
    inputs = example(dtype, memory_format)
    out = max_out(*inputs)
    assert torch.equal(out, plain(*inputs))
    assert out.stride() == inputs[0].stride()
    gradient = torch.randn(out.shape, generator=torch.Generator().manual_seed(5)).to(out)
    ours = torch.autograd.grad(out, inputs, gradient)
    theirs = torch.autograd.grad(plain(*inputs), inputs, gradient)
    assert ours[0].stride() == inputs[0].stride()
    for mine, other, value in zip(ours, theirs, inputs, strict=True):
        assert mine.dtype == value.dtype
        torch.testing.assert_close(mine, other)
    assert torch.equal(ours[0], theirs[0])


def test_where_u_is_zero_the_gradient_is_one_gate_and_the_gates_get_none():
    u, a, b = example()
    u = torch.zeros_like(u).requires_grad_()
    du, da, db = torch.autograd.grad(max_out(u, a, b).sum(), (u, a, b))
    assert torch.equal(du, b.expand_as(u))
    assert not da.any()
    assert not db.any()


def test_after_a_relu_the_gradient_is_autograds_everywhere():
    x, a, b = example()
    ours = torch.autograd.grad(max_out(torch.relu(x), a, b).square().sum(), (x, a, b))
    theirs = torch.autograd.grad(plain(torch.relu(x), a, b).square().sum(), (x, a, b))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)


def test_equal_gates_share_what_autograd_shares():
    u, _, _ = example()
    a = torch.full((2, 5, 1, 1), 0.5, dtype=torch.float64, requires_grad=True)
    b = torch.full((2, 1, 3, 4), 0.5, dtype=torch.float64, requires_grad=True)
    du, da, db = torch.autograd.grad(max_out(u, a, b).sum(), (u, a, b))
    assert torch.equal(du, torch.full_like(u, 0.5))
    torch.testing.assert_close(da.sum() + db.sum(), u.sum())


def test_nothing_but_the_map_and_its_gates_is_kept():
    inputs = example()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.data_ptr()) or x, lambda x: x):
        max_out(*inputs)
    assert kept == [x.data_ptr() for x in inputs]


def test_a_broken_number_stays_visible():
    u, a, b = example()
    with torch.no_grad():
        u[0, 0, 0, 0] = torch.nan
    assert max_out(u, a, b).isnan().sum() == 1
