"""Bytes and files of what each rule writes, from the formats.

Only what grows with the experiment; figures and tables of a few kilobytes count as
`SMALL`. Every folder that Snakemake tracks holds one more file, its time stamp.
"""

from dataclasses import dataclass

from headwater.config.points import point_names
from headwater.corpus.rowstore import layout
from headwater.plan.jobs import Counts, Sources, by_rule
from headwater.plan.ranges import NOTHING, Range, total
from headwater.plan.shape import (
    DOUBLE,
    FLOAT,
    Config,
    arm_checkpoints,
    baseline_checkpoints,
    coded_bytes,
    head_parameters,
    held_out_rows,
    parameters,
    stored_heads,
    vocabulary,
    window_steps,
)
from headwater.shardfile import SHARD_BYTES
from headwater.steps import training_rows

SMALL = Range(2e3, 1e6)  # bytes of a small table, page or figure
COMPRESSED = Range(0.3, 1.0)  # stored bytes of a byte of tokens
SPANS = Range(1.0, 6.0)  # stretches of documents in a row
SPAN_BYTES = Range(4.0, 24.0)  # of one, compressed
PLAN_BYTES = Range(0.5, 9.0)  # of a position of the window in an arm
LOCK_AND_STAMP = 1


@dataclass(frozen=True)
class Output:
    """What one job of a rule leaves.

    Attributes:
        kept: bytes.
        files: how many.
        rewritten: bytes that it writes besides and removes again.
    """

    kept: Range
    files: Range
    rewritten: Range = NOTHING


def outputs(
    config: Config,
    sources: Sources,
    counts: Counts,
    found: tuple[int, int] | None = None,
) -> dict[str, Output]:
    """The mean output of one job, by rule.

    Args:
        config: the whole config.
        sources: see there.
        counts: jobs by stage and rule.
        found: the window, where it is known.
    """
    rules = by_rule(counts)
    small = Output(SMALL, Range.exactly(1))
    known = {
        **_corpus(config, sources),
        **_checkpoints(config, found),
        **_attribution(config, found),
        **_two_files(rules),
    }
    return {rule: known.get(rule, small) for rule in rules}


def _two_files(rules: dict[str, int]) -> dict[str, Output]:
    pairs = ("measure_effects", "plot_emergence", "plot_enrichment", "write_summary")
    return {r: Output(SMALL, Range.exactly(2)) for r in pairs if r in rules}


def row_store(rows: Range, width: int, token_bytes: int) -> Output:
    """A store of rows of tokens (`corpus.rowstore`).

    Args:
        rows: how many.
        width: tokens of each.
        token_bytes: of one token.
    """
    tokens = rows * (width * token_bytes) * COMPRESSED
    spans = rows * SPANS * SPAN_BYTES
    names = ("tokens", "domain", "span_offsets")
    pieces = [_files(rows, *layout(name, width)) for name in names]
    pieces.append(_files(rows * SPANS, *layout("spans", width)))
    metadata = Range.exactly(1 + len(pieces))
    return Output(tokens + spans, total([metadata, *pieces]))


