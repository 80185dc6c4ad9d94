"""Every rule of an experiment with its jobs, hours, bytes and files."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headwater.plan.jobs import Counts, Sources, count_jobs
from headwater.plan.limits import Limit
from headwater.plan.ranges import NOTHING, Range, total
from headwater.plan.rates import seconds_each, seconds_taken
from headwater.plan.shape import Config
from headwater.plan.work import Load, loads, longest, speed_of

MEASURED, ASSUMED = "measured", "assumed"


@dataclass(frozen=True)
class Folders:
    """Where an experiment's results and logs are."""

    results: Path
    logs: Path

    @staticmethod
    def of(experiment: str) -> "Folders":
        """Those of an experiment, in the working directory."""
        return Folders(Path("results") / experiment, Path("logs") / experiment)

    def rule_logs(self, stage: str, rule: str) -> list[Path]:
        """Logs of a rule's jobs, sorted."""
        return _of_rule(self.logs / stage, rule, ".log")

    def rule_benchmarks(self, stage: str, rule: str) -> list[Path]:
        """Benchmark tables of a rule's jobs, sorted."""
        return _of_rule(self.results / "benchmarks" / stage, rule, ".tsv")


def _of_rule(folder: Path, rule: str, suffix: str) -> list[Path]:
    # `train_baseline.training.log` is of the job that the rule's script watches.
    patterns = (f"{rule}{suffix}", f"{rule}.*{suffix}", f"{rule}-*{suffix}")
    return sorted(path for pattern in patterns for path in folder.glob(pattern))


@dataclass(frozen=True)
class Time:
    """Of all jobs of one rule.

    Attributes:
        seconds: wall time, summed over the jobs.
        longest: of one job.
        basis: `measured` or `assumed`.
    """

    seconds: Range
    longest: Range
    basis: str


def found_window(folders: Folders) -> tuple[int, int] | None:
    """The window that an earlier run found; None without one."""
    try:
        window = json.loads((folders.results / "heads/window.json").read_text())
        return int(window["window"]["start"]), int(window["window"]["end"])
    except (OSError, ValueError, KeyError):
        return None


def rule_time(
    config: Config,
    rule: str,
    work: list[Load],
    limit: Limit,
    gpu: bool,
    known: tuple[Range | None, Range | None],
) -> Time:
    """The time of a rule's jobs.

    Args:
        config: the whole config.
        rule: its name.
        work: its jobs.
        limit: for its threads.
        gpu: whether there are GPUs.
        known: measured seconds of a unit, and of a whole job.
    """
    speed = speed_of(config, rule, gpu, limit.threads)
    each, job = known
    counted = any(load.unit != "jobs" for load in work)
    if not counted and job is not None:
        spans = [job for _ in work]
    else:
        spans = [load.seconds(speed, each if counted else None) for load in work]
    measured = each is not None if counted else job is not None
    sums = [span * load.jobs for span, load in zip(spans, work, strict=True)]
    return Time(total(sums), longest(spans), MEASURED if measured else ASSUMED)


def gradient_seconds(config: Config, folders: Folders, threads: int = 1) -> Range:
    """Seconds of one gradient job on a GPU; quick, and without the sources."""
    sources = Sources(0, 0, False, False, 0)
    counts = count_jobs(config, sources)
    exact = config["influence"]["method"] == "exact"
    stage, rule = (
        ("influence", "stream_scores") if exact else ("gradients", "row_gradients")
    )
    work = loads(config, sources, counts, found_window(folders))[rule]
    each = seconds_each(folders.rule_logs(stage, rule), gpu=True)
    limit = Limit(threads=threads)
    return rule_time(config, rule, work, limit, True, (each, None)).longest


def times(
    config: Config,
    sources: Sources,
    counts: Counts,
    limits: Mapping[str, Limit],
    gpu: bool,
    folders: Folders,
) -> dict[str, Time]:
    """The time of every rule."""
    work = loads(config, sources, counts, found_window(folders))
    found = {}
    for stage, rules in counts.items():
        for rule in rules:
            limit = limits.get(rule, Limit())
            on_gpu = gpu and limit.gpu
            known = (
                seconds_each(folders.rule_logs(stage, rule), on_gpu),
                seconds_taken(folders.rule_benchmarks(stage, rule)),
            )
            found[rule] = rule_time(config, rule, work[rule], limit, on_gpu, known)
    return found


def hours(time: Time, limit: Limit, gpu: bool) -> tuple[Range, Range]:
    """(CPU-hours, GPU-hours) of all jobs: what they hold, used or not."""
    wall = time.seconds * (1 / 3600)
    return wall * limit.threads, wall if gpu and limit.gpu else NOTHING
