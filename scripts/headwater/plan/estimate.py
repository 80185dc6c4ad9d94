"""Every rule of an experiment with its jobs, hours, bytes and files."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headwater.plan.dag import GRADIENT_RULES, Rule, rules
from headwater.plan.experiment import NO_SOURCES, Experiment, sources_of
from headwater.plan.limits import Limit
from headwater.plan.ranges import NOTHING, Range, longest, total
from headwater.plan.rates import seconds_each, seconds_taken
from headwater.plan.shape import Config
from headwater.plan.table import PlanRow

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


def found_window(folders: Folders) -> tuple[int, int] | None:
    """The window that an earlier run found; None without one."""
    try:
        window = json.loads(
            (folders.results / "heads/window.json").read_text(encoding="utf-8")
        )
        return int(window["window"]["start"]), int(window["window"]["end"])
    except (OSError, ValueError, KeyError):
        return None


def experiment_of(config: Config, base: Path) -> Experiment:
    """A config that has been checked, with its sources below `base` and its window."""
    found = found_window(Folders.of(config["experiment"]))
    return Experiment(config, sources_of(config, base), found)


def gradient_seconds(config: Config, folders: Folders) -> Range:
    """Seconds of one gradient job on a GPU; quick, and without the sources."""
    rule = rules()[GRADIENT_RULES[config["influence"]["method"]]]
    (load,) = rule.loads(Experiment(config, NO_SOURCES, found_window(folders)))
    each = seconds_each(folders.rule_logs(rule.stage, rule.name), gpu=True)
    return load.seconds(load.speed(gpu=True, threads=1), each)


def plan_rows(
    e: Experiment, limits: Mapping[str, Limit], gpu: bool, folders: Folders
) -> list[PlanRow]:
    """A row for every rule with jobs, in the order of the stages."""
    return [
        _plan_row(rule, e, limits.get(rule.name, Limit()), gpu, folders)
        for rule in rules().values()
        if rule.jobs(e)
    ]


def _plan_row(
    rule: Rule, e: Experiment, limit: Limit, gpu: bool, folders: Folders
) -> PlanRow:
    loads, output, jobs = rule.loads(e), rule.leaves(e), rule.jobs(e)
    on_gpu, each, job = gpu and limit.gpu, None, None
    if any(load.unit != "jobs" for load in loads):
        each = seconds_each(folders.rule_logs(rule.stage, rule.name), on_gpu)
    else:
        job = seconds_taken(folders.rule_benchmarks(rule.stage, rule.name))
    taken = [
        job or load.seconds(load.speed(on_gpu, limit.threads), each) for load in loads
    ]
    sums = [amount * load.jobs for amount, load in zip(taken, loads, strict=True)]
    hours = total(sums) * (1 / 3600)
    return PlanRow(
        stage=rule.stage,
        rule=rule.name,
        jobs=jobs,
        cpu_hours=hours * limit.threads,  # held, used or not
        gpu_hours=hours if on_gpu else NOTHING,
        written=(output.kept + output.rewritten) * jobs,
        kept=output.kept * jobs,
        files=output.files * jobs,
        longest=longest(taken),
        basis=MEASURED if each or job else ASSUMED,
    )
