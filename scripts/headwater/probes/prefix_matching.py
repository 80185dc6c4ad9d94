"""The prefix-matching probe: does the head look where an induction head looks?"""

from jaxtyping import Float
from torch import Tensor

from headwater.geometry import Head
from headwater.models.sites import Model, attention_patterns
from headwater.probes.registry import Repeats, mean_inside, probe


@probe(tracks="prefix_matching")
def prefix_matching(model: Model, head: Head, data: Repeats) -> Float[Tensor, " count"]:
    """Mean attention of `head` to the token after the present one's first occurrence.

    The head score of the same name (Olsson et al. 2022) as a probe: it asks for the
    head's attention, where `induction` asks for what the model predicts.

    Args:
        model: with eager attention, which alone materialises patterns.

    Returns:
        f of each sequence, between 0 and 1.
    """
    pattern = attention_patterns(model, data.tokens)[head.layer]
    return matched_attention(pattern[:, [head.index]], data)[:, 0]


def matched_attention(
    pattern: Float[Tensor, "count heads query key"], data: Repeats, shift: int = 1
) -> Float[Tensor, "count heads"]:
    """Mean attention from the tokens of the second copy to keys beside their match.

    Args:
        shift: 1 for the key after a token's first occurrence, which prefix matching
            means; 0 for the key before that one, 2 for the key after it.

    Returns:
        of each sequence and head, between 0 and 1.
    """
    place, inside = data.places()
    query, key = data.second[:, None] + place, data.first[:, None] + place + shift
    return mean_inside(pattern[data.rows(), :, query, key], inside)
