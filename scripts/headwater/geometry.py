"""Heads, their sizes and where they lie; free of torch, which is slow to import."""

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
    """Sizes of a model's attention, and in which order its heads lie.

    Attributes:
        hidden: width of the model.
        kv_heads: pairs of K and V in a layer; None for one a head. Where there are
            fewer, `heads / kv_heads` neighbours share one.
        head_width: None for `hidden / heads`.
        by_head: whether Q, K and V of a head stand together in the projection's output
            (GPT-NeoX); else all Q come first, then all K, then all V.
        wide: neurons of an MLP.
        gated: whether each has a gate, in a map of its own.
    """

    layers: int
    heads: int
    hidden: int
    kv_heads: int | None = None
    head_width: int | None = None
    by_head: bool = True
    wide: int = 0
    gated: bool = False

    @property
    def d_head(self) -> int:
        """Width of one head."""
        return self.head_width or self.hidden // self.heads

    @property
    def groups(self) -> int:
        """Groups of heads that share K and V, in a layer."""
        return self.kv_heads or self.heads

    def group_of(self, head: int) -> int:
        """The group that a head of a layer belongs to."""
        return head // (self.heads // self.groups)

    def sharing(self, head: Head) -> list[Head]:
        """The other heads that have the same K and V, which count as theirs, too."""
        group = self.group_of(head.index)
        return [
            Head(head.layer, index)
            for index in range(self.heads)
            if self.group_of(index) == group and index != head.index
        ]

    def all_heads(self) -> list[Head]:
        """Every head, layer by layer."""
        return [Head(la, he) for la in range(self.layers) for he in range(self.heads)]

    def split_qkv(self, qkv: "Tensor") -> "tuple[Tensor, Tensor, Tensor]":
        """View [..., outputs] as Q [..., heads, d_head], K, V [..., groups, d_head]."""
        if self.by_head:
            q, k, v = self._fused(qkv).unbind(dim=-2)
            return q, k, v
        counts = self.heads, self.groups, self.groups
        parts = qkv.split([count * self.d_head for count in counts], dim=-1)
        q, k, v = (
            part.unflatten(-1, (count, self.d_head))
            for part, count in zip(parts, counts, strict=True)
        )
        return q, k, v

    def columns(self, part: str, index: int) -> tuple[int, ...]:
        """Where Q of a head, or K or V of a group, is in the projection's output."""
        width, place = self.d_head, "qkv".index(part)
        if self.by_head:
            first = (3 * index + place) * width
        else:
            before = (0, self.heads, self.heads + self.groups)[place]
            first = (before + index) * width
        return tuple(range(first, first + width))

    def outputs(self, head: int) -> tuple[int, ...]:
        """Where a head is among the outputs of all heads of its layer."""
        return tuple(range(head * self.d_head, (head + 1) * self.d_head))

    def neuron(self, number: int) -> tuple[int, ...]:
        """Where a neuron is among the outputs of the maps that read the MLP's input."""
        return (number, self.wide + number) if self.gated else (number,)

    def split_heads(self, values: "Tensor") -> "Tensor":
        """View [..., heads * d_head] as [..., heads, d_head]."""
        return values.unflatten(-1, (self.heads, self.d_head))

    def _fused(self, qkv: "Tensor") -> "Tensor":
        return qkv.unflatten(-1, (self.heads, 3, self.d_head))
