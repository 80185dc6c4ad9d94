"""How the losses of tokens change along a direction, and the gradient of that change.

Along a direction of all parameters the hidden states h move by h', the unembedding W
by W', and the logits by z' = h' W^T + h W'^T. With p = softmax(h W^T) and y the next
token as a one-hot vector, a token's loss changes by (p - y) . z'. Of the sum of these
changes, weighted by the rows' weights r,

    the gradient in z   is  r p (z' - p . z')     in z'  is  r (p - y)

and those in h, h' and W follow by products. As in `cross_entropy`, no more than a chunk
of the logits is ever alive.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from headwater.cross_entropy import CHUNK_NUMBERS

States = Float[Tensor, "tokens hidden"]
Table = Float[Tensor, "vocabulary hidden"]
Tokens = Float[Tensor, " tokens"]


class _Change(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        moved: Tensor,
        table: Tensor,
        moved_table: Tensor,
        labels: Tensor,
        weights: Tensor,
        compute: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        sums = [torch.zeros_like(x) for x in (hidden, moved, table)]
        changes = hidden.new_empty(len(hidden))
        wide, wide_moved = table.to(compute), moved_table.to(compute)
        size = max(1, CHUNK_NUMBERS // len(table))
        for start in range(0, len(hidden), size):
            part = slice(start, start + size)
            own, own_moved = hidden[part].to(compute), moved[part].to(compute)
            logits = (own @ wide.T).to(hidden.dtype)
            along = (own_moved @ wide.T + own @ wide_moved.T).to(hidden.dtype)
            chance = torch.softmax(logits, 1, out=logits)
            target = labels[part, None]
            mean = (chance * along).sum(1, keepdim=True)
            changes[part] = (mean - along.gather(1, target))[:, 0]
            weight = weights[part, None]
            bent = (weight * chance * (along - mean)).to(compute)
            chance.scatter_add_(1, target, -torch.ones_like(mean))
            slope = (weight * chance).to(compute)
            sums[0][part] = (bent @ wide).add_(slope @ wide_moved)
            sums[1][part] = slope @ wide
            sums[2] += bent.T @ own
            sums[2] += slope.T @ own_moved
        ctx.save_for_backward(*sums)
        ctx.mark_non_differentiable(changes)
        return (changes * weights).sum(), changes

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return *(grads[0] * x for x in ctx.saved_tensors), None, None, None, None


def change_of_losses(
    hidden: tuple[States, States],
    unembedding: tuple[Table, Table],
    labels: Int[Tensor, " tokens"],
    weights: Tokens,
    compute: torch.dtype | None = None,
) -> tuple[Float[Tensor, ""], Tokens]:
    """The weighted sum of the tokens' changes, and each change.

    The sum is differentiable once, in the states, their change and the unembedding.

    Args:
        hidden: the states before the unembedding, and their change.
        unembedding: and its change.
        compute: type of the matrix products; all else is in the states' type.
    """
    found: tuple[Tensor, Tensor] = _Change.apply(
        *hidden, *unembedding, labels, weights, compute or hidden[0].dtype
    )
    return found
