"""Probes: differentiable measures of what a head does.

A probe is one small file with one function, registered by name:

    @probe("induction", tracks="prefix_matching")
    def induction(model, head, data): ...

and a test. Add its module to the import below and its name to
`config/target_checks.py`, which may not import torch.
"""

from headwater.probes import (
    copying,
    dataset,
    induction,
    prefix_matching,
    previous_token,
)
from headwater.probes.registry import PROBES, Probe, ProbeData, find_probe

__all__ = [
    "PROBES",
    "Probe",
    "ProbeData",
    "copying",
    "dataset",
    "find_probe",
    "induction",
    "prefix_matching",
    "previous_token",
]
