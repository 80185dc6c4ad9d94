"""`L2`: the attention of a layer, group after group."""

import re
from collections.abc import Iterator

from headwater.geometry import Geometry
from headwater.units import group
from headwater.units.base import Block, Mode

PATTERN = re.compile(r"L(0|[1-9]\d*)")


def head_of(found: re.Match[str]) -> None:
    """It has several."""


def problem(found: re.Match[str], sizes: Geometry) -> str | None:
    """What such a model does not have, in words."""
    return sizes.problem(layer=int(found[1]))


def blocks(found: re.Match[str], sizes: Geometry, mode: Mode) -> Iterator[Block]:
    """Those of all its groups, so that K and V count once."""
    for index in range(sizes.groups):
        label = group.PATTERN.fullmatch(f"{found[0]}G{index}")
        assert label
        yield from group.blocks(label, sizes, mode)
