"""How long one job of a rule takes, from operations and assumed speeds.

A training step costs three forward passes; a pass that takes gradients of frozen heads
two, and as much again as the heads' share. None of the speeds below was measured for
the machine at hand: `rates` replaces them where earlier jobs left their own.
"""

from dataclasses import dataclass, replace

from headwater.checkpoints.needs import parameters, vocabulary
from headwater.corpus.domains import generated
from headwater.influence import QUANTILES
from headwater.interventions.kinds import written
from headwater.interventions.scores import (
    metagradient_targets,
    smoothed_targets,
    smoothings,
)
from headwater.plan.experiment import Experiment
from headwater.plan.ranges import NOTHING, Range
from headwater.plan.shape import (
    Config,
    coded_bytes,
    forward_operations,
    stored_units,
    unit_parameters,
)

# Floating-point operations a second that a job gets of its device.
CPU = Range(2e10, 8e10)  # of one core
GPU_FLOAT32 = Range(4e12, 3e13)
GPU_HALF = Range(1.5e13, 1.5e14)  # bf16 and fp16
START = Range(0.5, 3.0)  # seconds until a job without torch has begun
TORCH_START = Range(4.0, 20.0)
SAVE = Range(0.1, 1.2)  # to flush one checkpoint, besides its bytes
LOAD = Range(0.02, 0.3)
DISK = Range(1e8, 1.5e9)  # bytes a second
STORE = Range(2e8, 1e9)  # of coded gradients, read and decoded
TEXT = Range(2e6, 2e7)  # bytes of text tokenised a second; packed bytes ordered
COMPARED = Range(5e6, 5e7)  # tokens of training rows a second, with fresh rows
NETWORK = Range(5e6, 2e8)  # bytes a second

ONCE = Range.exactly(1)
BACK = Range(2.6, 3.6)  # training steps that one of the way back takes, for each target
GATES = 3  # trainings that predictions are compared with


@dataclass(frozen=True)
class Load:
    """The work of one job, or of some equal ones.

    Attributes:
        units: of work in one job.
        operations: of one unit.
        besides: seconds of one unit that are no arithmetic.
        start: seconds of one job before and after its units.
        precision: of its operations on a GPU.
        jobs: how many.
    """

    units: Range = ONCE
    unit: str = "jobs"
    operations: Range = NOTHING
    besides: Range = NOTHING
    start: Range = TORCH_START
    precision: str = "float32"
    jobs: int = 1

    def seconds(self, speed: Range, second_each: Range | None = None) -> Range:
        """Of one job; `second_each`, a unit's measured, replaces what is assumed."""
        assumed = self.operations.per(speed) + self.besides
        return self.start + self.units * (second_each or assumed)

    def speed(self, gpu: bool, threads: int) -> Range:
        """Operations a second of a job that has a GPU, or only its threads."""
        if gpu:
            half = self.precision in ("bf16", "fp16")
            return GPU_HALF if half else GPU_FLOAT32
        return Range(CPU.low * max(1.0, 0.6 * threads), CPU.high * threads)


LIGHT = Load(start=START)  # without torch


def text(e: Experiment, rate: Range, parts: int) -> Load:
    """One part of the text that the training needs, at so many bytes a second."""
    natural = 1 - sum(generated(e.config).values())
    needed = Range.exactly(4.0 * e.rows * e.width * natural)
    return replace(LIGHT, besides=needed.per(rate) * (1 / max(1, parts)))


def tokens(e: Experiment, rate: Range, parts: int) -> Load:
    """One part of the training's tokens, at so many bytes a second."""
    needed = Range.exactly(2.0 * e.rows * e.width)
    return replace(LIGHT, besides=needed.per(rate) * (1 / parts))


def ordering(e: Experiment) -> Load:
    """One shard of the training order; rows of token ids get detected domains."""
    return tokens(e, TEXT if e.sources.is_rows else DISK, e.row_shards)


def baseline(e: Experiment) -> Load:
    """The whole training, with its checkpoints and moments."""
    steps = e.trained * e.config["training"]["steps"]
    return _training(e.config, steps, e.saved, 3)


def arm(e: Experiment) -> Load:
    """The training of an arm: each checkpoint twice, once with moments."""
    return _training(e.config, e.steps, e.arm_saved, 4)


def differentiating(e: Experiment) -> Load:
    """Through the window, perhaps twice, and back for every target."""
    return _there_and_back(e, len(metagradient_targets(e.config)))


def smoothing(e: Experiment) -> Load:
    """The same once for segments, and for others once a draw; the mean of the jobs."""
    once = _there_and_back(e, len(smoothed_targets(e.config)))
    named, draws = smoothings(e.config), e.config["metagradient"]["draws"]
    trainings = sum(1 if name == "segments" else draws for name in named)
    return replace(once, units=once.units * (trainings / max(1, len(named))))


