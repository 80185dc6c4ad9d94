"""The cluster that the tests run on: a lab of their own, or one that is there."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab.cluster import Lab
from lab.layout import ACCOUNT

KINDS = ("", "existing")


@dataclass(frozen=True)
class Site:
    """Names that differ between clusters, as a user writes them into the profile.

    Attributes:
        account: charged with the jobs.
        cpu: partition of ordinary jobs.
        gpu: partition with GPUs.
        preempt: partition whose jobs give way to those of `cpu`; empty if none.
        scratch: folder that all nodes see; temporary folders are made in it.
    """

    account: str
    cpu: str
    gpu: str
    preempt: str
    scratch: Path


LAB = Site(ACCOUNT, "cpu", "gpu", "preempt", Path(tempfile.gettempdir()))


def existing() -> Site:
    """The site that `HEADWATER_CLUSTER_...` describe; else the lab's names."""

    def word(name: str, default: str) -> str:
        return os.environ.get(f"HEADWATER_CLUSTER_{name}", default)

    return Site(
        account=word("ACCOUNT", LAB.account),
        cpu=word("PARTITION", LAB.cpu),
        gpu=word("GPU_PARTITION", LAB.gpu),
        preempt="",
        scratch=Path(word("SCRATCH", str(Path.home()))),
    )


def open_lab() -> tuple[Site, Lab | None, bool]:
    """The site, its lab if it is one, and whether the lab is ours to take down.

    Raises:
        LabError: there can be no lab here; says why and what to do.
        ValueError: `HEADWATER_CLUSTER` has another value than those known.
    """
    kind = os.environ.get("HEADWATER_CLUSTER", "")
    if kind not in KINDS:
        raise ValueError(f"HEADWATER_CLUSTER={kind}: it can be `existing`, or not set")
    if kind == "existing":
        found = Lab.found()  # one that `lab up` started: faults can be injected
        return (LAB, found, False) if found else (existing(), None, False)
    return LAB, Lab.up(), True
