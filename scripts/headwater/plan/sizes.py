"""Bytes and files that one job of a rule leaves, from the formats.

Only what grows with the experiment; figures and tables of a few kilobytes count as
`SMALL`. Every folder that Snakemake tracks holds one more file, its time stamp.
"""

from dataclasses import dataclass

from headwater.checkpoints.needs import parameters, vocabulary
from headwater.corpus.domains import generated
from headwater.interventions.kinds import written
from headwater.interventions.scores import metagradient_targets, smoothed_targets
from headwater.models.sections import fitted_units
from headwater.plan.experiment import Experiment
from headwater.plan.ranges import NOTHING, Range, total
from headwater.plan.shape import (
    DOUBLE,
    FLOAT,
    Config,
    coded_bytes,
    kept_coordinates,
    stored_units,
    unit_parameters,
)

SMALL = Range(2e3, 1e6)  # bytes of a small table, page or figure
COMPRESSED = Range(0.3, 1.0)  # stored bytes of a byte of tokens
SPANS = Range(1.0, 6.0)  # stretches of documents in a row
SPAN_BYTES = Range(4.0, 24.0)  # of one, compressed
ARM_BYTES = Range(0.5, 9.0)  # of a position of the window in an arm
LOCK_AND_STAMP = 1
ONE_FILE = Range.exactly(1)


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


def small(least: int, most: int | None = None) -> Output:
    """So many small files."""
    return Output(SMALL, Range(least, most or least))


