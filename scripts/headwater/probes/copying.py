"""The copying probe: does the head itself write the token to be repeated?"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from headwater.geometry import Head
from headwater.neox import Model, dense_of, final_hidden, geometry
from headwater.probes.registry import ProbeData, probe


@probe(tracks="copying")
def copying(model: Model, head: Head, data: ProbeData) -> Float[Tensor, " count"]:
    """Direct effect of the head on the logit of the right continuation.

    What the head alone adds to the residual stream at position t of the second half,
    read by the unembedding: the logit of token t + 1 less the mean logit of all tokens
    (direct logit attribution; the final LayerNorm is left out, and so are biases).

    Args:
        data: random sequences repeated once, of even length.

    Returns:
        f of each sequence in logits per token.
    """
    tokens, half = data.tokens, data.tokens.shape[1] // 2
    with _heads_output(model, head) as kept:
        final_hidden(model, tokens[:, :-1])
    z = geometry(model).split_heads(kept[0])
    own = torch.zeros_like(z)
    own[..., head.index, :] = z[..., head.index, :]
    dense = dense_of(model, head.layer)
    # Through the module, so that its hooks see the gradient of W_O as well.
    added = dense(own.flatten(-2))[:, half:]
    if dense.bias is not None:
        added = added - dense.bias
    unembedding = model.get_output_embeddings().weight
    readers = unembedding[tokens[:, half + 1 :]] - unembedding.mean(dim=0)
    return (added * readers).sum(dim=2).mean(dim=1)


@contextmanager
def _heads_output(model: Model, head: Head) -> Iterator[list[Tensor]]:
    """Collects the input of the layer's `dense`: all heads' outputs z."""
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        kept.append(inputs[0])

    handle = dense_of(model, head.layer).register_forward_pre_hook(keep)
    try:
        yield kept
    finally:
        handle.remove()
