"""What will not fit: time limits, memory, disk; and shards not worth scheduling."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from headwater.checkpoints.needs import pass_mb, training_mb
from headwater.plan.dag import (
    GRADIENT_RULES,
    TRAINING,
    WILDCARD,
    Rule,
    count_jobs,
    rules,
    trains,
)
from headwater.plan.experiment import NO_SOURCES, Experiment
from headwater.plan.ranges import Range
from headwater.plan.shape import Config

# Snakemake takes 1.5 ms and more for a job, and 5 us for each input of one.
MOST_JOBS, MOST_INPUTS = 20_000, 20_000_000
SHORTEST, LONGEST = 20, 120  # minutes of a GPU job that is worth scheduling
GB = 1e9


@dataclass(frozen=True)
class Limit:
    """What a rule asks the cluster for, with the profile's changes.

    Attributes:
        runtime: minutes, None where nothing limits it.
        mem_mb: megabytes, None likewise.
    """

    threads: int = 1
    runtime: int | None = None
    mem_mb: int | None = None
    gpu: bool = False


def size_problem(e: Experiment) -> str | None:
    """More jobs, or inputs of jobs, than Snakemake can plan; with the keys to lower."""
    counts = count_jobs(e)
    jobs = sum(sum(of_stage.values()) for of_stage in counts.values())
    if jobs > MOST_JOBS:
        _, rule, stage = max((n, r, s) for s, c in counts.items() for r, n in c.items())
        keys = _keys(rules()[rule])
        return (
            f"{jobs:,} jobs, at most {MOST_JOBS:,} can be planned; most are of {rule} "
            f"({counts[stage][rule]:,}): lower {' or '.join(keys)}"
        )
    if jobs * e.row_shards > MOST_INPUTS:
        return (
            f"corpus.row_shards: {e.row_shards:,} shards as inputs of {jobs:,} jobs; "
            f"at most {MOST_INPUTS // jobs:,} can be planned"
        )
    return None


def _keys(rule: Rule) -> list[str]:
    shards = "corpus.row_shards" if rule.stage == "corpus" else "gradients.shards"
    named = {
        "target": "targets",
        "point": "window.checkpoints",
        "shard": shards,
        "arm": "arms and their draws",
        "source": "the files of corpus",
        "revision": "checkpoints.revisions",
    }
    return [named[name] for name in WILDCARD.findall(rule.path) if name in named]


def time_warning(rule: str, longest: Range, limit: Limit) -> str | None:
    """A job that may need more time than its rule asks for.

    None of a training run: it saves its state and is requeued before its limit.
    """
    minutes = longest * (1 / 60)
    if limit.runtime is None or minutes.high <= limit.runtime or trains(rule):
        return None
    certain = "will" if minutes.low > limit.runtime else "may"
    more = ", or gradients.shards" if rule in GRADIENT_RULES.values() else ""
    return (
        f"{rule}: a job {certain} need {range_text(minutes)} minutes, its limit is "
        f"{limit.runtime}; raise set-resources.{rule}.runtime in the profile{more}"
    )


def memory_warning(rule: str, config: Config, limit: Limit) -> str | None:
    """A rule that a profile gives less memory than its job is expected to need."""
    needed = needed_mb(rule, config)
    if limit.mem_mb is None or needed is None or needed <= limit.mem_mb:
        return None
    return (
        f"{rule}: a job needs about {needed} MB, the profile gives it {limit.mem_mb}; "
        f"raise set-resources.{rule}.mem_mb"
    )


def needed_mb(rule: str, config: Config) -> int | None:
    """Memory that a job of a rule is expected to need; None where it is small."""
    section = rules()[rule].memory
    if section == TRAINING:
        return training_mb(config)
    return pass_mb(config, config[section]["batch_size"]) if section else None


def disk_warning(kept: Range, there: float, free: float) -> str | None:
    """Results that do not fit: bytes kept, of these those there, and those free."""
    missing = Range(max(0, kept.low - there), max(0, kept.high - there))
    if missing.high <= free:
        return None
    certain = "will" if missing.low > free else "may"
    return (
        f"results/: {range_text(missing * (1 / GB))} GB {certain} be written, "
        f"{free / GB:.1f} GB are free; free some, or put results/ on another disk "
        "(a symbolic link)"
    )


def shard_warning(config: Config, job_seconds: Range) -> str | None:
    """Gradient jobs too short or too long for a GPU cluster, and how many would do."""
    minutes = job_seconds * (1 / 60)
    if minutes.high >= SHORTEST and minutes.low <= LONGEST:
        return None
    shards = config["gradients"]["shards"]
    right = right_shards(job_seconds, shards)
    if right == shards:
        return None
    word = "short" if minutes.high < SHORTEST else "long"
    rule = GRADIENT_RULES[config["influence"]["method"]]
    jobs = rules()[rule].jobs(Experiment(config, NO_SOURCES))
    return (
        f"gradients.shards: {jobs} jobs of {rule} of {range_text(minutes)} GPU-minutes "
        f"are too {word} to be worth scheduling ({SHORTEST} to {LONGEST}); "
        f"gradients.shards: {right} would be right"
    )


def right_shards(job_seconds: Range, shards: int) -> int:
    """The number of shards with which a job takes about an hour."""
    return max(1, ceil(shards * job_seconds.middle / 3600))


def range_text(amount: Range) -> str:
    """`3`, `0.2-1.4`: two digits, one number where both are alike."""
    low, high = number(amount.low), number(amount.high)
    return low if low == high else f"{low}-{high}"


def number(value: float) -> str:
    """Two significant digits, no exponent; whole from 10 on."""
    if value >= 10:
        return f"{round(value):,}"
    if value < 0.01:
        return "0"
    return f"{value:.2g}"


def rule_limits(raw: Mapping[str, Mapping[str, int | None]]) -> dict[str, Limit]:
    """Limits from plain numbers, as Snakemake hands them to a script."""
    return {
        rule: Limit(int(f["threads"] or 1), f["runtime"], f["mem_mb"], bool(f["gpu"]))
        for rule, f in raw.items()
    }
