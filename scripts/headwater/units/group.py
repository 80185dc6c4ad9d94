"""`L1G0`: the heads of a layer that share K and V, together."""

import re
from collections.abc import Iterator

from headwater.geometry import Geometry
from headwater.units.base import ATTENTION, Block, Mode
from headwater.units.head import BLOCKS

PATTERN = re.compile(r"L(0|[1-9]\d*)G(0|[1-9]\d*)")


def head_of(found: re.Match[str]) -> None:
    """A group has several."""


def problem(found: re.Match[str], sizes: Geometry) -> str | None:
    """What such a model does not have, in words."""
    return sizes.problem(layer=int(found[1]), group=int(found[2]))


def blocks(found: re.Match[str], sizes: Geometry, mode: Mode) -> Iterator[Block]:
    """All queries and outputs of its heads; K and V once."""
    layer, group = int(found[1]), int(found[2])
    heads = [h for h in range(sizes.heads) if sizes.group_of(h) == group]
    q = sum((sizes.columns("q", head) for head in heads), ())
    places = {
        "qk": q + sizes.columns("k", group),
        "q": q,
        "v": sizes.columns("v", group),
        "o": sum((sizes.outputs(head) for head in heads), ()),
    }
    for name in BLOCKS[mode]:
        yield Block(
            found[0], name, layer, ATTENTION, name == "o", places[name], sizes.hidden
        )
