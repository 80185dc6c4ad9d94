"""The copying probe: does the head itself write the token to be repeated?"""

import torch
from jaxtyping import Float
from torch import Tensor

from headwater.geometry import Head
from headwater.models.outputs import inner_values
from headwater.models.sites import Model, final_hidden, geometry, writer
from headwater.probes.registry import Repeats, mean_inside, probe
from headwater.units import ATTENTION


@probe(tracks="copying")
def copying(model: Model, head: Head, data: Repeats) -> Float[Tensor, " count"]:
    """Direct effect of the head on the logit of the right continuation.

    What the head alone adds to the residual stream at a token of the second copy, read
    by the unembedding: the logit of the copy's next token less the mean logit of all
    tokens (direct logit attribution; the final LayerNorm is left out, and so are
    biases).

    Returns:
        f of each sequence in logits per token.
    """
    with inner_values(model, (head.layer, ATTENTION)) as kept:
        final_hidden(model, data.tokens[:, :-1])
    place, inside = data.places(less=1)
    query = data.second[:, None] + place
    z = geometry(model).split_heads(kept[0][data.rows(), query])
    own = torch.zeros_like(z)
    own[..., head.index, :] = z[..., head.index, :]
    write = writer(model, head.layer)
    # Through the module, so that its hooks see the gradient of W_O as well.
    added = write(own.flatten(-2))
    if write.bias is not None:
        added = added - write.bias
    unembedding = model.get_output_embeddings().weight
    readers = unembedding[data.tokens.gather(1, query + 1)] - unembedding.mean(dim=0)
    return mean_inside((added * readers).sum(dim=2), inside)
