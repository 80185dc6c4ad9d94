"""Blocks of a head's parameters, as products of two sides.

Every block's per-row gradient is `left^T right` summed over the row's tokens:

    block  left                      right                   gradient
    -----  ------------------------  ----------------------  --------------------
    qk     layer input  [hidden]     dQ, dK of the head       [hidden, 2 * d_head]
    q      layer input  [hidden]     dQ of the head           [hidden, d_head]
    v      layer input  [hidden]     dV of the head           [hidden, d_head]
    o      head output z [d_head]    layer output's gradient  [d_head, hidden]

Where heads share K and V (grouped-query attention), K and V are those of the head's
group: the gradient is that of all heads of the group together. `qo` leaves them out.

Sides are named, since several blocks share one: `L0/input` serves Q, K and V of all
heads of layer 0, so its covariance and its rotation are computed once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from headwater.geometry import Geometry, Head
from headwater.gradients.capture import LayerTrace

Mode = Literal["qk", "qkvo", "qo"]
BLOCKS: dict[Mode, tuple[str, ...]] = {
    "qk": ("qk",),
    "qkvo": ("qk", "v", "o"),
    "qo": ("q", "o"),
}

Matrices = dict[str, Float64[Tensor, "_rows _columns"]]  # by block
Bases = Mapping[str, Float[Tensor, "_width _width"]]  # by side, eigenvectors as columns


@dataclass(frozen=True)
class Block:
    """One block of one head: `qk` (Q and K jointly), `q`, `v` or `o`."""

    head: Head
    name: str

    def __str__(self) -> str:
        return f"{self.head}/{self.name}"

    @property
    def left(self) -> str:
        """Name of the side with the inputs."""
        return f"{self.head}/z" if self.name == "o" else f"L{self.head.layer}/input"

    @property
    def right(self) -> str:
        """Name of the side with the output gradients."""
        return f"L{self.head.layer}/output" if self.name == "o" else str(self)

    @property
    def own(self) -> str:
        """Name of the side that is this head's alone."""
        return self.left if self.name == "o" else self.right

    @property
    def shared(self) -> str:
        """Name of the side that all heads of the layer have."""
        return self.right if self.name == "o" else self.left

    def shape(self, sizes: Geometry) -> tuple[int, int]:
        """Rows and columns of the gradient."""
        return {
            "qk": (sizes.hidden, 2 * sizes.d_head),
            "q": (sizes.hidden, sizes.d_head),
            "v": (sizes.hidden, sizes.d_head),
            "o": (sizes.d_head, sizes.hidden),
        }[self.name]


def blocks_of(heads: list[Head], mode: Mode) -> list[Block]:
    """The blocks of `heads` under `mode`, head by head."""
    return [Block(head, name) for head in heads for name in BLOCKS[mode]]


def block_sides(
    traces: Mapping[int, LayerTrace], blocks: list[Block], sizes: Geometry
) -> dict[str, Float[Tensor, "batch length _width"]]:
    """Per-token values of every side that `blocks` need."""
    sides: dict[str, Tensor] = {}
    layers = {block.head.layer for block in blocks}
    qkv = {layer: sizes.split_qkv(traces[layer].qkv_grad) for layer in layers}
    for block in blocks:
        layer = block.head.layer
        for name in (block.left, block.right):
            if name not in sides:
                sides[name] = _side(traces[layer], qkv[layer], block, name, sizes)
    return sides


def _side(
    trace: LayerTrace,
    qkv: tuple[Tensor, Tensor, Tensor],
    block: Block,
    name: str,
    sizes: Geometry,
) -> Float[Tensor, "batch length _width"]:
    index = block.head.index
    if name.endswith("/input"):
        return trace.qkv_input
    if name.endswith("/output"):
        return trace.output_grad
    if name.endswith("/z"):
        return sizes.split_heads(trace.z)[..., index, :]
    group = sizes.group_of(index)
    q, k, v = (
        part[..., of, :] for part, of in zip(qkv, (index, group, group), strict=True)
    )
    if block.name == "qk":
        return torch.cat([q, k], dim=-1)
    return q if block.name == "q" else v


def token_products(
    sides: Mapping[str, Float[Tensor, "batch length _width"]],
    block: Block,
    vector: Float[Tensor, "_rows _columns"],
) -> Float[Tensor, "batch length"]:
    """Each token's part of `<gradient, vector>` of a block, without forming it.

    The sides are those of `block_sides`.
    """
    return ((sides[block.left] @ vector) * sides[block.right]).sum(dim=2)
