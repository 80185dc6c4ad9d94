"""Training order: which packed row or record every global row number holds."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headwater import stores
from headwater.corpus import records
from headwater.corpus.collection import Collection
from headwater.corpus.encoding import Encoder
from headwater.corpus.rowstore import Assembly, RowBlock, RowWriter, token_dtype
from headwater.errors import HeadwaterError
from headwater.identity import Config
from headwater.progress import Progress
from headwater.publish import Identity, publish_folder
from headwater.seeds import stable_seed
from headwater.steps import training_rows

RECORD = -1  # stands in a plan where a row is generated
_ASSEMBLED_TOKENS = 1 << 26  # in memory at once; for each such part all blocks are read


@dataclass(frozen=True)
class OrderSettings:
    """What the training order depends on, besides the packed rows.

    Attributes:
        seed: the experiment's seed.
        seq_len: rows hold one token more.
        rows: rows of the whole training run, steps times batch size.
        records_fraction: share of them that is generated.
        record: the shape of a record.
    """

    seed: int
    seq_len: int
    rows: int
    records_fraction: float
    record: records.RecordSettings

    @property
    def records(self) -> int:
        """Generated rows of the training run."""
        return round(self.rows * self.records_fraction)


def settings_of(config: Config) -> OrderSettings:
    """The settings in a config."""
    corpus = config["corpus"]
    record = corpus["records"]
    return OrderSettings(
        seed=config["seed"],
        seq_len=corpus["seq_len"],
        rows=training_rows(config),
        records_fraction=record["fraction"],
        record=records.RecordSettings(
            record["min_length"], record["max_length"], record["varying"]
        ),
    )


def training_order(available: int, settings: OrderSettings) -> np.ndarray:
    """The packed row at every position of the training run, or `RECORD`.

    Records are numbered in the order of their positions.

    Args:
        available: packed training rows of all sources.
        settings: what the order depends on.

    Returns:
        int64 [settings.rows].

    Raises:
        HeadwaterError: too few packed rows.
    """
    needed = settings.rows - settings.records
    if available < needed:
        raise HeadwaterError(
            f"corpus.shards: {available:,} rows of natural text, but training needs "
            f"{needed:,} ({settings.rows:,} rows less {settings.records:,} generated "
            "records); add text, lower training.steps or raise corpus.records.fraction"
        )
    seed = stable_seed(settings.seed, "corpus", "order")
    random = np.random.Generator(np.random.PCG64(seed))
    plan = np.full(settings.rows, RECORD, np.int64)
    plan[: settings.rows - settings.records] = random.permutation(available)[:needed]
    return random.permutation(plan)


def shard_bounds(rows: int, shard: int, shards: int) -> tuple[int, int]:
    """First and last-plus-one global row of a shard."""
    return shard * rows // shards, (shard + 1) * rows // shards


def order_rows(
    target: Path,
    shard: int,
    shards: int,
    packed: Collection,
    encoder: Encoder,
    settings: OrderSettings,
    identity: Identity,
) -> None:
    """Write one shard of the training order.

    Args:
        shard: its number, from 0.
        shards: how many there are.
        settings: what the order depends on.

    Raises:
        HeadwaterError: too few packed rows.
    """
    first, stop = shard_bounds(settings.rows, shard, shards)
    plan = training_order(len(packed), settings)
    with publish_folder(target, identity) as part:
        root = stores.create_group(
            part,
            identity,
            sources=packed.sources,
            domains=packed.domains,
            seq_len=settings.seq_len,
            first_row=first,
            total_rows=settings.rows,
        )
        writer = RowWriter(root, settings.seq_len + 1, token_dtype(encoder.vocabulary))
        progress = Progress(f"ordering {shard:04d}", stop - first, "rows")
        size = max(1, _ASSEMBLED_TOKENS // (settings.seq_len + 1))
        for begin in range(first, stop, size):
            end = min(begin + size, stop)
            number = int((plan[:begin] == RECORD).sum())
            block = _assemble(plan[begin:end], number, packed, encoder, settings)
            writer.append(block)
            progress.update(end - begin)
        writer.close()


def _assemble(
    plan: np.ndarray,
    first_record: int,
    packed: Collection,
    encoder: Encoder,
    settings: OrderSettings,
) -> RowBlock:
    dtype = token_dtype(encoder.vocabulary)
    assembly = Assembly(len(plan), settings.seq_len + 1, dtype)
    natural, generated = np.flatnonzero(plan != RECORD), np.flatnonzero(plan == RECORD)
    packed.gather(plan[natural], assembly, natural)
    if len(generated):
        rows = generate_rows(first_record, len(generated), packed, encoder, settings)
        assembly.place(generated, rows)
    return assembly.finish()


def generate_rows(
    first: int,
    count: int,
    packed: Collection,
    encoder: Encoder,
    settings: OrderSettings,
) -> RowBlock:
    """The records `first` to `first + count - 1` (from 0) as rows."""
    tokens = records.generate(
        first,
        count,
        settings.seq_len + 1,
        settings.record,
        records.unigram(packed.token_counts, encoder.special_ids),
        stable_seed(settings.seed, "corpus", "records"),
    ).astype(token_dtype(encoder.vocabulary))
    texts = [encoder.decode(row) for row in tokens]
    source, domain = len(packed.sources) - 1, len(packed.domains) - 1
    return records.to_rows(tokens, first, texts, source, domain)
