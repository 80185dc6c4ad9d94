"""`L1H3`: an attention head, with the K and V that it may share with its group."""

import re
from collections.abc import Iterator

from headwater.geometry import Geometry, Head
from headwater.units.base import ATTENTION, Block, Mode

PATTERN = re.compile(r"L(0|[1-9]\d*)H(0|[1-9]\d*)")
BLOCKS: dict[Mode, tuple[str, ...]] = {
    "qk": ("qk",),
    "qkvo": ("qk", "v", "o"),
    "qo": ("q", "o"),
}


def head_of(found: re.Match[str]) -> Head:
    """The head that a label names."""
    return Head(int(found[1]), int(found[2]))


def problem(found: re.Match[str], sizes: Geometry) -> str | None:
    """What such a model does not have, in words."""
    return sizes.problem(layer=int(found[1]), head=int(found[2]))


def blocks(found: re.Match[str], sizes: Geometry, mode: Mode) -> Iterator[Block]:
    """Its own queries and output; K and V of its group."""
    head = head_of(found)
    group = sizes.group_of(head.index)
    q, k, v = (
        sizes.columns(part, index)
        for part, index in zip("qkv", (head.index, group, group), strict=True)
    )
    places = {"qk": q + k, "q": q, "v": v, "o": sizes.outputs(head.index)}
    for name in BLOCKS[mode]:
        yield Block(
            str(head),
            name,
            head.layer,
            ATTENTION,
            name == "o",
            places[name],
            sizes.hidden,
        )
