"""One update of AdamW backwards, on flat vectors; several targets at once.

The formulas are those of `headwater.metagradient`, with the optimizer of
`training.recipe.make_optimizer` and the clipping of `training.trainer.update`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from headwater.training.recipe import Recipe

CLIP_EPS = 1e-6  # of torch.nn.utils.clip_grad_norm_

Vector = Float[Tensor, " parameters"]
Vectors = Float[Tensor, "targets parameters"]


@dataclass(frozen=True)
class Adjoint:
    """The derivative of every target's F with respect to a state of the training.

    Attributes:
        weights: with respect to the model's weights.
        first: with respect to AdamW's first moments; `second` likewise.
    """

    weights: Vectors
    first: Vectors
    second: Vectors

    @staticmethod
    def zeros(targets: int, like: Vector) -> "Adjoint":
        """That of a state on which nothing depends."""
        return Adjoint(*(like.new_zeros(targets, len(like)) for _ in range(3)))


@dataclass(frozen=True)
class Update:
    """What one update was made of.

    Attributes:
        gradient: of the batch's loss, before it was clipped.
        norm: of that gradient.
        first: AdamW's first moments after the update; `second` likewise.
        count: updates made in all, this one too.
        rate: its learning rate.
    """

    gradient: Vector
    norm: float
    first: Vector
    second: Vector
    count: int
    rate: float


def before(
    after: Adjoint, update: Update, recipe: Recipe, decay: Vector
) -> tuple[Vectors, Adjoint]:
    """The adjoint of the state before an update, but for what goes through its loss.

    Args:
        after: the adjoint of the state after it.
        decay: weight decay of every parameter.

    Returns:
        (u, the adjoint of the gradient; the adjoint of the state before, to whose
        weights H u is still to be added).
    """
    b1, b2 = recipe.betas
    grown1, grown2 = 1 - b1**update.count, 1 - b2**update.count
    root = (update.second / grown2).sqrt()
    divisor = root + recipe.eps
    moved = update.rate / grown1 / divisor
    # Where a token was never seen, v and m are 0, and the root has no slope.
    bent = moved * update.first / (2 * grown2 * divisor * root)
    bent = torch.where(root > 0, bent, 0)
    first = after.first - moved * after.weights
    second = after.second + bent * after.weights
    scale = min(1.0, recipe.max_grad_norm / (update.norm + CLIP_EPS))
    clipped = scale * update.gradient
    u = (1 - b1) * first + 2 * (1 - b2) * clipped * second
    if scale < 1:
        slope = scale / (update.norm + CLIP_EPS) / update.norm
        along = u @ update.gradient
        u = scale * u - slope * along[:, None] * update.gradient
    weights = (1 - update.rate * decay) * after.weights
    return u, Adjoint(weights, b1 * first, b2 * second)
