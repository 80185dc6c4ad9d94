"""`L1H3`: an attention head, with the K and V that it may share with its group."""

from collections.abc import Iterator

from headwater.geometry import Geometry
from headwater.units.base import ATTENTION, HEAD, Block, Mode, Place, Sort

NAMES: dict[Mode, tuple[str, ...]] = {
    "qk": ("qk",),
    "qkvo": ("qk", "v", "o"),
    "qo": ("q", "o"),
}


def attention_blocks(
    place: Place, heads: list[int], group: int, sizes: Geometry, mode: Mode
) -> Iterator[Block]:
    """Queries and outputs of some heads of a group; its K and V once."""
    q = sum((sizes.columns("q", head) for head in heads), ())
    places = {
        "qk": q + sizes.columns("k", group),
        "q": q,
        "v": sizes.columns("v", group),
        "o": sum((sizes.outputs(head) for head in heads), ()),
    }
    where = place.layer, ATTENTION
    for name in NAMES[mode]:
        yield Block(place.label, name, *where, name == "o", places[name], sizes.hidden)


def _blocks(place: Place, sizes: Geometry, mode: Mode) -> Iterator[Block]:
    group = sizes.group_of(place.number)
    return attention_blocks(place, [place.number], group, sizes, mode)


SORT = Sort(
    word=HEAD,
    form="L{}H{}",
    count=lambda sizes: sizes.heads,
    heads=lambda place, _: [place.number],
    blocks=_blocks,
)
