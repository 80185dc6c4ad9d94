"""Units of a model that rows are scored for: a small file for each sort.

Several joined by `+` are a circuit: each keeps a Hessian of its own, and the probe is
the first one's.
"""

from typing import Any

from headwater.errors import HeadwaterError
from headwater.geometry import Geometry
from headwater.members import load, names
from headwater.units.base import ATTENTION, MLP, Block, Mode, Site, Unit

_SORTS: list[Any] = [
    load(__name__, name) for name in names(__file__, without=("base",))
]
FORMS = "L1H3 (a head), L1G0 (heads that share K and V), L1 (a layer's attention), "
FORMS += "L2N17 (a neuron), L2MLP, or several joined by +"


def parse(label: str, sizes: Geometry, mode: Mode) -> Unit:
    """The unit that a label names, in a model of these sizes.

    Raises:
        HeadwaterError: no label of a unit, or the model has none such.
    """
    members = [_single(part, sizes, mode) for part in label.split("+")]
    if len(members) == 1:
        return members[0]
    blocks = tuple(block for member in members for block in member.blocks)
    places = [(b.layer, b.site, b.writes, place) for b in blocks for place in b.places]
    if len(set(places)) < len(places):
        raise HeadwaterError(
            f"unit {label!r}: its members share parameters, which would count twice; "
            "name a group of heads, or take gradients.mode: qo"
        )
    return Unit(label, blocks, members[0].head)


def problem(label: str, sizes: Geometry) -> str | None:
    """What is wrong with a label, in words."""
    try:
        parse(label, sizes, "qkvo")
    except HeadwaterError as error:
        return str(error)
    return None


def _single(label: str, sizes: Geometry, mode: Mode) -> Unit:
    for sort in _SORTS:
        if found := sort.PATTERN.fullmatch(label):
            if wrong := sort.problem(found, sizes):
                raise HeadwaterError(f"{label}: {wrong}")
            blocks = tuple(sort.blocks(found, sizes, mode))
            return Unit(label, blocks, sort.head_of(found))
    raise HeadwaterError(f"unit {label!r}: write {FORMS}")


__all__ = ["ATTENTION", "MLP", "Block", "Mode", "Site", "Unit", "parse", "problem"]
