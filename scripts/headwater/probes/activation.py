"""The activation probe: how strongly does a neuron fire on these rows?"""

from jaxtyping import Float
from torch import Tensor

from headwater.models.outputs import inner_values, outputs_of
from headwater.models.sites import Model, final_hidden
from headwater.probes.registry import Wanted, probe
from headwater.units import Unit


@probe(tracks="copying", subject="neuron")
def activation(model: Model, unit: Unit, data: Wanted) -> Float[Tensor, " count"]:
    """Mean value of a neuron at the wanted positions; the wanted tokens do not count.

    It is what the neuron's column in the map that writes is multiplied by: after the
    activation function, and times the gate where there is one.

    Args:
        data: see `dataset.read_rows`.

    Returns:
        f of each row, in the model's own unit.
    """
    site, places = next(iter(outputs_of(model, unit).items()))
    with inner_values(model, site) as kept:
        final_hidden(model, data.tokens)
    values = kept[0][..., places[0]]
    return (values * data.weights.to(values)).sum(dim=1)
