"""The training loss, and its gradient, without ever holding all logits.

The logits of a few hundred tokens at a time are computed into one reused buffer, turned
into probabilities and then into slopes there, and multiplied out into the gradient of
the hidden states and of the unembedding. Nothing as wide as the vocabulary outlives its
chunk, and none of it is computed twice. With p = softmax(h W^T), y the next token as a
one-hot vector and r the weight of the token's row:

    loss = - sum_t r_t log p_t[y_t]
    d loss / d h_t = r_t (p_t - y_t) W
    d loss / d W   = sum_t (p_t - y_t)^T r_t h_t

The weights multiply the narrow factor of each product, never the wide one.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK_NUMBERS = 1 << 24  # of the logits alive at a time: 64 MB in float32


class _WeightedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        unembedding: Tensor,
        labels: Tensor,
        weights: Tensor,
        compute: torch.dtype,
        chunk: int,
    ) -> Tensor:
        total = hidden.new_zeros(())
        table = unembedding.to(compute)
        buffer = hidden.new_empty(min(chunk, len(hidden)), len(unembedding))
        slopes, gradient = torch.empty_like(hidden), torch.zeros_like(unembedding)
        for start in range(0, len(hidden), chunk):
            part = slice(start, start + chunk)
            own, target, weight = hidden[part], labels[part, None], weights[part, None]
            wide = buffer[: len(own)]
            _product(own.to(compute), table.T, wide)
            torch.softmax(wide, 1, out=wide)
            chance = wide.gather(1, target)
            least = torch.finfo(chance.dtype).tiny
            total -= (chance.clamp(min=least).log() * weight).sum()
            wide.scatter_(1, target, chance - 1)
            factor = wide.to(compute)
            _product(factor, table, slopes[part])
            slopes[part] *= weight
            _add_product(gradient, factor.T, (own * weight).to(compute))
        ctx.save_for_backward(slopes, gradient)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        slopes, gradient = ctx.saved_tensors
        return slopes * grads[0], gradient * grads[0], None, None, None, None


def _product(left: Tensor, right: Tensor, out: Tensor) -> None:
    if left.dtype == out.dtype:
        torch.mm(left, right, out=out)
    else:
        out.copy_(left @ right)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right


def weighted_token_loss(
    hidden: Tensor,
    unembedding: Tensor,
    labels: Tensor,
    weights: Tensor,
    compute: torch.dtype | None = None,
    chunk_tokens: int | None = None,
) -> Tensor:
    """Sum of the rows' weighted next-token losses, in nats: a scalar.

    Differentiable once, in `hidden` and `unembedding`.

    Args:
        hidden: final hidden states [rows, length, width].
        unembedding: [vocabulary, width], of the same type.
        labels: next tokens [rows, length].
        weights: weight of each row [rows].
        compute: type of the matrix products; sums and the softmax stay in `hidden`'s.
        chunk_tokens: most tokens whose logits are alive at a time.

    A token whose probability underflows counts as the least representable one (87 nats
    in float32); its gradient is exact.
    """
    length = labels.shape[1]
    most = chunk_tokens or max(1, CHUNK_NUMBERS // len(unembedding))
    chunks = -(-labels.numel() // most)  # of like size: a short last one is slow
    loss = _WeightedLoss.apply(
        hidden.flatten(0, 1),
        unembedding,
        labels.flatten(),
        weights.to(hidden.dtype).repeat_interleave(length),
        compute or hidden.dtype,
        -(-labels.numel() // chunks),
    )
    assert isinstance(loss, Tensor)
    return loss
