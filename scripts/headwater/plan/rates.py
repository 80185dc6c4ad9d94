"""What earlier jobs of an experiment measured: seconds of a unit, from their logs.

A job's last progress line says how many units it did and how fast. That holds for any
number of rows or steps, so it serves a changed config, too; it does not hold for a
changed model or batch size, of which the log knows nothing. A line that names GPU
memory was written on a GPU, and is used for plans of a GPU only.
"""

from collections.abc import Iterable
from pathlib import Path

from headwater.logs import tail
from headwater.plan.ranges import Range
from headwater.progress import GPU_NOTE, last_lines

MARGIN = Range(0.9, 1.2)  # between jobs, and other work on the machine


def seconds_each(logs: Iterable[Path], gpu: bool) -> Range | None:
    """Seconds of one unit of a rule's work, over its jobs; None if nothing is known.

    A job with several labels (covariances, then lambdas) does its units once for each.
    """
    found = []
    for log in logs:
        lines = [line for line in last_lines(log).values() if line.rate > 0]
        right = [line for line in lines if (GPU_NOTE in line.text) == gpu]
        if right and len(right) == len(lines):
            found.append(sum(1 / line.rate for line in right))
    return _with_margin(found)


def seconds_taken(tables: Iterable[Path]) -> Range | None:
    """Wall seconds of a rule's jobs, from Snakemake's benchmark tables."""
    found = []
    for table in tables:
        lines = tail(table)
        if len(lines) >= 2 and lines[0].startswith("s\t"):
            found.append(float(lines[-1].split("\t")[0]))
    return _with_margin(found)


def _with_margin(found: list[float]) -> Range | None:
    return Range(min(found), max(found)) * MARGIN if found else None
