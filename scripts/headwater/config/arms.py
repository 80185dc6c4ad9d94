"""Arms as the config says them, and as all later stages have them.

A list of fractions becomes an arm for each, and an arm of a file gets the file's
digest, on which all that is made of it depends. Where rows are ranked by another score
than the paper's (`influence.method`), arms that name none are ranked by that.
"""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from headwater.interventions.kinds import scored
from headwater.interventions.rowfile import file_digest
from headwater.interventions.scores import THROUGH
from headwater.interventions.tokens import masks

FILES = ("file", "motifs")  # keys that name a file of the user's
NAME_LENGTH = 64  # as the schema has it


def arm_fractions(arm: Mapping[str, Any]) -> list[float]:
    """The fractions of an arm, one or several."""
    fraction = arm["fraction"]
    return list(fraction) if isinstance(fraction, list) else [fraction]


def arm_name(name: str, fraction: float) -> str:
    """The name of one arm of several: `remove_top` at 0.025 is `remove_top_2_5pct`."""
    percent = f"{Decimal(repr(fraction)).scaleb(2):f}"
    if "." in percent:
        percent = percent.rstrip("0").rstrip(".")
    return f"{name}_{percent.replace('.', '_')}pct"


def completed_arms(arms: Mapping[str, Any], base: Path, method: str) -> dict[str, Any]:
    """One arm for each fraction, in the order of the config; files with `sha256`.

    Args:
        arms: the section, checked.
        method: `influence.method`.

    Raises:
        OSError: a file cannot be read.
    """
    complete = {}
    for name, arm in arms.items():
        for file in (arm[key] for key in FILES if key in arm):
            arm = {**arm, "sha256": file_digest(base / file)}
        if method in THROUGH and scored(arm) and not masks(arm):
            arm = {"score": method, **arm}
        several = isinstance(arm["fraction"], list)
        for share in arm_fractions(arm):
            own = arm_name(name, share) if several else name
            complete[own] = {**arm, "fraction": share}
    return complete
