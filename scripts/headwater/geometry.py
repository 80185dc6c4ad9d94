"""Heads and their sizes; free of torch, which is slow to import."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headwater.errors import HeadwaterError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, order=True)
class Head:
    """One attention head, written `L<layer>H<index>`."""

    layer: int
    index: int

    def __str__(self) -> str:
        return f"L{self.layer}H{self.index}"

    @staticmethod
    def parse(label: str) -> "Head":
        """Read `L1H3`.

        Raises:
            HeadwaterError: the label has another form.
        """
        match = re.fullmatch(r"L(\d+)H(\d+)", label)
        if not match:
            raise HeadwaterError(f"head {label!r}: write L<layer>H<head>, e.g. L1H3")
        return Head(int(match[1]), int(match[2]))


@dataclass(frozen=True)
class Geometry:
    """Sizes of a GPT-NeoX model's attention."""

    layers: int
    heads: int
    hidden: int

    @property
    def d_head(self) -> int:
        """Width of one head."""
        return self.hidden // self.heads

    def all_heads(self) -> list[Head]:
        """Every head, layer by layer."""
        return [Head(la, he) for la in range(self.layers) for he in range(self.heads)]

    def split_qkv(self, qkv: "Tensor") -> "Tensor":
        """View [..., 3 * hidden] as [..., heads, 3, d_head] (q, k, v)."""
        return qkv.view(*qkv.shape[:-1], self.heads, 3, self.d_head)

    def split_heads(self, values: "Tensor") -> "Tensor":
        """View [..., hidden] as [..., heads, d_head]."""
        return values.view(*values.shape[:-1], self.heads, self.d_head)
