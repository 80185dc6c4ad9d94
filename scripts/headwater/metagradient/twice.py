"""Parts of a model written out, so that they can be differentiated twice.

Fused attention kernels have no second derivative, and where a backward pass follows a
forward one with tangents, torch 2.13's `layer_norm` is wrong without a word. As in
training, both are at least in float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from headwater.metagradient.attention import attention
from headwater.models.sites import Model

NAME = "headwater_twice"

Heads = Float[Tensor, "rows heads length d_head"]


class _WrittenOut(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is functional.layer_norm:
            func = layer_norm
        return func(*args, **(kwargs or {}))


@contextmanager
def differentiable_twice(model: Model) -> Iterator[None]:
    """Within, the model's attention and norms are those of this file.

    Their inputs have tangents.
    """
    from transformers import AttentionInterface

    before = model.config._attn_implementation
    AttentionInterface.register(NAME, attend)
    model.set_attn_implementation(NAME)
    try:
        with _WrittenOut():
            yield
    finally:
        model.set_attn_implementation(before)


def attend(
    module: nn.Module,
    query: Heads,
    key: Float[Tensor, "rows groups length d_head"],
    value: Float[Tensor, "rows groups length d_head"],
    mask: None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """As `transformers` calls it; rows are whole, so only what is ahead is masked."""
    assert mask is None
    with torch.autocast(query.device.type, enabled=False):
        query, key, value = (_wide(x) for x in (query, key, value))
        groups = query.shape[1] // key.shape[1]
        if groups > 1:
            key, value = (x.repeat_interleave(groups, 1) for x in (key, value))
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        out = attention(query * scale, key, value)
    return out.transpose(1, 2), None


def layer_norm(
    x: Tensor,
    normalized_shape: list[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """As `torch.nn.functional.layer_norm`."""
    axes = tuple(range(-len(normalized_shape), 0))
    x = _wide(x)
    x = x - x.mean(axes, keepdim=True)
    x = x * (x.square().mean(axes, keepdim=True) + eps).rsqrt()
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
