"""Probes: differentiable measures of what a head does.

A probe is one small file with one function, which has the file's name:

    @probe(tracks="prefix_matching")
    def induction(model, head, data): ...

its words in `report/words`, and a test.
"""

from headwater.members import load, names
from headwater.probes.registry import (
    PROBES,
    Probe,
    ProbeData,
    Repeats,
    Wanted,
    find_probe,
)

for _name in names(__file__, without=("registry",)):
    load(__name__, _name)

__all__ = ["PROBES", "Probe", "ProbeData", "Repeats", "Wanted", "find_probe"]
