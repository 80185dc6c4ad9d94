"""How much a model gains from a repetition, and how much of that one unit brings."""

import torch

from headwater.models.outputs import mean_ablated
from headwater.models.sites import Model, final_hidden
from headwater.probes.induction import copy_losses
from headwater.probes.registry import Repeats


@torch.no_grad()
def copy_gain(model: Model, data: Repeats) -> float:
    """Mean loss of the tokens of the first copy minus that of the same in the second.

    Without the span's first token, whose second occurrence nothing foretells. All
    sequences go through the model together.

    Returns:
        nats per token; 0 = nothing is gained from having seen the span before.
    """
    hidden = final_hidden(model, data.tokens[:, :-1])
    once, again = (
        copy_losses(model, hidden, data, start) for start in (data.first, data.second)
    )
    return float((once - again).double().mean())


def ablation(model: Model, unit: object, data: Repeats, gain: float) -> float:
    """The part of the copy gain that is lost without what a unit tells apart, nats.

    What it writes is replaced by its mean over the sequences, position by position.

    Args:
        unit: a unit or a head.
        gain: the model's `copy_gain` on the same data.
    """
    with mean_ablated(model, unit):
        return gain - copy_gain(model, data)
