"""The direct-logits probe: does the unit itself write the wanted tokens?"""

from jaxtyping import Float
from torch import Tensor

from headwater.models.outputs import written_by
from headwater.models.sites import Model, final_hidden
from headwater.probes.registry import Wanted, probe
from headwater.units import Unit


@probe(tracks="copying", subject="unit")
def direct_logits(model: Model, unit: Unit, data: Wanted) -> Float[Tensor, " count"]:
    """Direct effect of a unit on the logits of the wanted tokens, any unit's.

    What the unit alone adds to the residual stream at the wanted positions, read by the
    unembedding: the wanted token's logit less the mean logit of all tokens (direct
    logit attribution). The norms after it weigh it, but their scale is left out, so a
    unit of logits is not the model's; biases are left out, too.

    Args:
        data: see `dataset.read_rows`.

    Returns:
        f of each row in logits per token.
    """
    with written_by(model, unit) as parts:
        final_hidden(model, data.tokens)
    unembedding = model.get_output_embeddings().weight
    wanted = unembedding[data.targets] - unembedding.mean(dim=0)
    effects = sum((part * wanted).sum(dim=2) for part in parts)
    return (effects * data.weights.to(wanted)).sum(dim=1)
