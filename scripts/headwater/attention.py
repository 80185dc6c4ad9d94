"""Attention of a training whose matrix products are in bf16, on the CPU.

Autocast would have attention's scores and their gradients rounded to eight bits. The
gradient of a score is a small difference of large numbers, so that queries and keys
would learn from rounding; and torch's fused kernel is no faster in bf16 than in float32
there (benchmarks/trainer.md). So queries, keys and values are taken to float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from headwater.models.sites import Model

NAME = "headwater_float32"

Heads = Float[Tensor, "rows heads length d_head"]


@contextmanager
def in_float32(model: Model, compute: torch.dtype | None) -> Iterator[None]:
    """Within, a model on the CPU that computes in `compute` attends in float32.

    Elsewhere nothing is changed: a GPU's kernels keep sums in float32 themselves.
    """
    if compute is None or model.device.type != "cpu":
        yield
        return
    from transformers import AttentionInterface

    before = model.config._attn_implementation
    AttentionInterface.register(NAME, _attend)
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _attend(
    module: nn.Module,
    query: Heads,
    key: Heads,
    value: Heads,
    mask: None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """As `transformers` calls it; rows are whole, so only what is ahead is masked."""
    assert mask is None
    with torch.autocast("cpu", enabled=False):
        out = scaled_dot_product_attention(
            query.float(),
            key.float(),
            value.float(),
            is_causal=True,
            scale=scaling,
            enable_gqa=key.shape[1] != query.shape[1],
        )
    return out.transpose(1, 2), None
