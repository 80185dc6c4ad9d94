"""Products of the Hessian of a batch's loss with a direction of all parameters.

The change of the losses along the direction is found by a pass with tangents (forward
mode), and its gradient by one backward pass through that (reverse over forward): eight
matrix products for the three of a step's gradient, in the type of the trainer's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.autograd.forward_ad as forward_mode
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from headwater.errors import HeadwaterError
from headwater.metagradient.loss import change_of_losses
from headwater.metagradient.twice import differentiable_twice
from headwater.models.sites import Model, final_hidden
from headwater.training.recipe import Recipe
from headwater.training.trainer import TokenRows, Weights, divisor_of


@dataclass(frozen=True)
class Curvature:
    """What a batch's loss does along a direction u.

    Attributes:
        product: H u, H the Hessian of the batch's loss; flat.
        slopes: u . gradient of each row's loss, before its weight and the divisor.
    """

    product: Float[Tensor, " parameters"]
    slopes: Float[Tensor, " batch"]

    def scores(self, weights: Weights, divisor: str) -> Float[Tensor, " batch"]:
        """What u makes of the change of the batch's gradient with a row's weight."""
        count = divisor_of(weights, divisor)
        if divisor == "fixed":
            return self.slopes / count
        return (self.slopes - (weights * self.slopes).sum() / count) / count


class _Body(nn.Module):
    """A model up to its unembedding, and that; for `functional_call`."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return final_hidden(self.model, tokens), self._table()

    def _table(self) -> Tensor:
        table: Tensor = self.model.get_output_embeddings().weight
        return table


def curvature(
    model: Model,
    recipe: Recipe,
    rows: TokenRows,
    weights: Weights,
    direction: Float[Tensor, " parameters"],
) -> Curvature:
    """H u and the rows' slopes along u, of a batch at the model's weights.

    Args:
        weights: of the rows.
        direction: u; flat, in the order of the model's parameters.

    Raises:
        HeadwaterError: something in the model cannot be differentiated twice.
    """
    weights = weights.to(model.device, direction.dtype)
    count = divisor_of(weights, recipe.divisor)
    parameters = dict(model.named_parameters())
    tangents = unflat(direction, parameters)
    size = recipe.micro_batch_size or len(rows)
    total, slopes = torch.zeros_like(direction), []
    for part, weight in zip(rows.split(size), weights.split(size), strict=True):
        own = part.to(model.device)
        try:
            found = _changes(model, recipe, own, weight, parameters, tangents)
            gradient = torch.autograd.grad(found[0] / count, [*parameters.values()])
        except RuntimeError as error:
            if isinstance(error, NotImplementedError) or "derivative" in str(error):
                raise _once_only(model, error) from error
            raise
        total += torch.cat([g.flatten() for g in gradient])
        slopes.append(found[1])
    return Curvature(total, torch.cat(slopes))


def unflat(
    flat: Float[Tensor, " parameters"], like: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """A flat vector as tensors of the shapes of some others, in their order."""
    pieces = flat.split([x.numel() for x in like.values()])
    pairs = zip(like.items(), pieces, strict=True)
    return {name: piece.view_as(x) for (name, x), piece in pairs}


def _changes(
    model: Model,
    recipe: Recipe,
    rows: TokenRows,
    weights: Weights,
    parameters: Mapping[str, Tensor],
    tangents: Mapping[str, Tensor],
) -> tuple[Tensor, Tensor]:
    """The rows' weighted change along the tangents, and each row's."""
    compute, length = recipe.compute, rows.shape[1] - 1
    # No cache of weights: one that was cast with another tangent would be found in it.
    kind = rows.device.type
    autocast = torch.autocast(
        kind, compute, enabled=compute is not None, cache_enabled=False
    )
    with forward_mode.dual_level(), differentiable_twice(model):
        duals = {
            f"model.{name}": forward_mode.make_dual(parameter, tangents[name])
            for name, parameter in parameters.items()
        }
        with autocast:
            outputs: Any = functional_call(_Body(model), duals, (rows[:, :-1],))
        hidden, table = (forward_mode.unpack_dual(x) for x in outputs)
        states = [x.to(table.primal.dtype).flatten(0, 1) for x in hidden]
    repeated = weights.repeat_interleave(length) / length
    total, changes = change_of_losses(
        (states[0], states[1]),
        (table.primal, table.tangent),
        rows[:, 1:].flatten(),
        repeated,
        compute,
    )
    return total, changes.view(len(rows), length).mean(1)


def _once_only(model: Model, error: Exception) -> HeadwaterError:
    reason = str(error).split(". ")[0].split("\n")[0]
    return HeadwaterError(
        f"model {model.config.model_type}: a metagradient needs second derivatives, "
        f"which something in it lacks ({reason}); take another score"
    )
