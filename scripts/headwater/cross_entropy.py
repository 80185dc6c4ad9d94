"""Next-token cross entropy, and its gradient, without ever holding all logits.

The logits of a few hundred tokens at a time are computed into one reused buffer, and
turned into probabilities and slopes there. Nothing as wide as the vocabulary outlives
its chunk, and none of it is computed twice. With p = softmax(h W^T), y the next token
as a one-hot vector and r the weight of the token's row:

    loss          = - sum_t r_t log p_t[y_t]
    d loss / d h_t = r_t (p_t - y_t) W
    d loss / d W   = sum_t (p_t - y_t)^T r_t h_t         (training only)

Attribution freezes every parameter: `token_losses` and `sampled_losses` give the loss
of each token and treat W as a constant. Labels are the row's own tokens, or drawn from
p on the spot (the true Fisher), so that sampling costs no second look at the logits.
Training (`weighted_token_loss`) wants the sum alone, and the gradient of W as well; its
weights multiply the narrow factor of each product, never the wide one.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK_TOKENS = 512  # 100 MB of float32 logits at Pythia's vocabulary
CHUNK_NUMBERS = 1 << 24  # of the logits alive at a time: 64 MB in float32
_BIN = 256  # entries of a bin in the two-level search of `invert`

# (which tokens, their probabilities [chunk, vocabulary]) to labels [chunk].
Labels = Callable[[slice, Tensor], Tensor]


class _TokenLosses(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, unembedding: Tensor, labels: Labels
    ) -> Tensor:
        losses = torch.empty(len(hidden), dtype=hidden.dtype, device=hidden.device)
        slopes = torch.empty_like(hidden)
        chosen_labels = torch.empty(len(hidden), dtype=torch.long, device=hidden.device)
        for part, probability in _probabilities(hidden, unembedding):
            own = labels(part, probability)
            chosen = probability.gather(1, own[:, None])[:, 0]
            losses[part] = _minus_log(chosen, hidden[part], unembedding, own)
            if ctx.needs_input_grad[0]:
                torch.mm(probability, unembedding, out=slopes[part])
                slopes[part] -= unembedding[own]
            chosen_labels[part] = own
        ctx.save_for_backward(slopes, hidden, unembedding, chosen_labels)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None]:
        slopes, hidden, unembedding, labels = ctx.saved_tensors
        gradient = None
        if ctx.needs_input_grad[1]:
            gradient = torch.zeros_like(unembedding)
            for part, probability in _probabilities(hidden, unembedding):
                own = labels[part, None]
                probability.scatter_add_(
                    1, own, -torch.ones_like(own, dtype=hidden.dtype)
                )
                probability *= grads[0][part, None]
                gradient.addmm_(probability.T, hidden[part])
        return grads[0][:, None] * slopes, gradient, None


def _probabilities(
    hidden: Tensor, unembedding: Tensor
) -> Iterator[tuple[slice, Tensor]]:
    """(which tokens, softmax over the vocabulary), valid until the next one."""
    size = min(CHUNK_TOKENS, len(hidden))
    buffer = hidden.new_empty(size, len(unembedding))
    for start in range(0, len(hidden), size):
        part = slice(start, min(start + size, len(hidden)))
        logits = buffer[: part.stop - part.start]
        torch.mm(hidden[part], unembedding.T, out=logits)
        yield part, torch.softmax(logits, dim=1, out=logits)


def _minus_log(
    chosen: Tensor, hidden: Tensor, unembedding: Tensor, labels: Tensor
) -> Tensor:
    """`-log p[y]`, also where p[y] has underflowed."""
    losses = -chosen.log()
    lost = ~losses.isfinite()
    if lost.any():
        logits = hidden[lost] @ unembedding.T
        own = logits.gather(1, labels[lost, None])[:, 0]
        losses[lost] = logits.logsumexp(dim=1) - own
    return losses


def token_losses(
    hidden: Float[Tensor, "batch length hidden"],
    unembedding: Float[Tensor, "vocabulary hidden"],
    labels: Int[Tensor, "batch length"],
) -> Float[Tensor, "batch length"]:
    """Cross entropy of each token in nats, differentiable in `hidden` only."""
    flat = labels.flatten()
    return _losses(hidden, unembedding, lambda part, _: flat[part])


def sampled_losses(
    hidden: Float[Tensor, "batch length hidden"],
    unembedding: Float[Tensor, "rows hidden"],
    uniforms: Float[Tensor, "batch length"],
    vocabulary: int | None = None,
) -> Float[Tensor, "batch length"]:
    """Like `token_losses`, with labels drawn from the model (the true Fisher).

    Args:
        uniforms: in [0, 1); see `invert`.
        vocabulary: ids that exist; the rows beyond it only pad the embedding and are
            never drawn. All of them by default.
    """
    flat = uniforms.flatten().to(hidden.device)
    return _losses(
        hidden, unembedding, lambda part, p: invert(p, flat[part], vocabulary)
    )


def _losses(hidden: Tensor, unembedding: Tensor, labels: Labels) -> Tensor:
    flat = _TokenLosses.apply(hidden.flatten(0, 1), unembedding, labels)
    assert isinstance(flat, Tensor)
    return flat.view(hidden.shape[:-1])


def invert(
    probability: Float[Tensor, "tokens rows"],
    uniforms: Float[Tensor, " tokens"],
    vocabulary: int | None = None,
) -> Int[Tensor, " tokens"]:
    """Ids drawn from discrete distributions, by inverting their cumulative sums.

    Given uniforms make a token's draw independent of its batch. Two levels, the sums of
    bins and then one bin's entries, so that the vocabulary is read once, not summed up
    entry by entry.

    Args:
        probability: of each id, for every token.
        uniforms: in [0, 1).
        vocabulary: only ids below it are drawn.
    """
    size = vocabulary or probability.shape[1]
    whole = size - size % _BIN
    bins = probability[:, :whole].unflatten(1, (-1, _BIN)).sum(2).double()
    rest = probability[:, whole:size].sum(1, keepdim=True).double()
    ends = torch.cat([bins, rest], dim=1).cumsum(dim=1)
    threshold = uniforms.double()[:, None] * ends[:, -1:]
    which = torch.searchsorted(ends, threshold, right=True)
    which = which.clamp_(max=(size - 1) // _BIN)
    before = torch.nn.functional.pad(ends, (1, 0)).gather(1, which)
    ids = which * _BIN + torch.arange(_BIN, device=probability.device)
    entries = probability.gather(1, ids.clamp(max=size - 1)).double()
    entries[ids >= size] = 0
    inner = before + entries.cumsum(dim=1)
    chosen = ids.gather(
        1, torch.searchsorted(inner, threshold, right=True).clamp_(max=_BIN - 1)
    )
    return chosen[:, 0].clamp_(max=size - 1)


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
    hidden: Float[Tensor, "rows length hidden"],
    unembedding: Float[Tensor, "vocabulary hidden"],
    labels: Int[Tensor, "rows length"],
    weights: Float[Tensor, "rows ..."],
    compute: torch.dtype | None = None,
    chunk_tokens: int | None = None,
) -> Float[Tensor, ""]:
    """Sum of the weighted next-token losses of rows, in nats.

    Differentiable once, in `hidden` and `unembedding`.

    Args:
        unembedding: of the same type.
        weights: of each row, or of each of its tokens.
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
        weights.to(hidden.dtype).view(len(weights), -1).expand(-1, length).flatten(),
        compute or hidden.dtype,
        -(-labels.numel() // chunks),
    )
    assert isinstance(loss, Tensor)
    return loss
