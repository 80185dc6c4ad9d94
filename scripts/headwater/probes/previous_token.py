"""The previous-token probe: does the head look one position back?"""

import torch
from jaxtyping import Float
from torch import Tensor

from headwater.geometry import Head
from headwater.models.sites import Model, attention_patterns
from headwater.probes.registry import Repeats, mean_inside, probe


@probe(tracks="previous_token")
def previous_token(model: Model, head: Head, data: Repeats) -> Float[Tensor, " count"]:
    """Mean attention of `head` from position t to t - 1, before anything is repeated.

    Args:
        model: with eager attention, which alone materialises patterns.
        data: only what stands before the second copy is used, so that an induction head
            cannot be mistaken for a previous-token head.

    Returns:
        f of each sequence, between 0 and 1.
    """
    tokens = data.tokens[:, : int(data.second.max())]
    pattern = attention_patterns(model, tokens)[head.layer]
    return attention_one_back(pattern[:, [head.index]], data)[:, 0]


def attention_one_back(
    pattern: Float[Tensor, "count heads query key"], data: Repeats
) -> Float[Tensor, "count heads"]:
    """Mean attention from each token before the second copy to the one before it.

    Args:
        pattern: at least of all tokens before the last second copy.

    Returns:
        of each sequence and head, between 0 and 1.
    """
    stripe = pattern.diagonal(offset=-1, dim1=2, dim2=3).transpose(1, 2)
    query = torch.arange(1, pattern.shape[2], device=pattern.device)
    return mean_inside(stripe, query < data.second[:, None])
