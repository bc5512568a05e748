"""max(a u, b u), equation (4), with a backward pass that keeps nothing but u and the two gates.

Autograd would keep both products and the result; here the backward pass is worked out again from u and the gates, one
slice at a time, so that the intermediate maps stay in the processor's cache. The memory format of u is kept throughout.

Where both products are equal (u = 0, or a = b) the spatial gate takes the gradient, where autograd would give half to
each: both are subgradients. At u = 0 the gates' gradient is zero either way, and a ReLU before the block stops u's.
Gates are seldom equal in float32, now and then in bfloat16.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def max_out(u: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Element-wise maximum of the two recalibrated maps.

    Parameters
    ----------
    u
        (N, C, H, W), any sign.
    a
        Channel gate, (N, C, 1, 1), not negative.
    b
        Spatial gate, (N, 1, H, W), not negative.
    """
    return _MaxOut.apply(u, a, b)  # type: ignore[no-any-return,no-untyped-call]


class _MaxOut(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(u, a, b)
        out = torch.empty_like(u)
        other = torch.empty_like(u[:1])
        for n in range(u.shape[0]):
            here = slice(n, n + 1)
            torch.mul(u[here], a[here], out=out[here])
            torch.mul(u[here], b[here], out=other)
            torch.maximum(out[here], other, out=out[here])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        u, a, b = ctx.saved_tensors
        du, da, db = torch.empty_like(u), torch.empty_like(a), torch.empty_like(b)
        # bfloat16 is added up in float32 in any case; a float16 sum would overflow.
        wide = torch.float32 if u.dtype is torch.float16 else None
        lead, by_channel, by_place = (torch.empty_like(u[:1]) for _ in range(3))
        for n in range(u.shape[0]):
            here = slice(n, n + 1)
            # a u > b u where (a - b) u > 0: there the gradient goes to the channel gate, elsewhere to the spatial gate.
            torch.sub(a[here], b[here], out=lead)
            lead.mul_(u[here])
            torch.ops.aten.threshold_backward.grad_input(grad[here], lead, 0, grad_input=by_channel)
            torch.sub(grad[here], by_channel, out=by_place)
            torch.mul(by_channel, a[here], out=du[here])
            du[here].addcmul_(by_place, b[here])  # exact: one of the two terms is zero
            da[here] = by_channel.mul_(u[here]).sum((2, 3), keepdim=True, dtype=wide)
            db[here] = by_place.mul_(u[here]).sum(1, keepdim=True, dtype=wide)
        return du, da, db