def _files(entries: Range, block: int, blocks: int) -> Range:
    low, high = (-(-int(n) // (block * blocks)) for n in (entries.low, entries.high))
    return Range(max(1, low), max(1, high))


def gradient_store(rows: Range, config: Config) -> Output:
    """A store of coded gradients (`gradients.store`) of so many rows."""
    heads, width = stored_heads(config), coded_bytes(config)
    coordinates = config["gradients"]["coordinates"]
    kept = head_parameters(config)
    kept = kept if coordinates == "all" else min(kept, int(coordinates))
    codes = rows * heads * width
    others = heads * (kept * 2 * DOUBLE) + rows * heads * FLOAT + rows * FLOAT
    low, high = (max(1, -(-int(n) // SHARD_BYTES)) for n in (codes.low, codes.high))
    # Besides: the group, three arrays, two of them of one chunk, the time stamp.
    return Output(codes + others, Range(low, high) + Range.exactly(1 + 3 + 2 + 1))


def score_store(rows: Range) -> Output:
    """One target's scores and losses of so many rows (`influence.files`)."""
    return Output(rows * (2 * FLOAT), Range.exactly(1 + 2 * 2 + LOCK_AND_STAMP))


def _corpus(config: Config, sources: Sources) -> dict[str, Output]:
    corpus = config["corpus"]
    width, token = corpus["seq_len"] + 1, 2 if vocabulary(config) <= 1 << 16 else 4
    rows = training_rows(config)
    shard = row_store(Range.exactly(rows / corpus["row_shards"]), width, token)
    stamped = Output(shard.kept, shard.files + Range.exactly(2 + LOCK_AND_STAMP))
    held = row_store(held_out_rows(config, sources.is_rows), width, token)
    natural = rows * (1 - corpus["records"]["fraction"])
    packed = row_store(
        Range(natural, 1.3 * natural) * (1 / max(1, sources.text)), width, token
    )
    fetched = Range.exactly(rows * width * token)
    return {
        "order_rows": stamped,
        "hold_out": Output(held.kept, held.files + Range.exactly(4)),
        "tokenize_source": Output(packed.kept, packed.files * 2 + Range.exactly(4)),
        "fetch_rows": Output(fetched, Range(3, 30)),
        "train_tokenizer": Output(SMALL, Range.exactly(4)),
        "fetch_tokenizer": Output(Range(1e6, 1e7), Range(4, 8)),
    }


def checkpoint_bytes(config: Config, moments: bool) -> int:
    """Bytes of a checkpoint: float32 weights, and Adam's two moments of each."""
    return FLOAT * parameters(config) * (3 if moments else 1)


def _checkpoints(config: Config, found: tuple[int, int] | None) -> dict[str, Output]:
    weights = checkpoint_bytes(config, moments=False)
    whole = checkpoint_bytes(config, moments=True)
    count = baseline_checkpoints(config)
    saved = arm_checkpoints(config, window_steps(config, found))
    return {
        "fetch_checkpoint": Output(Range.exactly(weights), Range.exactly(4)),
        "train_baseline": Output(
            Range.exactly(weights + (count - 1) * whole),
            Range.exactly(5 * count - 1),
        ),
        # Beside each of its checkpoints an arm writes the state it would resume from.
        "retrain_arm": Output(
            saved * weights, saved * 3 + Range.exactly(1), saved * whole
        ),
        # Hard links to the window's checkpoints, no bytes.
        "select_window": Output(SMALL, Range(6, 11)),
    }


def _attribution(config: Config, found: tuple[int, int] | None) -> dict[str, Output]:
    rows = window_steps(config, found) * config["training"]["batch_size"]
    shards, targets = config["gradients"]["shards"], len(config["targets"])
    part = rows * (1 / shards)
    one = head_parameters(config) * DOUBLE
    scores = score_store(part)
    exact = Output(scores.kept * targets, scores.files * targets)
    gathered = score_store(rows)
    return {
        "fit_factors": Output(_factors(config), Range.exactly(1)),
        "probe_gradient": Output(Range.exactly(one), Range.exactly(1)),
        "solve_ihvp": Output(Range.exactly(one), Range.exactly(1)),
        "row_gradients": gradient_store(_after(part, config), config),
        "score_rows": scores,
        "stream_scores": exact,
        "rank_rows": Output(gathered.kept + SMALL, gathered.files + Range.exactly(2)),
        "build_arm": Output(rows * PLAN_BYTES, Range.exactly(1)),
    }


def _after(part: Range, config: Config) -> Range:
    # The mean over the window's points: rows trained before a point are not stored.
    points = len(point_names(config["window"]))
    return part * ((points + 1) / (2 * points)) if points > 1 else part


def _factors(config: Config) -> Range:
    model = config["model"]
    width, heads = model["hidden_size"], model["num_attention_heads"]
    d_head = width // heads
    sides = 2 * width**2 + heads * 6 * d_head**2
    lambdas = heads * 4 * width * d_head  # of all heads, under `qkvo`
    layers = model["num_hidden_layers"]
    most = layers * DOUBLE * (2 * sides + lambdas)
    hessian = config["curvature"]["hessian"]
    least = most if hessian == "ekfac" else layers * DOUBLE * (sides + lambdas)
    return Range.exactly(least)
