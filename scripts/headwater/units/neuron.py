"""`L2N17`: a neuron of an MLP, its rows in (and of the gate) and its column out."""

from collections.abc import Iterator

from headwater.geometry import Geometry
from headwater.units.base import MLP, NEURON, Block, Mode, Place, Sort


def _blocks(place: Place, sizes: Geometry, mode: Mode) -> Iterator[Block]:
    where, number = (place.layer, MLP), place.number
    for name, places in (("in", sizes.neuron(number)), ("out", (number,))):
        yield Block(place.label, name, *where, name == "out", places, sizes.hidden)


SORT = Sort(
    word=NEURON,
    form="L{}N{}",
    count=lambda sizes: sizes.wide,
    heads=lambda place, sizes: [],
    blocks=_blocks,
)
