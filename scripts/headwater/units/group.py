"""`L1G0`: the heads of a layer that share K and V, together."""

from collections.abc import Iterator

from headwater.geometry import Geometry
from headwater.units.base import Block, Mode, Place, Sort
from headwater.units.head import attention_blocks


def _heads(place: Place, sizes: Geometry) -> list[int]:
    return [h for h in range(sizes.heads) if sizes.group_of(h) == place.number]


def _blocks(place: Place, sizes: Geometry, mode: Mode) -> Iterator[Block]:
    return attention_blocks(place, _heads(place, sizes), place.number, sizes, mode)


SORT = Sort(
    word="group",
    form="L{}G{}",
    count=lambda sizes: sizes.groups,
    heads=_heads,
    blocks=_blocks,
)
