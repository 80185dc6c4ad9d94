"""Training order: which row every global row number holds, written shard by shard."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from headwater import stores
from headwater.corpus import records
from headwater.corpus.collection import Collection
from headwater.corpus.domains import RECORDS
from headwater.corpus.encoding import Encoder
from headwater.corpus.rowstore import (
    TOKEN_COUNTS,
    Assembly,
    RowBlock,
    RowWriter,
    token_dtype,
)
from headwater.errors import HeadwaterError
from headwater.identity import Config
from headwater.progress import Progress
from headwater.publish import Identity, publish_folder
from headwater.seeds import stable_seed
from headwater.shares import share_of
from headwater.steps import training_rows

RECORD = -1  # stands in an order where a row is generated
_ASSEMBLED_TOKENS = 1 << 26  # in memory at once; for each such part all blocks are read


class Order(Protocol):
    """The rows of a training run, in order: `PackedOrder`, `tokenrows.SourceOrder`.

    Attributes:
        rows: of the whole run.
        width: tokens of a row, seq_len + 1.
        attributes: what stores of the rows say about them.
        stores_counts: whether shards keep how often each token occurs in them.
    """

    rows: int
    width: int
    attributes: dict[str, Any]
    stores_counts: bool

    def blocks(self, rows: range) -> Iterator[RowBlock]:
        """The rows with these global numbers."""
        ...


def order_rows(
    target: Path,
    shard: int,
    shards: int,
    order: Order,
    vocabulary: int,
    identity: Identity,
) -> None:
    """Write one shard of the training order.

    Args:
        target: the Zarr store to publish: a rows group, and perhaps `TOKEN_COUNTS`.
        shard: its number, from 0.
        shards: how many there are.
        order: the rows.
        vocabulary: token ids of the tokenizer.
        identity: of the store.

    Raises:
        HeadwaterError: too few rows, or a token id that the tokenizer does not have.
    """
    rows = share_of(order.rows, shards, shard)
    progress = Progress(f"ordering {shard:04d}", len(rows), "rows")
    with publish_folder(target, identity) as part:
        root = stores.create_group(
            part,
            identity,
            **order.attributes,
            seq_len=order.width - 1,
            first_row=rows.start,
            total_rows=order.rows,
        )
        writer = RowWriter(root, order.width, token_dtype(vocabulary))
        counts = np.zeros(vocabulary, np.int64)
        for block in order.blocks(rows):
            writer.append(block)
            if order.stores_counts:
                counts += np.bincount(block.tokens.reshape(-1), minlength=vocabulary)
            progress.update(len(block.tokens))
        writer.close()
        if order.stores_counts:
            stores.write_array(root, TOKEN_COUNTS, counts)


@dataclass(frozen=True)
class OrderSettings:
    """What the order of packed rows depends on, besides those.

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
    order = np.full(settings.rows, RECORD, np.int64)
    order[:needed] = random.permutation(available)[:needed]
    return random.permutation(order)


class PackedOrder:
    """Packed rows and records in a seeded random order, an `Order`.

    Args:
        packed: the packed training rows.
        encoder: the experiment's tokenizer.
        settings: what the order depends on.
    """

    stores_counts = False  # tokens are counted by document, see `packing`

    def __init__(
        self, packed: Collection, encoder: Encoder, settings: OrderSettings
    ) -> None:
        self._packed, self._encoder, self._settings = packed, encoder, settings
        self.rows, self.width = settings.rows, settings.seq_len + 1
        self.attributes = packed.names

    @cached_property
    def order(self) -> np.ndarray:
        """See `training_order`."""
        return training_order(len(self._packed), self._settings)

    @property
    def domain_rows(self) -> dict[str, int]:
        """Rows of each domain in the training run."""
        names = self._packed.domains
        natural = self._packed.domain[self.order[self.order != RECORD]]
        counts = np.bincount(natural, minlength=len(names)).tolist()
        planted = {RECORDS: self._settings.records} if self._settings.records else {}
        return {**dict(zip(names, counts, strict=True)), **planted}

    def blocks(self, rows: range) -> Iterator[RowBlock]:
        """The rows with these global numbers.

        Raises:
            HeadwaterError: too few packed rows.
        """
        size = max(1, _ASSEMBLED_TOKENS // self.width)
        for begin in range(rows.start, rows.stop, size):
            first_record = int((self.order[:begin] == RECORD).sum())
            part = self.order[begin : min(begin + size, rows.stop)]
            yield self._assemble(part, first_record)

    def _assemble(self, order: np.ndarray, first_record: int) -> RowBlock:
        dtype = token_dtype(self._encoder.vocabulary)
        assembly = Assembly(len(order), self.width, dtype)
        natural = np.flatnonzero(order != RECORD)
        generated = np.flatnonzero(order == RECORD)
        self._packed.gather(order[natural], assembly, natural)
        if len(generated):
            assembly.place(generated, self.generate(first_record, len(generated)))
        return assembly.finish()

    def generate(self, first: int, count: int) -> RowBlock:
        """The records `first` to `first + count - 1` (from 0) as rows."""
        packed, encoder = self._packed, self._encoder
        tokens = records.generate(
            first,
            count,
            self.width,
            self._settings.record,
            records.unigram(packed.token_counts, encoder.special_ids),
            stable_seed(self._settings.seed, "corpus", "records"),
        ).astype(token_dtype(encoder.vocabulary))
        texts = [encoder.decode(row) for row in tokens]
        source, domain = len(packed.sources) - 1, len(packed.domains) - 1
        return records.to_rows(tokens, first, texts, source, domain)
