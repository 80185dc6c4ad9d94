"""How the curve of every arm is drawn, in figures and in the page: one table.

Colours are as `interventions/kinds` says: they are told apart by colour-blind readers
(ColorBrewer's RdBu, PuOr and BrBG), and kinds differ in line width and dashes too: top
rows thick and solid, controls thinner and dashed.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from headwater.interventions.kinds import KINDS
from headwater.report.tables import Arms

_MARKERS = ("", "o", "s", "^", "D", "v")


@dataclass(frozen=True)
class CurveStyle:
    """How the curve of an arm is drawn."""

    colour: str
    width: float
    dashes: object
    marker: str = ""

    def options(self) -> dict[str, Any]:
        """As keywords of matplotlib's `plot`."""
        return {
            "color": self.colour,
            "linewidth": self.width,
            "linestyle": self.dashes,
            "marker": self.marker,
            "markersize": 4.5,
        }


BASELINE_LINE = CurveStyle("#000000", 2.4, "solid")


def arm_lines(arms: Arms) -> dict[str, CurveStyle]:
    """The line of every arm; arms of one kind differ in their markers."""
    seen: Counter[str] = Counter()
    lines = {}
    for name, arm in arms.items():
        action, kind = arm["action"], KINDS[arm["rows"]]
        colour = kind.colours[action]
        marker = _MARKERS[seen[colour] % len(_MARKERS)]
        lines[name] = CurveStyle(colour, kind.width, kind.dashes, marker)
        seen[colour] += 1
    return lines
