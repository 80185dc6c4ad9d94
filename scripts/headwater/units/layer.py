"""`L2`: the attention of a layer, group after group, so that K and V count once."""

from collections.abc import Iterator

from headwater.geometry import Geometry
from headwater.units import group
from headwater.units.base import Block, Mode, Place, Sort


def _blocks(place: Place, sizes: Geometry, mode: Mode) -> Iterator[Block]:
    for number in range(sizes.groups):
        label = group.SORT.form.format(place.layer, number)
        yield from group.SORT.blocks(Place(label, place.layer, number), sizes, mode)


SORT = Sort(
    word="attention layer",
    form="L{}",
    count=lambda sizes: 1,
    heads=lambda _, sizes: list(range(sizes.heads)),
    blocks=_blocks,
)