def row_store(rows: Range, width: int, token_bytes: int) -> Output:
    """A store of rows of `width` tokens (`corpus.rowstore`)."""
    from headwater.corpus.rowstore import layout  # zarr: slow where rules are parsed

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
    from headwater.shardfile import SHARD_BYTES  # zarr again

    units = stored_units(config)
    codes = rows * units * coded_bytes(config)
    coordinates = units * (kept_coordinates(config) * 2 * DOUBLE)
    others = coordinates + rows * units * FLOAT + rows * FLOAT
    low, high = (max(1, -(-int(n) // SHARD_BYTES)) for n in (codes.low, codes.high))
    # Besides: the group, three arrays, two of them of one chunk, the time stamp.
    return Output(codes + others, Range(low, high) + Range.exactly(1 + 3 + 2 + 1))


def score_store(rows: Range, points: int = 1) -> Output:
    """One target's scores and losses of so many rows (`influence.files`)."""
    bytes_a_row = (points + 1) * FLOAT
    return Output(rows * bytes_a_row, Range.exactly(1 + 2 * 2 + LOCK_AND_STAMP))


def token_bytes(config: Config) -> int:
    """Bytes of a stored token."""
    return 2 if vocabulary(config) <= 1 << 16 else 4


def row_files(e: Experiment, rows: Range, besides: int, copies: int = 1) -> Output:
    """A store of rows, or two of the same size, with so many files beside."""
    store = row_store(rows, e.width, token_bytes(e.config))
    return Output(store.kept, store.files * copies + Range.exactly(besides))


def row_shard(e: Experiment) -> Output:
    """One shard of the rows in training order."""
    each = Range.exactly(e.rows / e.row_shards)
    return row_files(e, each, 2 + LOCK_AND_STAMP)


def packed(e: Experiment) -> Output:
    """The rows of one source: of natural text and of records."""
    natural = e.rows * (1 - sum(generated(e.config).values()))
    each = Range(natural, 1.3 * natural) * (1 / max(1, e.sources.text))
    return row_files(e, each, 4, copies=2)


def fetched_rows(e: Experiment) -> Output:
    """All rows, as their source has them."""
    return Output(Range.exactly(e.rows * e.width * token_bytes(e.config)), Range(3, 30))


def checkpoint_bytes(config: Config, moments: bool) -> int:
    """Bytes of a checkpoint: float32 weights, and Adam's two moments of each."""
    return FLOAT * parameters(config) * (3 if moments else 1)


def fetched_checkpoint(e: Experiment) -> Output:
    """Weights alone."""
    weights = checkpoint_bytes(e.config, moments=False)
    return Output(Range.exactly(weights), Range.exactly(4))


def baseline(e: Experiment) -> Output:
    """The initial weights, and every later checkpoint with its moments."""
    weights = checkpoint_bytes(e.config, moments=False)
    whole = checkpoint_bytes(e.config, moments=True)
    kept = Range(*(weights + (n - 1) * whole for n in (e.saved.low, e.saved.high)))
    return Output(kept, Range(5 * e.saved.low - 1, 5 * e.saved.high - 1))


def arm(e: Experiment) -> Output:
    """Checkpoints; beside each the state is written that a run would resume from."""
    saved = e.arm_saved
    weights = checkpoint_bytes(e.config, moments=False)
    rewritten = saved * checkpoint_bytes(e.config, moments=True)
    return Output(saved * weights, saved * 3 + ONE_FILE, rewritten)


def factors(e: Experiment) -> Output:
    """Factors of all heads, and of other units named, at one point: bases, lambdas."""
    width, units = e.config["model"]["hidden_size"], fitted_units(e.config)
    blocks = {str(block): block for unit in units for block in unit.blocks}.values()
    sites = {site for unit in units for site in unit.sites}
    own = sum(len(b.places) ** 2 + b.shape[0] * b.shape[1] for b in blocks)
    return Output(Range.exactly(DOUBLE * (2 * width**2 * len(sites) + own)), ONE_FILE)


def one_unit(e: Experiment) -> Output:
    """A gradient, or a product, of one unit."""
    return Output(Range.exactly(unit_parameters(e.config) * DOUBLE), ONE_FILE)


def gradients(e: Experiment) -> Output:
    """Coded gradients of one part of the window.

    The mean over its points: rows trained before a point are not stored.
    """
    share = (e.points + 1) / (2 * e.points)
    return gradient_store(e.part * share, e.config)


def all_scores(e: Experiment) -> Output:
    """Every target's scores of one part."""
    one = score_store(e.part, e.points)
    return Output(one.kept * e.targets, one.files * e.targets)


def ranked(e: Experiment) -> Output:
    """One target's scores of the window, gathered, and two tables."""
    gathered = score_store(e.window_rows)
    return Output(gathered.kept + SMALL, gathered.files + Range.exactly(2))


def token_scores(e: Experiment) -> Output:
    """What is known of the tokens of the rows that one target shows."""
    from headwater.plan.work import shown

    return Output(shown(e) * (FLOAT * (e.width - 1) + 11 * DOUBLE), ONE_FILE)


def intervention(e: Experiment) -> Output:
    """The row and the weight of every position of the window; how they were picked.

    The mean over all arms, with the tokens of those that are written afresh.
    """
    arms = e.config["arms"]
    runs = sum(arm["draws"] for arm in arms.values())
    share = sum(a["draws"] * a["fraction"] for a in arms.values() if written(a))
    tokens = e.window_rows * (share / max(1, runs) * e.width * token_bytes(e.config))
    kept = e.window_rows * ARM_BYTES + tokens * COMPRESSED + SMALL
    return Output(kept, ONE_FILE + ONE_FILE)


def token_facts(e: Experiment) -> Output:
    """Two numbers for each predicted token of the window, which compress little."""
    return Output(e.window_rows * (2 * FLOAT * (e.width - 1)), ONE_FILE)


def row_facts(e: Experiment) -> Output:
    """Two numbers for each row of the window, compressed."""
    return Output(e.window_rows * (2 * DOUBLE), ONE_FILE)


def metagradients(e: Experiment) -> Output:
    """A score of each row of the window and target, and the states meanwhile."""
    return _through_training(e, len(metagradient_targets(e.config)))


def smoothed(e: Experiment) -> Output:
    """The same of one smoothing; with standard errors."""
    return _through_training(e, len(smoothed_targets(e.config)))


def _through_training(e: Experiment, targets: int) -> Output:
    one = row_facts(e)
    states = Range.exactly(e.config["metagradient"]["space_gb"] * 1e9)
    return Output(one.kept * targets + SMALL, one.files * targets + ONE_FILE, states)


def tables(e: Experiment) -> Output:
    """The tables of an arm's runs, or the baseline's, and their folder's time stamp."""
    arms = len(e.config["arms"])
    each = (e.draws * arms + 1) / (arms + 1)
    return Output(SMALL * each, Range.exactly(each + LOCK_AND_STAMP))
