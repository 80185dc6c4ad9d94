"""The row-weighted trainer: one for the baseline and for every arm.

All runs share data order, schedule and arithmetic; an arm differs only in which row
stands at a position and in the row's weight.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headwater.attention import in_float32
from headwater.cross_entropy import weighted_token_loss
from headwater.models.sites import Model, final_hidden
from headwater.training.ranks import Ranks
from headwater.training.recipe import Recipe, make_scaler

TokenRows = Int[Tensor, "batch tokens"]  # one token more than the model sees
# Of rows, or of their predicted tokens: 0 removed, 1 as trained, 2 seen twice.
Weights = Float[Tensor, "batch ..."]
Batches = Callable[[int], tuple[TokenRows, Weights]]
Hook = Callable[[int, float], bool | None]  # True ends the training


def weighted_loss(
    model: Model,
    rows: TokenRows,
    weights: Weights,
    count: Float[Tensor, ""] | int,
    compute: torch.dtype | None = None,
) -> Float[Tensor, ""]:
    """Weighted next-token loss of rows, in nats a token of `count` rows."""
    autocast = torch.autocast(rows.device.type, compute, enabled=compute is not None)
    with autocast, in_float32(model, compute):
        hidden = final_hidden(model, rows[:, :-1])
    unembedding = model.get_output_embeddings().weight
    total = weighted_token_loss(
        hidden.to(unembedding.dtype), unembedding, rows[:, 1:], weights, compute
    )
    return total / (rows.shape[1] - 1) / count


def divisor_of(weights: Weights, divisor: str) -> Float[Tensor, ""] | int:
    """By how many rows a batch's loss is divided, see `Recipe`."""
    if divisor != "kept":
        return len(weights)
    return weights.sum().clamp(min=1e-9) / weights[0].numel()


def train(
    model: Model,
    optimizer: torch.optim.AdamW,
    recipe: Recipe,
    batch: Batches,
    steps: range,
    after: Hook,
    scaler: torch.amp.GradScaler | None = None,
    ranks: Ranks | None = None,
) -> None:
    """Train over `steps`, calling `after(step + 1, loss)` when a step is done.

    It ends where that returns True.

    Args:
        model: state at `steps.start`, changed in place; its weights are float32.
        optimizer: its state at `steps.start`, changed in place.
        scaler: the loss scale at `steps.start`, changed in place; a new one if None.
        ranks: the processes that share each batch; this one alone if None.

    In half precision an update whose gradient overflows is left out; its step counts.
    """
    model.train()
    scaler = scaler or make_scaler(recipe, model.device)
    ranks = ranks or Ranks()
    for step in steps:
        rows, weights = batch(step)
        optimizer.zero_grad(set_to_none=True)
        share = ranks.share(len(rows))
        loss = add_gradient(model, recipe, rows, weights, scaler, share)
        loss = ranks.add_up(model, loss)
        update(model, optimizer, recipe, step, scaler)
        if after(step + 1, float(loss)):
            break


def update(
    model: Model,
    optimizer: torch.optim.AdamW,
    recipe: Recipe,
    step: int,
    scaler: torch.amp.GradScaler,
) -> Float[Tensor, ""]:
    """Clip the parameters' gradient and make the update that leads from `step` on.

    Returns:
        Norm of the gradient before it was clipped.
    """
    for group in optimizer.param_groups:
        group["lr"] = recipe.rate(step)
    scaler.unscale_(optimizer)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
    scaler.step(optimizer)
    scaler.update()
    return norm


def add_gradient(
    model: Model,
    recipe: Recipe,
    rows: TokenRows,
    weights: Weights,
    scaler: torch.amp.GradScaler,
    share: slice = slice(None),
) -> Float[Tensor, ""]:
    """Add a batch's gradient, by micro-batches; returns the batch's loss.

    Args:
        model: its parameters' `grad` is added to.
        scaler: the loss scale that multiplies the gradient.
        share: the rows whose part of gradient and loss is meant. The divisor is that
            of the whole batch.
    """
    device = model.device
    weights = weights.to(device)
    count = divisor_of(weights, recipe.divisor)
    rows, weights = rows[share], weights[share]
    if not len(rows):
        return torch.zeros((), device=device, dtype=model.dtype)
    size = recipe.micro_batch_size or len(rows)
    losses = []
    for part, weight in zip(rows.split(size), weights.split(size), strict=True):
        loss = weighted_loss(model, part.to(device), weight, count, recipe.compute)
        scaler.scale(loss).backward()
        losses.append(loss.detach())
    return torch.stack(losses).sum()
