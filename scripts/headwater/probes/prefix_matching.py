"""The prefix-matching probe: does the head look where an induction head looks?"""

from jaxtyping import Float
from torch import Tensor

from headwater.geometry import Head
from headwater.neox import Model, attention_patterns
from headwater.probes.registry import ProbeData, probe


@probe(tracks="prefix_matching")
def prefix_matching(
    model: Model, head: Head, data: ProbeData
) -> Float[Tensor, " count"]:
    """Mean attention of `head` to the token after the present one's first occurrence.

    The head score of the same name (Olsson et al. 2022) as a probe: it asks for the
    head's attention, where `induction` asks for what the model predicts.

    Args:
        model: with eager attention, which alone materialises patterns.
        data: random sequences repeated once, of even length.

    Returns:
        f of each sequence, between 0 and 1.
    """
    half = data.tokens.shape[1] // 2
    pattern = attention_patterns(model, data.tokens)[head.layer][:, head.index]
    # Query t, key t - half + 1; the first of them is the last of the first half.
    return pattern.diagonal(offset=1 - half, dim1=1, dim2=2)[:, 1:].mean(dim=1)
