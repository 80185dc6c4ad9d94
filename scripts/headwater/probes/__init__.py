"""Probes: differentiable measures of what a head does.

A probe is one small file with one function, registered by name:

    @probe("induction", tracks="prefix_matching")
    def induction(model, head, tokens): ...

`PROBES` maps names to registered probes once the modules below are imported.
"""

from headwater.probes import induction, previous_token
from headwater.probes.registry import PROBES, Probe

__all__ = ["PROBES", "Probe", "induction", "previous_token"]
