"""Which jobs are done, by their outputs; which run and which failed, by their logs.

A job that ended well has a benchmark table, written after its log. One that failed has
said so in its log. One whose log grows is running; one that fell silent is lost, or
waits in a long step.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headwater.logs import errors_in, tail
from headwater.plan.dag import Rule, rules
from headwater.plan.estimate import Folders
from headwater.plan.experiment import Experiment
from headwater.progress import ProgressLine, last_lines
from headwater.publish import is_sibling

SILENT = 300.0  # seconds; progress lines come every ten
FORGOTTEN = 24 * 3600.0
TRAINING = ".training"  # log of the job that a training's driver watches
RUNNING, QUIET, FAILED = "running", "silent", "failed"


@dataclass(frozen=True)
class UnfinishedJob:
    """A job that has not ended well.

    Attributes:
        name: of its log, the rule and the wildcards.
        state: `running`, `silent` or `failed`.
        age: seconds since its log grew.
        text: its last line, or why it failed.
        log: where to read on.
        line: its last progress line, if there is one.
    """

    stage: str
    name: str
    state: str
    age: float
    text: str
    log: Path
    line: ProgressLine | None

    @property
    def rule(self) -> str:
        """The job's rule; its wildcards follow a dash."""
        return self.name.split("-")[0]


def done_jobs(e: Experiment, results: Path) -> dict[str, int]:
    """How many jobs of every rule have left their outputs.

    Results of targets, arms or shards that the config no longer has count, too, but
    never more than there are jobs.
    """
    return {
        name: min(jobs, _published(rule, results) // rule.outputs_each(e))
        for name, rule in rules().items()
        if (jobs := rule.jobs(e))
    }


def _published(rule: Rule, results: Path) -> int:
    return sum(
        rule.pattern.fullmatch(path.relative_to(results).as_posix()) is not None
        and not is_sibling(path)
        for path in results.glob(rule.glob)
    )


def unfinished(folders: Folders, now: float) -> list[UnfinishedJob]:
    """Jobs that run or failed at a time since the epoch, the latest first."""
    return sorted(_unfinished(folders, now), key=lambda job: job.age)


def _unfinished(folders: Folders, now: float) -> Iterator[UnfinishedJob]:
    for log in folders.logs.glob("*/*.log"):
        stage, name = log.parent.name, log.stem
        if name.endswith(TRAINING):
            continue
        benchmark = folders.results / "benchmarks" / stage / f"{name}.tsv"
        changed = max(_changed(log), _changed(_training(log)))
        if not changed or _changed(benchmark) >= changed - 1.0:
            continue
        job = _job(log, max(0.0, now - changed))
        # Fetching leaves no benchmark: what ended well is only silent.
        forgotten = name.startswith("fetch_") or job.age > FORGOTTEN
        if job.state != QUIET or not forgotten:
            yield job


def look_at(log: Path, began: float) -> UnfinishedJob | None:
    """A job that runs, by its log; None if nothing is in it since the job began."""
    now, changed = time.time(), max(_changed(log), _changed(_training(log)))
    return _job(log, now - changed) if changed >= began else None


def _training(log: Path) -> Path:
    return log.with_name(f"{log.stem}{TRAINING}.log")


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _job(log: Path, age: float) -> UnfinishedJob:
    lines = [line.rstrip() for line in tail(log) if line.strip()]
    errors = errors_in(lines)
    state = FAILED if errors else RUNNING if age <= SILENT else QUIET
    # A driver tells the state of its job: lines of an earlier life are older.
    latest = max(log, _training(log), key=_changed)
    known = list(last_lines(latest).values())
    progress = known[-1] if known else None
    last = progress.text if progress else (lines[-1] if lines else "started")
    stage = log.parent.name
    text = errors[-1] if errors else last
    return UnfinishedJob(stage, log.stem, state, age, text, log, progress)
