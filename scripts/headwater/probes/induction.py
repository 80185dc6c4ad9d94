"""The induction probe: is the second copy predicted?"""

from jaxtyping import Float, Int
from torch import Tensor

from headwater.cross_entropy import token_losses
from headwater.models.sites import Model, final_hidden
from headwater.probes.registry import Repeats, mean_inside, probe


@probe(tracks="prefix_matching", subject="model")
def induction(model: Model, _: None, data: Repeats) -> Float[Tensor, " count"]:
    """Mean log-probability of the right continuation over the second copy.

    A token of the second copy, but for the last, predicts the one after it, whose value
    was seen right after the token's first occurrence.

    Returns:
        f of each sequence in nats per token.
    """
    hidden = final_hidden(model, data.tokens[:, :-1])
    return -copy_losses(model, hidden, data, data.second)


@probe(tracks="prefix_matching", as_released=True, subject="model")
def induction_as_released(
    model: Model, _: None, data: Repeats
) -> Float[Tensor, " count"]:
    """The same, read one position too early, as in the paper's released code.

    There the token after t's match is looked up in the distribution that position
    t - 1 predicts, which cannot know token t yet. Kept to show what it changes.
    """
    hidden = final_hidden(model, data.tokens[:, :-1])
    return -copy_losses(model, hidden, data, data.second, late=1)


def copy_losses(
    model: Model,
    hidden: Float[Tensor, "count read width"],
    data: Repeats,
    start: Int[Tensor, " count"],
    late: int = 0,
) -> Float[Tensor, " count"]:
    """Mean loss of the tokens of one copy, without its first, nats.

    Args:
        hidden: the states before the unembedding of every position but the last.
        start: where the copy begins.
        late: how many positions before the right one the states are read.
    """
    place, inside = data.places(less=1)
    query = start[:, None] + place
    states, labels = hidden[data.rows(), query - late], data.tokens.gather(1, query + 1)
    losses = token_losses(states, model.get_output_embeddings().weight, labels)
    return mean_inside(losses, inside)
