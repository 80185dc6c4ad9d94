"""The training recipe: learning rate, optimizer, precision.

The recipe of Pythia is that of GPT-NeoX v1.0 (github.com/EleutherAI/gpt-neox, tag v1.0;
settings in github.com/EleutherAI/pythia, models/<size>/*.yml): AdamW without decay on
biases and norms, gradients clipped to norm 1, and the learning rate of
`megatron/learning_rates.py`, class AnnealingLR, written out in `cosine_rate`.
"""

import math
from dataclasses import dataclass

import torch

from headwater.models.sites import Model

COMPUTE = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Recipe:
    """How to train; the fields are those of the config's `training` section.

    Attributes:
        learning_rate: peak, reached after `warmup_steps` of linear warm-up.
        divisor: `fixed` divides a batch's loss by all its tokens, so that a removed row
            leaves the others' part of the loss as it is; `kept` by the weight that
            remains. Clipping, where it is active, rescales the others in both.
        schedule: after the warm-up, `constant` keeps the peak; `cosine` is GPT-NeoX's.
        min_learning_rate: floor of the cosine.
        decay_steps: steps of the cosine, those of the whole training.
        micro_batch_size: rows in memory at once; None takes a batch whole.
        precision: of the model's arithmetic, `fp32`, `bf16` or `fp16`; the weights and
            the optimizer's state are always float32.
    """

    learning_rate: float
    warmup_steps: int
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    max_grad_norm: float
    divisor: str = "fixed"
    schedule: str = "constant"
    min_learning_rate: float = 0.0
    decay_steps: int = 1
    micro_batch_size: int | None = None
    precision: str = "fp32"

    @property
    def compute(self) -> torch.dtype | None:
        """Type of the model's matrix products, or None: that of the weights."""
        return COMPUTE[self.precision]

    def rate(self, step: int) -> float:
        """Learning rate of the update that leads from `step` to `step + 1`."""
        if self.schedule == "cosine":
            floor, length = self.min_learning_rate, self.decay_steps
            return cosine_rate(
                step, self.learning_rate, floor, self.warmup_steps, length
            )
        return self.learning_rate * min(1.0, (step + 1) / max(1, self.warmup_steps))


def cosine_rate(step: int, peak: float, floor: float, warmup: int, steps: int) -> float:
    """GPT-NeoX v1.0's learning rate (AnnealingLR.get_lr, `cosine`).

    Linear from 0, so that the first update has rate 0; then a cosine whose period is
    all `steps`, not those after the warm-up, so that it ends a little above its zero.

    Args:
        step: updates already made.
        floor: least rate after the warm-up.
        warmup: updates of the warm-up.
        steps: updates of the whole training.
    """
    done = min(step, steps - warmup)
    if warmup > 0 and step <= warmup:
        return peak * done / warmup
    return max(peak / 2 * (math.cos(math.pi * (done - warmup) / steps) + 1), floor)


def make_optimizer(model: Model, recipe: Recipe) -> torch.optim.AdamW:
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


def make_scaler(recipe: Recipe, device: torch.device) -> torch.amp.GradScaler:
    """The dynamic loss scale of half precision; without effect in the others.

    It begins at 2^12 and doubles after 1000 good steps, as in Pythia's settings.
    """
    return torch.amp.GradScaler(
        device.type,
        init_scale=2.0**12,
        growth_interval=1000,
        enabled=recipe.precision == "fp16",
    )
