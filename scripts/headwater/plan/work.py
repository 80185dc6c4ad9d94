"""How long each rule's jobs take, from operations and assumed speeds.

A training step costs three forward passes; a pass that takes gradients of frozen heads
two, and as much again as the heads' share. None of the speeds below was measured for
the machine at hand: `rates` replaces them where earlier jobs left their own.
"""

from dataclasses import dataclass
from math import inf

from headwater.config.points import point_names
from headwater.plan.jobs import Counts, Sources, by_rule
from headwater.plan.ranges import NOTHING, Range
from headwater.plan.shape import (
    Config,
    all_heads,
    arm_checkpoints,
    baseline_checkpoints,
    coded_bytes,
    forward_operations,
    head_parameters,
    held_out_rows,
    parameters,
    vocabulary,
    window_steps,
)
from headwater.steps import training_rows

# Floating-point operations a second that a job gets of its device.
CPU = Range(2e10, 8e10)  # of one core
GPU_FLOAT32 = Range(4e12, 3e13)
GPU_HALF = Range(1.5e13, 1.5e14)  # bf16 and fp16
START = Range(0.5, 3.0)  # seconds until a job without torch has begun
TORCH_START = Range(4.0, 20.0)
SAVE = Range(0.1, 1.2)  # to flush one checkpoint, besides its bytes
LOAD = Range(0.02, 0.3)
DISK = Range(1e8, 1.5e9)  # bytes a second
TEXT = Range(2e6, 2e7)  # bytes of text tokenised a second; packed bytes ordered
NETWORK = Range(5e6, 2e8)  # bytes a second

GPU_RULES = (
    *("train_baseline", "retrain_arm", "fit_factors", "probe_gradient"),
    *("row_gradients", "stream_scores", "score_tokens", "check_fidelity"),
    "evaluate_run",
)


@dataclass(frozen=True)
class Load:
    """Some equal jobs of one rule.

    Attributes:
        jobs: how many.
        units: of work in one job.
        unit: what a unit is.
        operations: of one unit.
        besides: seconds of one unit that are no arithmetic.
        start: seconds of one job before and after its units.
    """

    jobs: int
    units: Range
    unit: str = "jobs"
    operations: Range = NOTHING
    besides: Range = NOTHING
    start: Range = TORCH_START

    def seconds(self, speed: Range, second_each: Range | None = None) -> Range:
        """Of one job.

        Args:
            speed: operations a second.
            second_each: measured seconds of a unit, instead of the assumptions.
        """
        if second_each is None:
            one = self.operations.per(speed) + self.besides
        else:
            one = second_each
        return self.start + self.units * one


def speed_of(config: Config, rule: str, gpu: bool, threads: int) -> Range:
    """Operations a second of one job.

    Args:
        config: the whole config.
        rule: the job's.
        gpu: whether jobs that ask for a GPU have one.
        threads: of the job.
    """
    if not (gpu and rule in GPU_RULES):
        return Range(CPU.low * max(1.0, 0.6 * threads), CPU.high * threads)
    trains = rule in ("train_baseline", "retrain_arm")
    section = "training" if trains else "gradients"
    half = config[section]["precision"] in ("bf16", "fp16")
    half = half and rule != "evaluate_run"
    return GPU_HALF if half else GPU_FLOAT32


def loads(
    config: Config,
    sources: Sources,
    counts: Counts,
    found: tuple[int, int] | None = None,
) -> dict[str, list[Load]]:
    """The work of every rule's jobs.

    Args:
        config: the whole config.
        sources: see there.
        counts: jobs by stage and rule.
        found: the window, where it is known.
    """
    rules = by_rule(counts)
    steps = window_steps(config, found)
    known = {
        **_corpus(config, sources, rules),
        **_training(config, rules, steps),
        **_passes(config, rules, steps),
        **_evaluation(config, sources, rules, steps),
    }
    once = Range.exactly(1)
    light = {rule: [Load(jobs, once, start=START)] for rule, jobs in rules.items()}
    return {rule: known.get(rule, light[rule]) for rule in rules}


def _corpus(
    config: Config, sources: Sources, rules: dict[str, int]
) -> dict[str, list[Load]]:
    corpus = config["corpus"]
    rows, width = training_rows(config), corpus["seq_len"] + 1
    tokens = Range.exactly(2.0 * rows * width)
    text = Range.exactly(4.0 * rows * width * (1 - corpus["records"]["fraction"]))
    one = Range.exactly(1)

    def jobs(rule: str, each: Range) -> list[Load]:
        return [Load(rules.get(rule, 0), one, besides=each, start=START)]

    share = 1 / max(1, sources.text)
    shard = 1 / corpus["row_shards"]
    # Rows of token ids are made text again, to guess their domains.
    ordering = tokens.per(TEXT if sources.is_rows else DISK)
    return {
        "train_tokenizer": jobs("train_tokenizer", text.per(TEXT)),
        "tokenize_source": jobs("tokenize_source", text.per(TEXT) * share),
        "order_rows": jobs("order_rows", ordering * shard),
        "fetch_rows": jobs("fetch_rows", tokens.per(NETWORK)),
        "fetch_text": jobs("fetch_text", text.per(NETWORK) * share),
    }


