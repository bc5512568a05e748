"""Max-unpooling: every value back to where the maximum came from, zeros elsewhere."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def unpool(x: Tensor, indices: Tensor, size: tuple[int, int]) -> Tensor:
    """Undo `max_pool2d(2, ceil_mode=True, return_indices=True)`.

    Parameters
    ----------
    x
        (N, C, ceil(H/2), ceil(W/2)).
    indices
        The same shape, int64: places within each H x W map.
    size
        (H, W) of the map that was pooled.
    """
    return _Unpool.apply(x, indices, size)  # type: ignore[no-any-return,no-untyped-call]


class _Unpool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, indices: Tensor, size: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(indices)
        # Autocast would go to float32 here for nothing: the values are only moved.
        with torch.autocast(x.device.type, enabled=False):
            return F.max_unpool2d(x, indices, (2, 2), output_size=list(size))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (indices,) = ctx.saved_tensors
        n, c, height, width = indices.shape
        if grad.is_contiguous(memory_format=torch.channels_last) and c > 1:
            # As an (N, H * W, C) matrix, of which `gather` makes no copy and keeps channels_last.
            places = indices.permute(0, 2, 3, 1).reshape(n, -1, c)
            back = grad.permute(0, 2, 3, 1).reshape(n, -1, c).gather(1, places)
            return back.view(n, height, width, c).permute(0, 3, 1, 2), None, None
        return grad.flatten(2).gather(2, indices.flatten(2)).view(indices.shape), None, None
