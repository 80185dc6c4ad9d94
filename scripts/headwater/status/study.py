"""How far the members of a study are, a line each."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from headwater.config.study import members
from headwater.identity import Config
from headwater.plan.dag import count_jobs
from headwater.plan.estimate import Folders, experiment_of
from headwater.plan.table import aligned
from headwater.status.jobs import FAILED, QUIET, RUNNING, done_jobs, unfinished


def member_lines(config: Config, now: float) -> Iterator[str]:
    """Every member with its jobs; nothing without a study.

    Args:
        now: seconds since the epoch.
    """
    rows = []
    for name, member in members(dict(config)).items():
        experiment = experiment_of(member, Path())
        folders = Folders.of(member["experiment"])
        jobs = sum(sum(rules.values()) for rules in count_jobs(experiment).values())
        done = sum(done_jobs(experiment, folders.results).values())
        states = Counter(job.state for job in unfinished(folders, now))
        said = [f"{states[s]} {s}" for s in (RUNNING, QUIET, FAILED) if states[s]]
        row = name, str(folders.results), f"{done}/{jobs} jobs", ", ".join(said)
        rows.append(row)
    if rows:
        yield from ["", *aligned([("member", "results", "done", ""), *rows])]
