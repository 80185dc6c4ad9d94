"""The status of an experiment as text."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from headwater.plan.dag import Counts
from headwater.plan.estimate import Folders
from headwater.plan.limits import number
from headwater.plan.rates import seconds_taken
from headwater.plan.table import aligned
from headwater.progress import last_lines
from headwater.status.jobs import FAILED, QUIET, RUNNING, UnfinishedJob

MOST = 20  # jobs that are shown one by one
HEADINGS = ("stage", "jobs done", "running", "failed", "work done", "rate", "left")


@dataclass(frozen=True)
class Stage:
    """One stage: its jobs, and what their logs say.

    Attributes:
        jobs: in all.
        work: units done.
        rate: units a second of the jobs that run.
        left: seconds of the rest with as many jobs at once, None if not known.
    """

    name: str
    done: int
    jobs: int
    running: int
    failed: int
    work: str
    rate: str
    left: float | None


def stages(
    counts: Counts, done: dict[str, int], jobs: list[UnfinishedJob], folders: Folders
) -> list[Stage]:
    """Every stage of an experiment."""
    found = []
    for name, rules in counts.items():
        own = [job for job in jobs if job.stage == name]
        running = [job for job in own if job.state == RUNNING]
        stage = Stage(
            name=name,
            done=sum(done[rule] for rule in rules),
            jobs=sum(rules.values()),
            running=len(running),
            failed=sum(job.state == FAILED for job in own),
            work=_work(name, rules, folders),
            rate=_rate(running),
            left=_left(name, rules, done, running, folders),
        )
        found.append(stage)
    return found


def _work(stage: str, rules: dict[str, int], folders: Folders) -> str:
    """Units done by the rule of the stage that counts most of them."""
    sums: Counter[str] = Counter()
    for log in (log for rule in rules for log in folders.rule_logs(stage, rule)):
        for line in list(last_lines(log).values())[-1:]:
            sums[line.unit] += line.done
    return "".join(f"{done:,} {units}" for units, done in sums.most_common(1))


def _rate(running: list[UnfinishedJob]) -> str:
    rates: defaultdict[str, float] = defaultdict(float)
    for line in (job.line for job in running if job.line):
        rates[line.unit] += line.rate
    return ", ".join(f"{number(rate)} {unit}/s" for unit, rate in rates.items())


def _left(
    stage: str,
    rules: dict[str, int],
    done: dict[str, int],
    running: list[UnfinishedJob],
    folders: Folders,
) -> float | None:
    seconds = 0.0
    for rule, jobs in rules.items():
        rest = jobs - done[rule]
        taken = seconds_taken(folders.rule_benchmarks(stage, rule))
        at_once = max(1, sum(job.rule == rule for job in running))
        lone = rest == at_once == 1 and running
        if rest and taken:
            seconds += rest * taken.middle / at_once
        elif lone and (own := _remaining(running)):
            seconds += own
        elif rest:
            return None
    return seconds


def _remaining(running: list[UnfinishedJob]) -> float | None:
    line = running[0].line
    if line is None or line.total is None or not line.rate:
        return None
    return (line.total - line.done) / line.rate


def render(rows: list[Stage], jobs: list[UnfinishedJob], queue: list[str]) -> str:
    """All of it."""
    table = aligned([HEADINGS, *(_cells(row) for row in rows)])
    return "\n".join([*table, *_listed(jobs), *([""] if queue else []), *queue])


def _cells(row: Stage) -> tuple[str, ...]:
    finished = row.done == row.jobs
    return (
        row.name,
        f"{row.done:,}/{row.jobs:,}",
        str(row.running or ""),
        str(row.failed or ""),
        row.work,
        row.rate,
        "" if finished or row.left is None else f"about {clock(row.left)}",
    )


def clock(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _listed(jobs: list[UnfinishedJob]) -> list[str]:
    lines = []
    for state in (RUNNING, QUIET, FAILED):
        own = [job for job in jobs if job.state == state]
        if own:
            lines += ["", f"{state}:"]
            lines += [_line(job) for job in own[:MOST]]
        if len(own) > MOST:
            lines.append(f"  ... and {len(own) - MOST} more")
    return lines


def _line(job: UnfinishedJob) -> str:
    said = "" if job.state == RUNNING else f", {clock(job.age)} ago"
    where = "" if job.state == RUNNING else f"  (log: {job.log})"
    return f"  {job.stage}/{job.name}{said}: {job.text}{where}"
