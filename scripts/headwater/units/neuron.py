"""`L2N17`: a neuron of an MLP, its rows in (and of the gate) and its column out."""

import re
from collections.abc import Iterator

from headwater.geometry import Geometry
from headwater.units.base import MLP, Block, Mode

PATTERN = re.compile(r"L(0|[1-9]\d*)N(0|[1-9]\d*)")


def head_of(found: re.Match[str]) -> None:
    """A neuron attends to nothing."""


def problem(found: re.Match[str], sizes: Geometry) -> str | None:
    """What such a model does not have, in words."""
    return sizes.problem(layer=int(found[1]), neuron=int(found[2]))


def blocks(found: re.Match[str], sizes: Geometry, mode: Mode) -> Iterator[Block]:
    """Two, whatever the mode."""
    layer, number = int(found[1]), int(found[2])
    for name, places in (("in", sizes.neuron(number)), ("out", (number,))):
        yield Block(found[0], name, layer, MLP, name == "out", places, sizes.hidden)
