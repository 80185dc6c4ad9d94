"""Next-token cross entropy without ever holding all logits.

The gradient towards the hidden states is computed in the forward pass, block by block
over tokens, so only one block of logits is alive at a time. The unembedding is treated
as a constant: attribution freezes every parameter.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK_TOKENS = 1024


class _TokenLosses(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, unembedding: Tensor, labels: Tensor
    ) -> Tensor:
        losses = torch.empty(len(hidden), dtype=hidden.dtype, device=hidden.device)
        slopes = torch.empty_like(hidden)
        for part in torch.arange(len(hidden)).split(BLOCK_TOKENS):
            block = slice(int(part[0]), int(part[-1]) + 1)
            scores = hidden[block] @ unembedding.T
            target = labels[block, None]
            norm = scores.logsumexp(dim=1, keepdim=True)
            losses[block] = (norm - scores.gather(1, target))[:, 0]
            if ctx.needs_input_grad[0]:
                probability = scores.sub_(norm).exp_()
                slopes[block] = probability @ unembedding - unembedding[labels[block]]
        ctx.save_for_backward(slopes)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (slopes,) = ctx.saved_tensors
        return grads[0][:, None] * slopes, None, None


def token_losses(hidden: Tensor, unembedding: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of each token, differentiable in `hidden` only.

    Args:
        hidden: final hidden states [batch, length, hidden].
        unembedding: [vocabulary, hidden], a constant.
        labels: next tokens [batch, length].

    Returns:
        Losses in nats [batch, length].
    """
    flat = _TokenLosses.apply(hidden.flatten(0, 1), unembedding, labels.flatten())
    assert isinstance(flat, Tensor)
    return flat.view(labels.shape)


@torch.no_grad()
def sample_labels(hidden: Tensor, unembedding: Tensor, uniforms: Tensor) -> Tensor:
    """Next tokens drawn from the model, by inverting the cumulative distribution.

    Given uniforms make the draw of a row independent of its batch.

    Args:
        hidden: [batch, length, hidden].
        unembedding: [vocabulary, hidden].
        uniforms: in [0, 1), [batch, length].

    Returns:
        Token ids [batch, length].
    """
    pieces = []
    flat, draws = hidden.detach().flatten(0, 1), uniforms.flatten()
    for block, draw in zip(
        flat.split(BLOCK_TOKENS), draws.split(BLOCK_TOKENS), strict=True
    ):
        probability = (block @ unembedding.T).softmax(dim=1)
        cumulative = probability.cumsum(dim=1, dtype=torch.float64)
        # The sum may miss 1 by a rounding error: draw from what there is.
        threshold = draw.double()[:, None] * cumulative[:, -1:]
        chosen = torch.searchsorted(cumulative, threshold)[:, 0]
        pieces.append(chosen.clamp_(max=len(unembedding) - 1))
    return torch.cat(pieces).view(uniforms.shape)
