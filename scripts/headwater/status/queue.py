"""What SLURM says of this folder's jobs: one call of squeue, bounded."""

import getpass
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

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
    command = ["squeue", "-h", "-u", getpass.getuser(), "-o", FORMAT]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (subprocess.TimeoutExpired, OSError):
        return [f"SLURM: squeue did not answer in {PATIENCE:.0f} s"]
    if result.returncode:
        reason = result.stderr.strip().partition("\n")[0]
        return [f"SLURM: squeue failed ({reason})"]
    return summary(result.stdout, folder)


def summary(answer: str, folder: Path) -> list[str]:
    """Jobs by state and, where they wait, by reason.

    Args:
        answer: of squeue, in `FORMAT`.
        folder: see `queue_lines`.
    """
    counts: Counter[str] = Counter()
    for text in answer.splitlines():
        state, reason, name, where = (text.split("|", 3) + [""] * 3)[:4]
        if name.startswith(PREFIX) and _same(where, folder):
            waits = state == "PENDING" and reason not in ("None", "")
            counts[f"{state} ({reason})" if waits else state] += 1
    return [f"SLURM: {count} {state}" for state, count in sorted(counts.items())]


def _same(where: str, folder: Path) -> bool:
    return os.path.realpath(where) == os.path.realpath(folder)
