"""Next-token cross entropy without ever holding all logits.

The gradient towards the hidden states is computed in the forward pass, chunk by chunk
over tokens, in one buffer of logits that is used again and again. The unembedding is
treated as a constant: attribution freezes every parameter.

For one chunk, with p the softmax of its logits,

    loss = -log p[y]        d loss / d hidden = p W - W[y]

Labels are the row's own tokens, or drawn from p on the spot (the true Fisher), so that
sampling costs no second look at the logits.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK_TOKENS = 512  # 100 MB of float32 logits at Pythia's vocabulary
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
        for part, probability in _probabilities(hidden, unembedding):
            own = labels(part, probability)
            chosen = probability.gather(1, own[:, None])[:, 0]
            losses[part] = _minus_log(chosen, hidden[part], unembedding, own)
            if ctx.needs_input_grad[0]:
                torch.mm(probability, unembedding, out=slopes[part])
                slopes[part] -= unembedding[own]
        ctx.save_for_backward(slopes)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (slopes,) = ctx.saved_tensors
        return grads[0][:, None] * slopes, None, None


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


def token_losses(hidden: Tensor, unembedding: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of each token, differentiable in `hidden` only.

    Args:
        hidden: final hidden states [batch, length, hidden].
        unembedding: [vocabulary, hidden], a constant.
        labels: next tokens [batch, length].

    Returns:
        Losses in nats [batch, length].
    """
    flat = labels.flatten()
    return _losses(hidden, unembedding, lambda part, _: flat[part])


def sampled_losses(
    hidden: Tensor, unembedding: Tensor, uniforms: Tensor, vocabulary: int | None = None
) -> Tensor:
    """Like `token_losses`, with labels drawn from the model (the true Fisher).

    Args:
        hidden: final hidden states [batch, length, hidden].
        unembedding: [rows, hidden], a constant.
        uniforms: in [0, 1), [batch, length]; see `invert`.
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
    probability: Tensor, uniforms: Tensor, vocabulary: int | None = None
) -> Tensor:
    """Draws from discrete distributions by inverting their cumulative sums.

    Given uniforms make a token's draw independent of its batch. Two levels, the sums of
    bins and then one bin's entries, so that the vocabulary is read once, not summed up
    entry by entry.

    Args:
        probability: [tokens, rows].
        uniforms: in [0, 1), [tokens].
        vocabulary: only ids below it are drawn.

    Returns:
        Ids [tokens].
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
