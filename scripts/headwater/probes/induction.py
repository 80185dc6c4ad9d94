"""The induction probe: is the repeated half predicted?"""

from jaxtyping import Float, Int
from torch import Tensor

from headwater.cross_entropy import token_losses
from headwater.geometry import Head
from headwater.neox import Model, final_hidden
from headwater.probes.registry import ProbeData, probe


@probe(tracks="prefix_matching")
def induction(model: Model, head: Head, data: ProbeData) -> Float[Tensor, " count"]:
    """Mean log-probability of the right continuation over the repeated half.

    In `[r; r]` the token at position t of the second half predicts position t + 1,
    whose value was seen right after t's first occurrence.

    Args:
        head: unused; the probe looks at the model's output, the target restricts the
            gradient to its head.
        data: random sequences repeated once, of even length.

    Returns:
        f of each sequence in nats per token.
    """
    return _continuation(model, data.tokens, late=0)


@probe(tracks="prefix_matching", as_released=True)
def induction_as_released(
    model: Model, head: Head, data: ProbeData
) -> Float[Tensor, " count"]:
    """The same, read one position too early, as in the paper's released code.

    There the token after t's match is looked up in the distribution that position
    t - 1 predicts, which cannot know token t yet. Kept to show what it changes.
    """
    return _continuation(model, data.tokens, late=1)


def _continuation(
    model: Model, tokens: Int[Tensor, "count length"], late: int
) -> Float[Tensor, " count"]:
    half, stop = tokens.shape[1] // 2, tokens.shape[1] - 1
    hidden = final_hidden(model, tokens[:, :-1])[:, half - late : stop - late]
    unembedding = model.get_output_embeddings().weight
    return -token_losses(hidden, unembedding, tokens[:, half + 1 :]).mean(dim=1)
