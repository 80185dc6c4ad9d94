"""`L2MLP`: the MLP of a layer as a whole, with one Hessian for all of its neurons."""

from collections.abc import Iterator

from headwater.geometry import Geometry
from headwater.units.base import MLP, Block, Mode, Place, Sort


def _blocks(place: Place, sizes: Geometry, mode: Mode) -> Iterator[Block]:
    inner = tuple(range(sizes.wide * (2 if sizes.gated else 1)))
    where = place.layer, MLP
    for name, places in (("in", inner), ("out", tuple(range(sizes.wide)))):
        yield Block(place.label, name, *where, name == "out", places, sizes.hidden)


SORT = Sort(
    word="MLP",
    form="L{}MLP",
    count=lambda sizes: 1,
    heads=lambda place, sizes: [],
    blocks=_blocks,
)
