"""What will not fit: time limits, memory, disk; and shards not worth scheduling."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from headwater.checkpoints.needs import pass_mb, training_mb
from headwater.plan.dag import GRADIENT_RULES, TRAINING, rules, trains
from headwater.plan.experiment import NO_SOURCES, Experiment
from headwater.plan.ranges import Range
from headwater.plan.shape import Config

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
