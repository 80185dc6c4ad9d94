"""The previous-token probe: does the head look one position back?"""

from jaxtyping import Float
from torch import Tensor

from headwater.geometry import Head
from headwater.neox import Model, attention_patterns
from headwater.probes.registry import ProbeData, probe


@probe(tracks="previous_token")
def previous_token(
    model: Model, head: Head, data: ProbeData
) -> Float[Tensor, " count"]:
    """Mean attention of `head` from position t to t - 1, over the first half.

    Args:
        model: with eager attention, which alone materialises patterns.
        data: random sequences; only the first, non-repeated half is used, so
            that an induction head cannot be mistaken for a previous-token head.

    Returns:
        f of each sequence, between 0 and 1.
    """
    tokens, half = data.tokens, data.tokens.shape[1] // 2
    pattern = attention_patterns(model, tokens[:, :half])[head.layer][:, head.index]
    return pattern.diagonal(offset=-1, dim1=1, dim2=2).mean(dim=1)
