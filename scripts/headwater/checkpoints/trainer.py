"""The row-weighted trainer: one for the baseline and for every arm.

All runs share data order, schedule and arithmetic; an arm differs only in which row
stands at a position and in the row's weight.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXForCausalLM


@dataclass(frozen=True)
class Recipe:
    """How to train; the fields are those of the config's `training` section.

    Attributes:
        learning_rate: peak, reached after `warmup_steps` of linear warm-up, then kept.
        divisor: `fixed` divides a batch's loss by all its tokens, so that a removed row
            never rescales the others; `kept` divides by the weight that remains.
    """

    learning_rate: float
    warmup_steps: int
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    max_grad_norm: float
    divisor: str = "fixed"

    def rate(self, step: int) -> float:
        """Learning rate of the update that leads from `step` to `step + 1`."""
        return self.learning_rate * min(1.0, (step + 1) / max(1, self.warmup_steps))


def make_optimizer(model: GPTNeoXForCausalLM, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW without weight decay on biases and LayerNorms."""
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    return torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": recipe.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        betas=recipe.betas,
        eps=recipe.eps,
        fused=True,
    )


def weighted_loss(
    model: GPTNeoXForCausalLM, rows: Tensor, weights: Tensor, divisor: str
) -> Tensor:
    """Weighted mean next-token loss of a batch, in nats a token.

    Args:
        model: the model.
        rows: token ids [batch, length + 1].
        weights: one weight a row [batch]: 0 removed, 1 as trained, 2 seen twice.
        divisor: see `Recipe`.
    """
    logits = model(input_ids=rows[:, :-1], use_cache=False).logits
    losses = cross_entropy(
        logits.flatten(0, 1), rows[:, 1:].flatten(), reduction="none"
    ).view(len(rows), -1)
    total = (losses.mean(dim=1) * weights).sum()
    count = weights.sum().clamp(min=1e-9) if divisor == "kept" else len(rows)
    return total / count


Batch = Callable[[int], tuple[Tensor, Tensor]]
Hook = Callable[[int, float], None]


def train(
    model: GPTNeoXForCausalLM,
    optimizer: torch.optim.AdamW,
    recipe: Recipe,
    batch: Batch,
    steps: range,
    after: Hook,
) -> None:
    """Train over `steps`, calling `after(step + 1, loss)` when a step is done.

    Args:
        model: state at `steps.start`, changed in place.
        optimizer: its state at `steps.start`, changed in place.
        recipe: the recipe.
        batch: step to (rows [batch, length + 1], weights [batch]).
        steps: the updates to make.
        after: called with the number of finished updates and the batch's loss.
    """
    model.train()
    device = model.device
    for step in steps:
        rows, weights = batch(step)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        loss = weighted_loss(model, rows.to(device), weights.to(device), recipe.divisor)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
        optimizer.step()
        after(step + 1, float(loss.detach()))
