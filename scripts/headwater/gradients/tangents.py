"""How every token's loss moves when a unit's parameters do: forward-mode derivatives.

A row's gradient is that of the sum of its tokens' losses, so backwards they come out
together. Forwards they do not: a direction `V` of the unit's parameters adds `x V` to
the outputs of its maps, and what that adds to the last hidden state meets the slope
of each token's own loss there. One pass forwards, whatever the number of tokens.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from headwater.cross_entropy import token_losses
from headwater.gradients.blocks import Matrices
from headwater.gradients.passes import PassOptions, RowSequence
from headwater.models.sites import (
    Model,
    final_hidden,
    inputs_first,
    readers,
    writer,
)
from headwater.units import Block, Unit

Tokens = Float[Tensor, "batch length"]


def token_slopes(
    model: Model,
    rows: RowSequence,
    unit: Unit,
    direction: Matrices,
    options: PassOptions,
) -> Iterator[tuple[slice, Tokens, Tokens]]:
    """Derivative of each token's loss along a direction of a unit's parameters.

    Args:
        model: on its device; its parameters are frozen.
        direction: by block, inputs x outputs (`influence.scores.standard_basis`).

    Yields:
        Which rows, the derivatives, and the losses themselves (nats), by predicted
        token; the derivatives of a row add up to `<its gradient, direction>`.
    """
    model.requires_grad_(False)
    with moved(model, unit, direction):
        for start in range(0, len(rows), options.batch_size):
            batch = rows[start : start + options.batch_size].to(model.device)
            slopes, losses = _slopes(model, batch)
            yield slice(start, start + len(batch)), slopes, losses


def _slopes(model: Model, rows: Tensor) -> tuple[Tensor, Tensor]:
    # Of the kernels of attention, the plain one alone has derivatives forwards.
    with forward_ad.dual_level(), sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        hidden, tangent = forward_ad.unpack_dual(final_hidden(model, rows[:, :-1]))
        assert tangent is not None
        hidden, tangent = hidden.clone(), tangent.clone()
    hidden.requires_grad_(True)
    weight = model.get_output_embeddings().weight
    losses = token_losses(hidden, weight, rows[:, 1:])
    (own,) = torch.autograd.grad(losses.sum(), hidden)
    return (own * tangent).sum(dim=2), losses.detach()


@contextmanager
def moved(model: Model, unit: Unit, direction: Matrices) -> Iterator[None]:
    """Tangents at the outputs of a unit's maps, as if its parameters went that way."""
    with ExitStack() as stack:
        for block in unit.blocks:
            matrix = direction[str(block)]
            if block.writes:
                own = writer(model, block.layer, block.site)
                hook = own.register_forward_hook(_written(block, matrix))
                stack.callback(hook.remove)
                continue
            first = 0
            for own in readers(model, block.layer, block.site):
                last = first + inputs_first(model, own).shape[1]
                hook = own.register_forward_hook(_read(block, matrix, first, last))
                stack.callback(hook.remove)
                first = last
        yield


def _written(block: Block, matrix: Tensor) -> Any:
    def add(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        values = _primal(inputs[0])[..., list(block.places)]
        return _with_tangent(output, values @ matrix.to(values))

    return add


def _read(block: Block, matrix: Tensor, first: int, last: int) -> Any:
    inside = [i for i, place in enumerate(block.places) if first <= place < last]
    places = [block.places[i] - first for i in inside]

    def add(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        values = _primal(inputs[0])
        added = torch.zeros_like(_primal(output))
        added[..., places] = values @ matrix[:, inside].to(values)
        return _with_tangent(output, added)

    return add


def _primal(value: Tensor) -> Tensor:
    return forward_ad.unpack_dual(value).primal


def _with_tangent(output: Tensor, added: Tensor) -> Tensor:
    primal, tangent = forward_ad.unpack_dual(output)
    whole = added if tangent is None else tangent + added
    return forward_ad.make_dual(primal, whole)
