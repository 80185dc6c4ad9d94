"""Every rule of an experiment with its jobs, hours, bytes and files."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headwater.plan.dag import GRADIENT_RULES, rules
from headwater.plan.experiment import NO_SOURCES, Experiment, sources_of
from headwater.plan.limits import Limit
from headwater.plan.ranges import NOTHING, Range, total
from headwater.plan.rates import seconds_each, seconds_taken
from headwater.plan.shape import Config
from headwater.plan.work import Load

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


def experiment_of(config: Config, base: Path) -> Experiment:
    """A config that has been checked, with its sources and the window, once known.

    Args:
        config: the whole config.
        base: the folder that relative paths in it start from.
    """
    found = found_window(Folders.of(config["experiment"]))
    return Experiment(config, sources_of(config, base), found)


def rule_time(
    loads: list[Load], limit: Limit, gpu: bool, known: tuple[Range | None, Range | None]
) -> Time:
    """The time of a rule's jobs.

    Args:
        loads: their work.
        limit: for their threads.
        gpu: whether they have GPUs.
        known: measured seconds of a unit, and of a whole job.
    """
    each, job = known
    counted = any(load.unit != "jobs" for load in loads)
    measured = each is not None if counted else job is not None
    if not counted and job is not None:
        spans = [job for _ in loads]
    else:
        spans = [load.seconds(load.speed(gpu, limit.threads), each) for load in loads]
    sums = [span * load.jobs for span, load in zip(spans, loads, strict=True)]
    longest = Range(max(s.low for s in spans), max(s.high for s in spans))
    return Time(total(sums), longest, MEASURED if measured else ASSUMED)


def gradient_seconds(config: Config, folders: Folders) -> Range:
    """Seconds of one gradient job on a GPU; quick, and without the sources."""
    rule = rules()[GRADIENT_RULES[config["influence"]["method"]]]
    each = seconds_each(folders.rule_logs(rule.stage, rule.name), gpu=True)
    loads = rule.loads(Experiment(config, NO_SOURCES, found_window(folders)))
    return rule_time(loads, Limit(), True, (each, None)).longest


def times(
    e: Experiment, limits: Mapping[str, Limit], gpu: bool, folders: Folders
) -> dict[str, Time]:
    """The time of every rule."""
    found = {}
    for rule in rules().values():
        if loads := rule.loads(e):
            limit = limits.get(rule.name, Limit())
            on_gpu = gpu and limit.gpu
            known = (
                seconds_each(folders.rule_logs(rule.stage, rule.name), on_gpu),
                seconds_taken(folders.rule_benchmarks(rule.stage, rule.name)),
            )
            found[rule.name] = rule_time(loads, limit, on_gpu, known)
    return found


def hours(time: Time, limit: Limit, gpu: bool) -> tuple[Range, Range]:
    """(CPU-hours, GPU-hours) of all jobs: what they hold, used or not."""
    wall = time.seconds * (1 / 3600)
    return wall * limit.threads, wall if gpu and limit.gpu else NOTHING