def _there_and_back(e: Experiment, targets: int) -> Load:
    once = _training(e.config, e.steps, NOTHING, 0)
    back = BACK * targets
    passes = Range(1 + back.low, 2 + back.high)
    return replace(once, operations=once.operations * passes)


def checking(e: Experiment) -> Load:
    """The window trained again for every weight of the gate."""
    once = arm(e)
    return replace(once, units=once.units * GATES)


def _training(config: Config, steps: Range, saved: Range, copies: int) -> Load:
    training = config["training"]
    row = 3 * forward_operations(config, config["corpus"]["seq_len"])
    save = SAVE + Range.exactly(copies * 4.0 * parameters(config)).per(DISK)
    each = Range(
        saved.low * save.low / max(1, steps.low),
        saved.high * save.high / max(1, steps.high),
    )
    work = Range.exactly(row * training["batch_size"])
    return Load(steps, "steps", work, each, precision=training["precision"])


def passing(e: Experiment, rows: Range, units: int, besides: Range = NOTHING) -> Load:
    """Passes over rows: forward, backward through frozen weights, and so many units.

    Each unit's gradient is a product over the row's tokens; turning it into its
    eigenbasis costs about twice its parameters times the width. `besides` is as in
    `Load`.
    """
    length, width = e.config["corpus"]["seq_len"], e.config["model"]["hidden_size"]
    each = unit_parameters(e.config) * (2 * length + 2 * (width + 64))
    operations = 2 * forward_operations(e.config, length) + units * each
    precision = e.config["gradients"]["precision"]
    return Load(rows, "rows", Range.exactly(operations), besides, precision=precision)


def showing(e: Experiment) -> Load:
    """Parts of the tokens of the rows shown, and what they write: two passes."""
    rows = shown(e)
    return passing(e, Range(2 * rows.low, 2 * rows.high), e.targets)


def shown(e: Experiment) -> Range:
    """Rows that the page holds for a target."""
    wanted, rows = e.config["report"]["rows"], e.window_rows
    if wanted == "all":
        return rows
    most = 2 * wanted + QUANTILES
    return Range(min(most, rows.low), min(most, rows.high))


def fitting(e: Experiment) -> Load:
    """Factors, from two passes over a sample."""
    most, rows = e.config["curvature"]["rows"], e.window_rows
    once = passing(e, Range(min(most, rows.low), min(most, rows.high)), 0)
    return replace(once, operations=once.operations * 2)


def storing(e: Experiment) -> Load:
    """Gradients of one part of the window, coded and written."""
    coded = Range.exactly(coded_bytes(e.config))
    return passing(e, e.part, stored_count(e), coded.per(DISK))


def stored_count(e: Experiment) -> int:
    """Units whose gradients are taken, at most."""
    return int(stored_units(e.config).high)


def reading(e: Experiment) -> Load:
    """One target's scores, from the stored gradients of all points."""
    each = Range.exactly(coded_bytes(e.config)).per(STORE)
    return Load(e.part * e.points, "rows", besides=each)


def comparing(e: Experiment) -> Load:
    """Exact scores of a sample, perhaps of one row only."""
    few = e.config["influence"]["fidelity_rows"] * e.points
    return passing(e, Range(min(few, 1), few), e.targets)


def building(e: Experiment) -> Load:
    """The rows of an arm; the mean over arms of comparing fresh ones with all rows."""
    arms = e.config["arms"].values()
    fresh = sum(arm["draws"] for arm in arms if written(arm))
    share = fresh / max(1, sum(arm["draws"] for arm in arms))
    read = Range.exactly(share * e.rows * e.width).per(COMPARED)
    return replace(LIGHT, besides=read)


def probing(e: Experiment) -> Load:
    """A probe's gradient; its sequences are no longer than rows."""
    config = e.config
    share = min(1.0, config["heads"]["length"] / config["corpus"]["seq_len"])
    rows = Range(0.5, 1.0) * (config["gradients"]["probe_sequences"] * share)
    return passing(e, rows, stored_count(e))


def scoring(e: Experiment, checkpoints: Range, rows: Range = NOTHING) -> Load:
    """Head scores of some checkpoints; where rows are given, their losses and more.

    The scores take a pass over the sequences and one over the shuffled ones; the
    copying score is an embedding times an unembedding, in doubles. An arm's evaluation
    adds copy gains, and an ablation and a probe of each target.
    """
    config = e.config
    heads, width = config["heads"], config["model"]["hidden_size"]
    copying = 2 * 2.0 * width * width * vocabulary(config)
    passes = 2 if rows == NOTHING else 4 + 2 * e.targets
    pass_operations = heads["sequences"] * forward_operations(config, heads["length"])
    scores = passes * pass_operations + copying
    losses = rows * forward_operations(config, config["corpus"]["seq_len"])
    loaded = LOAD + Range.exactly(4.0 * parameters(config)).per(DISK)
    return Load(checkpoints, "checkpoints", Range.exactly(scores) + losses, loaded)
