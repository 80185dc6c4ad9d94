"""Why SLURM ended a job, from its log, and what to do."""

import re
from collections.abc import Iterable
from pathlib import Path

from headwater.logs import tail

MEMORY = r"oom[_-]kill|Out Of Memory|[Ee]xceeded (job )?memory limit"
NO_LOG = (
    "SLURM wrote no log; where its compute node does not see {folder}, none can be: "
    "move the workflow to a file system that all nodes mount"
)
REFUSAL = r"SLURM sbatch failed\. The error message was '(.*)"
TAIL = 200_000  # bytes of a log that are read

# The first that is found wins: a log that cannot be opened where the folder is missing
# is followed by other complaints, a job out of memory is cancelled, too.
REASONS = (
    (
        r"couldn't chdir to",
        "its compute node does not see the workflow's folder; move the folder to a "
        "file system that all nodes mount, or have the node repaired",
    ),
    (
        MEMORY,
        "out of memory; raise set-resources.{rule}.mem_mb in the profile, or lower the "
        "batch size",
    ),
    (
        r"DUE TO TIME LIMIT",
        "its time limit came; run the same command again to go on from what is done, "
        "or raise set-resources.{rule}.runtime in the profile",
    ),
    (
        r"DUE TO NODE FAILURE|Node failure on",
        "its node failed; run the same command again",
    ),
    (
        r"DUE TO PREEMPTION",
        "a job of higher priority took its place; run the same command again",
    ),
    (r"CANCELLED AT", "cancelled (scancel); run the same command again"),
)


def slurm_failures(jobs: Iterable[tuple[str, Path]], since: float) -> list[str]:
    """One line for each failed job that SLURM ended, or could not begin.

    Args:
        jobs: name of a job, rule first, and the folder of its SLURM logs.
        since: the run's start; older logs are another run's.
    """
    found, here = [], Path.cwd()
    for name, folder in jobs:
        logs = [log for log in folder.glob("*.log") if log.stat().st_mtime >= since]
        if not logs:
            found.append(f"{name}: {NO_LOG.format(folder=here)}")
            continue
        log = max(logs, key=lambda path: path.stat().st_mtime)
        if reason := reason_in("\n".join(tail(log, TAIL)), name.split()[0]):
            shown = log.relative_to(here) if log.is_relative_to(here) else log
            found.append(f"{name}: {reason}  (log: {shown})")
    return found


def reason_in(text: str, rule: str) -> str | None:
    """What the text of a SLURM log says about the job's end."""
    for pattern, words in REASONS:
        if re.search(pattern, text):
            return words.format(rule=rule)
    return None


def refusals(snakemake_logs: Iterable[str]) -> list[str]:
    """What `sbatch` said when it refused jobs, each text once."""
    found: dict[str, None] = {}
    for log in snakemake_logs:
        text = (
            Path(log).read_text(encoding="utf-8", errors="replace")
            if Path(log).is_file()
            else ""
        )
        for words in re.findall(REFUSAL, text):
            found[words.rstrip("'.")] = None
    return [f"sbatch refused a job: {words}" for words in found]
