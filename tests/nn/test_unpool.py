"""Un-pooling is the inverse of pooling at the maxima, for any size."""

import pytest
import torch
from torch.nn import functional as F

from napari_scse.nn.unpool import unpool


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (6, 1), (5, 8), (9, 9)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
def test_pooling_what_was_unpooled_gives_it_back(size, memory_format):
    u = torch.rand(2, 3, *size).add(0.1).contiguous(memory_format=memory_format)
    pooled, indices = F.max_pool2d(u, 2, ceil_mode=True, return_indices=True)
    back = unpool(pooled, indices, size)
    assert back.shape == u.shape
    assert torch.equal(F.max_pool2d(back, 2, ceil_mode=True), pooled)
    assert torch.equal(back[back > 0], u[back > 0])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
def test_gradient(channels, memory_format):
    u = torch.rand(2, channels, 5, 6, dtype=torch.float64).contiguous(memory_format=memory_format)
    pooled, indices = F.max_pool2d(u, 2, ceil_mode=True, return_indices=True)
    assert torch.autograd.gradcheck(lambda x: unpool(x, indices, (5, 6)), pooled.requires_grad_())


def test_gradient_in_channels_last_is_the_same_and_stays_there():
    u = torch.rand(2, 4, 7, 6)
    gradient = torch.rand(2, 4, 7, 6)
    found = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        pooled, indices = F.max_pool2d(
            u.contiguous(memory_format=memory_format), 2, ceil_mode=True, return_indices=True
        )
        out = unpool(pooled.requires_grad_(), indices, (7, 6))
        found += torch.autograd.grad(out, pooled, gradient.contiguous(memory_format=memory_format))
    assert torch.equal(*found)
    assert found[1].is_contiguous(memory_format=torch.channels_last)


def test_bfloat16_survives_autocast():
    u = torch.rand(1, 2, 4, 4).bfloat16()
    pooled, indices = F.max_pool2d(u, 2, ceil_mode=True, return_indices=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert unpool(pooled, indices, (4, 4)).dtype is torch.bfloat16
