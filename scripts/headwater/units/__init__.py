"""Units of a model that rows are scored for: a small file for each sort.

Several joined by `+` are a circuit: each keeps a Hessian of its own, and the probe is
the first one's.
"""

from headwater.errors import HeadwaterError
from headwater.geometry import Geometry
from headwater.members import load, names
from headwater.units.base import (
    ATTENTION,
    HEAD,
    MLP,
    NEURON,
    Block,
    Mode,
    Site,
    Sort,
    Subject,
    Unit,
)

_SORTS: list[Sort] = [
    load(__name__, name).SORT for name in names(__file__, without=("base",))
]
EVERY_HEAD = "L*H*"
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
            f"{label}: its members share parameters, which would count twice; "
            "name a group of heads, or take gradients.mode: qo"
        )
    heads = dict.fromkeys(head for member in members for head in member.heads)
    return Unit(label, blocks, "circuit", members[0].word, tuple(heads))


def matching(pattern: str, sizes: Geometry) -> list[str]:
    """Labels that a pattern stands for: `L2N*` are all neurons of layer 2.

    Without `*` it stands for itself, whether there is such a unit or not.
    """
    if "*" not in pattern:
        return [pattern]
    return [label for sort in _SORTS for label in sort.matching(pattern, sizes)]


def outputs(label: str, sizes: Geometry) -> list[Block]:
    """The blocks by which a unit adds to the residual stream, whatever the mode."""
    return [block for block in parse(label, sizes, "qo").blocks if block.writes]


def problem(pattern: str, sizes: Geometry, mode: Mode) -> str | None:
    """What is wrong with a label, or with a pattern of some, in words."""
    labels = matching(pattern, sizes)
    try:
        for label in labels[-1:]:
            parse(label, sizes, mode)
    except HeadwaterError as error:
        return str(error)
    return None if labels else f"{pattern!r}: write {FORMS}; * is any number"


def _single(label: str, sizes: Geometry, mode: Mode) -> Unit:
    for sort in _SORTS:
        if place := sort.place(label):
            if wrong := sort.problem(place, sizes):
                raise HeadwaterError(f"{label}: {wrong}")
            return sort.unit(place, sizes, mode)
    raise HeadwaterError(f"{label!r} is no unit; write {FORMS}")


__all__ = [
    "ATTENTION",
    "EVERY_HEAD",
    "HEAD",
    "MLP",
    "NEURON",
    "Block",
    "Mode",
    "Site",
    "Subject",
    "Unit",
    "matching",
    "outputs",
    "parse",
    "problem",
]