def _training(
    config: Config, rules: dict[str, int], steps: Range
) -> dict[str, list[Load]]:
    training = config["training"]
    row = 3 * forward_operations(config, config["corpus"]["seq_len"])
    operations = row * training["batch_size"]
    weights = 4.0 * parameters(config)

    def run(rule: str, steps: Range, saved: Range, bytes_each: float) -> list[Load]:
        save = SAVE + Range.exactly(bytes_each).per(DISK)
        each = Range(
            saved.low * save.low / max(1, steps.low),
            saved.high * save.high / max(1, steps.high),
        )
        work = Range.exactly(operations)
        return [Load(rules.get(rule, 0), steps, "steps", work, each)]

    saved = Range.exactly(baseline_checkpoints(config))
    whole = Range.exactly(training["steps"])
    return {
        "train_baseline": run("train_baseline", whole, saved, 3 * weights),
        "retrain_arm": run(
            "retrain_arm", steps, arm_checkpoints(config, steps), 4 * weights
        ),
    }


def pass_operations(config: Config, head_count: int) -> float:
    """Of one row: forward, backward through frozen weights, and the heads' gradients.

    Each head's gradient is a product over the row's tokens; turning it into its
    eigenbasis costs about twice its parameters times the width.
    """
    length = config["corpus"]["seq_len"]
    one = head_parameters(config) * (
        2 * length + 2 * (config["model"]["hidden_size"] + 64)
    )
    return 2 * forward_operations(config, length) + head_count * one


def _passes(
    config: Config, rules: dict[str, int], steps: Range
) -> dict[str, list[Load]]:
    rows = steps * config["training"]["batch_size"]
    part = rows * (1 / config["gradients"]["shards"])
    points, targets = len(point_names(config["window"])), len(config["targets"])
    stored = config["gradients"]["heads"]
    heads = all_heads(config) if stored == "all" else targets
    coded = Range.exactly(coded_bytes(config))
    gradient = pass_operations(config, heads)
    exact = pass_operations(config, targets)
    read = coded.per(Range(2e8, 1e9))
    fit = _fitted(config, rows)
    few = config["influence"]["fidelity_rows"] * points

    def load(
        rule: str, units: Range, cost: float, besides: Range = NOTHING
    ) -> list[Load]:
        return [Load(rules.get(rule, 0), units, "rows", Range.exactly(cost), besides)]

    return {
        "fit_factors": load("fit_factors", fit, 2 * pass_operations(config, 0)),
        "row_gradients": load("row_gradients", part, gradient, coded.per(DISK)),
        "stream_scores": load("stream_scores", part * points, exact),
        "score_rows": load("score_rows", part * points, 0.0, read),
        "check_fidelity": load("check_fidelity", Range(min(few, 1), few), exact),
        "probe_gradient": load("probe_gradient", _probe_rows(config), gradient),
        "score_tokens": load(
            "score_tokens", Range.exactly(config["report"]["top_rows"]), exact
        ),
        "solve_ihvp": load("solve_ihvp", Range.exactly(1), 0.0),
    }


def _fitted(config: Config, rows: Range) -> Range:
    most = config["curvature"]["rows"]
    return Range(min(most, rows.low), min(most, rows.high))


def _probe_rows(config: Config) -> Range:
    # Probe sequences are shorter than rows: at most the same operations.
    share = min(1.0, 2 * config["heads"]["half_length"] / config["corpus"]["seq_len"])
    return Range(0.5, 1.0) * (config["gradients"]["probe_sequences"] * share)


def copying_operations(config: Config) -> float:
    """Of the copying scores of one checkpoint: embedding times unembedding, doubles."""
    width = config["model"]["hidden_size"]
    return 2 * 2.0 * width * width * vocabulary(config)


def _evaluation(
    config: Config, sources: Sources, rules: dict[str, int], steps: Range
) -> dict[str, list[Load]]:
    heads, length = config["heads"], config["corpus"]["seq_len"]
    probing = (
        2 * heads["sequences"] * forward_operations(config, 2 * heads["half_length"])
    )
    load = LOAD + Range.exactly(4.0 * parameters(config)).per(DISK)
    baseline = Range.exactly(baseline_checkpoints(config))
    held = held_out_rows(config, sources.is_rows)
    losses = held * forward_operations(config, length)
    probe = Range.exactly(probing + copying_operations(config))

    def run(jobs: int, count: Range) -> Load:
        return Load(jobs, count, "checkpoints", probe + losses, load)

    arms = rules["evaluate_run"] - 1
    runs = [run(1, baseline)]
    if arms:
        runs.append(run(arms, arm_checkpoints(config, steps)))
    scored = Load(1, baseline, "checkpoints", probe, load)
    return {"evaluate_run": runs, "score_heads": [scored]}


def longest(spans: list[Range]) -> Range:
    """The longest of some jobs."""
    return Range(
        max((s.low for s in spans), default=-inf),
        max((s.high for s in spans), default=-inf),
    )
