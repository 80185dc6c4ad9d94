"""What SLURM says of this folder's jobs: one call of squeue, bounded."""

import getpass
import os
import shutil
from collections import Counter
from pathlib import Path

from headwater.slurm import SlurmError, lines

PREFIX = "headwater"  # of our jobs' names
PATIENCE = 10.0  # seconds
FORMAT = "%T|%r|%j|%Z"  # state, reason, name, working folder


def queue_lines(folder: Path) -> list[str]:
    """A line for every state of our jobs; [] without SLURM or jobs.

    Args:
        folder: the working folder; jobs of other folders are not ours.
    """
    if shutil.which("squeue") is None:
        return []
    user = getpass.getuser()
    try:
        answer = lines("squeue", "-h", "-u", user, "-o", FORMAT, patience=PATIENCE)
    except SlurmError as error:
        return [f"SLURM: squeue failed ({error.reason})"]
    return summary(answer, folder)


def summary(answer: list[str], folder: Path) -> list[str]:
    """Jobs by state and, where they wait, by reason; `answer` in lines of `FORMAT`."""
    counts: Counter[str] = Counter()
    here = os.path.realpath(folder)
    for text in answer:
        state, reason, name, where = (text.split("|", 3) + [""] * 3)[:4]
        if name.startswith(PREFIX) and os.path.realpath(where) == here:
            waits = state == "PENDING" and reason not in ("None", "")
            counts[f"{state} ({reason})" if waits else state] += 1
    return [f"SLURM: {count} {state}" for state, count in sorted(counts.items())]
