"""Causal attention and its change along a direction, with their gradient, by hand.

A pass with tangents of the attention's own operations, and a backward pass through it,
take most of the time of a product with the Hessian: some forty sweeps over scores of
which causality makes half needless. Here queries go block by block, each over the keys
before its end. With P = softmax(q k^T), the change of the scores S' = q' k^T + q k'^T,
and C = S' - P . S' (row by row),

    out = P v          out' = (P C) v + P v'

and backwards from the gradients A of out and B of out', with G = B v^T and t = P . G,

    of S'  P (G - t)
    of P   A v^T + B v'^T + (G - t) C       and of S as through any softmax
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.autograd.forward_ad as forward_mode
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 64  # queries

Heads = Float[Tensor, "rows heads length d_head"]


def attention(query: Heads, key: Heads, value: Heads) -> Heads:
    """Causal attention of tensors with tangents, itself one with a tangent.

    Args:
        query: with the scale in it.
    """
    pairs = [_with_change(x) for x in (query, key, value)]
    flat = [x.flatten(0, 1) for pair in zip(*pairs, strict=True) for x in pair]
    out, moved = (x.view_as(query) for x in _Attention.apply(*flat))
    return forward_mode.make_dual(out, moved)


def _with_change(x: Tensor) -> tuple[Tensor, Tensor]:
    primal, tangent = forward_mode.unpack_dual(x)
    return primal, torch.zeros_like(primal) if tangent is None else tangent


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        q, k, v, q1, k1, v1 = inputs
        out, moved, kept = torch.empty_like(q), torch.empty_like(q), []
        for part, seen in _blocks(q.shape[1]):
            chance = q[:, part] @ k[:, seen].mT
            _hide_what_is_ahead(chance)
            torch.softmax(chance, -1, out=chance)
            bent = q1[:, part] @ k[:, seen].mT
            bent.baddbmm_(q[:, part], k1[:, seen].mT)
            bent -= (chance * bent).sum(-1, keepdim=True)
            out[:, part] = chance @ v[:, seen]
            moved[:, part] = torch.baddbmm(
                chance @ v1[:, seen], chance * bent, v[:, seen]
            )
            kept += [chance, bent]
        ctx.save_for_backward(*inputs, *kept)
        return out, moved

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        q, k, v, q1, k1, v1, *kept = ctx.saved_tensors
        found = tuple(torch.zeros_like(q) for _ in range(6))
        for number, (part, seen) in enumerate(_blocks(q.shape[1])):
            chance, bent = kept[2 * number : 2 * number + 2]
            first, second = (x[:, part] for x in grads)
            slope = second @ v[:, seen].mT
            slope -= (chance * slope).sum(-1, keepdim=True)
            whole = (first @ v[:, seen].mT).baddbmm_(second, v1[:, seen].mT)
            whole.addcmul_(slope, bent)
            slope *= chance
            whole -= (chance * whole).sum(-1, keepdim=True)
            whole *= chance
            q_, k_, v_ = (x[:, seen] for x in found[:3])
            k1_, v1_ = (x[:, seen] for x in found[4:])
            v_ += (chance.mT @ first).baddbmm_((chance * bent).mT, second)
            v1_ += chance.mT @ second
            q_[:, part] = (whole @ k[:, seen]).baddbmm_(slope, k1[:, seen])
            found[3][:, part] = slope @ k[:, seen]
            k_ += (whole.mT @ q[:, part]).baddbmm_(slope.mT, q1[:, part])
            k1_ += slope.mT @ q[:, part]
        return found


def _blocks(length: int) -> Iterator[tuple[slice, slice]]:
    """(some queries, the keys up to the last of them)."""
    for start in range(0, length, BLOCK):
        stop = min(start + BLOCK, length)
        yield slice(start, stop), slice(0, stop)


def _hide_what_is_ahead(scores: Float[Tensor, "heads queries keys"]) -> None:
    size = scores.shape[1]
    ahead = torch.ones(size, size, dtype=torch.bool, device=scores.device).triu(1)
    scores[:, :, -size:].masked_fill_(ahead, float("-inf"))
