"""How much a model gains from a repetition, and how much of that one head brings."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from headwater.geometry import Head
from headwater.models.sites import Model, final_hidden, geometry, writer
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


def ablation(model: Model, head: Head, data: Repeats, gain: float) -> float:
    """The part of the copy gain that is lost without what a head tells apart, nats.

    The head's output is replaced by its mean over the sequences, position by position
    (mean ablation, Wang et al. 2022, arXiv 2211.00593).

    Args:
        gain: the model's `copy_gain` on the same data.
    """
    with _mean_ablated(model, head):
        return gain - copy_gain(model, data)


@contextmanager
def _mean_ablated(model: Model, head: Head) -> Iterator[None]:
    sizes = geometry(model)

    def replace(
        module: nn.Module, inputs: tuple[Float[Tensor, "batch length hidden"], ...]
    ) -> tuple[Tensor, ...]:
        z = sizes.split_heads(inputs[0]).clone()
        z[..., head.index, :] = z[..., head.index, :].mean(dim=0)
        return (z.flatten(-2), *inputs[1:])

    handle = writer(model, head.layer).register_forward_pre_hook(replace)
    try:
        yield
    finally:
        handle.remove()
