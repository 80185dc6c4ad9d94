"""The induction probe: is the repeated half predicted?"""

from torch import Tensor
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXForCausalLM

from headwater.geometry import Head
from headwater.loss import token_losses
from headwater.neox import final_hidden
from headwater.probes.registry import probe


@probe("induction", tracks="prefix_matching")
def induction(model: GPTNeoXForCausalLM, head: Head, tokens: Tensor) -> Tensor:
    """Mean log-probability of the right continuation over the repeated half.

    In `[r; r]` the token at position t of the second half predicts position t + 1,
    whose value was seen right after t's first occurrence. (The paper's released code
    reads the distribution one position earlier, which cannot know token t yet.)

    Args:
        model: the model.
        head: unused; the probe looks at the model's output, the target restricts the
            gradient to its head.
        tokens: random sequences repeated once, [batch, 2 * half].

    Returns:
        f of each sequence in nats per token, [batch].
    """
    half = tokens.shape[1] // 2
    hidden = final_hidden(model, tokens[:, :-1])[:, half:]
    unembedding = model.get_output_embeddings().weight
    losses = token_losses(hidden, unembedding, tokens[:, half + 1 :])
    return -losses.mean(dim=1)
