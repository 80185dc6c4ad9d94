"""`L2MLP`: the MLP of a layer as a whole."""

import re
from collections.abc import Iterator

from headwater.geometry import Geometry
from headwater.units.base import MLP, Block, Mode

PATTERN = re.compile(r"L(0|[1-9]\d*)MLP")


def head_of(found: re.Match[str]) -> None:
    """An MLP attends to nothing."""


def problem(found: re.Match[str], sizes: Geometry) -> str | None:
    """What such a model does not have, in words."""
    return sizes.problem(layer=int(found[1]))


def blocks(found: re.Match[str], sizes: Geometry, mode: Mode) -> Iterator[Block]:
    """Two, whatever the mode: one Hessian for all of its neurons."""
    inner = tuple(range(sizes.wide * (2 if sizes.gated else 1)))
    for name, places in (("in", inner), ("out", tuple(range(sizes.wide)))):
        yield Block(
            found[0], name, int(found[1]), MLP, name == "out", places, sizes.hidden
        )
