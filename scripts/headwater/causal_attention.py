"""Causal attention for training on the CPU, by matrix products.

torch's fused attention spends most of its time on the CPU in loops that use no matrix
unit: at 256 positions its backward pass takes ten times that of the products it
replaces (benchmarks/trainer.md). Here the pattern is stored, and forward and backward
are products of the type that the training computes in:

    P = softmax(c Q K^T + mask)       O = P V
    dV = P^T dO    dP = dO V^T    dS = P * (dP - sum(P * dP))
    dQ = c dS K    dK = c dS^T Q

A pattern is [rows, heads, length, length]; `LONGEST` bounds what that may take.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from headwater.neox import Model

NAME = "headwater_causal"
LONGEST = 512  # positions; beyond, patterns outgrow what the fused kernel wastes

Heads = Float[Tensor, "rows heads length d_head"]


@cache
def _mask(length: int) -> Float[Tensor, "length length"]:
    """-inf above the diagonal."""
    return torch.full((length, length), -math.inf).triu(1)


class _CausalAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, compute: torch.dtype
    ) -> Tensor:
        ctx.scale = query.shape[-1] ** -0.5
        q, k, v = (x.flatten(0, 1).to(compute) for x in (query, key, value))
        wide = torch.promote_types(compute, torch.float32)
        scores = (q @ k.transpose(1, 2)).to(wide).mul_(ctx.scale)
        scores += _mask(q.shape[1])
        pattern = torch.softmax(scores, -1, out=scores).to(compute)
        ctx.save_for_backward(q, k, v, pattern)
        return (pattern @ v).to(query.dtype).view(query.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, pattern = ctx.saved_tensors
        shape, kind = grads[0].shape, grads[0].dtype
        out = grads[0].reshape(q.shape).to(q.dtype)
        slopes = torch.ops.aten._softmax_backward_data(
            out @ v.transpose(1, 2), pattern, -1, q.dtype
        )
        found = (slopes @ k, slopes.transpose(1, 2) @ q)
        scaled = [(x.to(kind) * ctx.scale).view(shape) for x in found]
        return *scaled, (pattern.transpose(1, 2) @ out).to(kind).view(shape), None


def causal_attention(
    query: Heads, key: Heads, value: Heads, compute: torch.dtype
) -> Heads:
    """Causal softmax attention, differentiable once.

    Args:
        compute: type of the products; the softmax is at least in float32.
    """
    out = _CausalAttention.apply(query, key, value, compute)
    assert isinstance(out, Tensor)
    return out


@contextmanager
def by_products(model: Model, compute: torch.dtype | None) -> Iterator[None]:
    """Within, a model on the CPU that trains in `compute` attends by matrix products.

    In float32, on a GPU and over long rows torch's kernels are the faster ones: nothing
    is changed.
    """
    before = model.config._attn_implementation
    short = model.config.max_position_embeddings <= LONGEST
    if compute is None or model.device.type != "cpu" or not short:
        yield
        return
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _interface)
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _interface(
    module: nn.Module, query: Heads, key: Heads, value: Heads, mask: None, **_: Any
) -> tuple[Tensor, None]:
    """As `transformers` calls it; rows are whole, so only what is ahead is masked."""
    assert mask is None
    return causal_attention(query, key, value, query.dtype).transpose(1, 2), None
