"""Training order: which row every global row number holds, written shard by shard."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from headwater import stores
from headwater.corpus import records
from headwater.corpus.collection import Collection
from headwater.corpus.domains import RECORDS
from headwater.corpus.encoding import Encoder
from headwater.corpus.rowstore import (
    TOKEN_COUNTS,
    RowBlock,
    RowWriter,
    token_dtype,
)
from headwater.corpus.tokenrows import SourceOrder
from headwater.errors import HeadwaterError
from headwater.identity import Config
from headwater.progress import Progress
from headwater.publish import Identity, publish_folder
from headwater.seeds import stable_seed
from headwater.shares import share_of
from headwater.steps import training_rows

RECORD = -1  # stands in an order where a row is generated
_ASSEMBLED_TOKENS = 1 << 25  # in memory at once; for each such part all blocks are read


def order_rows(
    target: Path,
    shard: int,
    shards: int,
    order: PackedOrder | SourceOrder,
    vocabulary: int,
    identity: Identity,
) -> None:
    """Write one of the shards of the training order: rows, and perhaps `TOKEN_COUNTS`.

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


def training_order(
    available: int, rows: int, generated: int, seed: int, arrangement: int | None = None
) -> np.ndarray:
    """The packed row at every position of the training run, or `RECORD`.

    Records are numbered in the order of their positions.

    Args:
        available: packed training rows of all sources.
        rows: of the training run.
        generated: how many of them are records.
        seed: of which packed rows are taken, and of their order.
        arrangement: another seed of the order; the rows stay the same.

    Returns:
        int64 [rows].

    Raises:
        HeadwaterError: too few packed rows.
    """
    needed = rows - generated
    if available < needed:
        raise HeadwaterError(
            f"corpus.shards: {available:,} rows of natural text, but training needs "
            f"{needed:,} ({rows:,} rows less {generated:,} generated records); add "
            "text, lower training.steps or raise corpus.records.fraction"
        )
    random = np.random.Generator(np.random.PCG64(stable_seed(seed, "corpus", "order")))
    order = np.full(rows, RECORD, np.int64)
    order[:needed] = random.permutation(available)[:needed]
    if arrangement not in (None, seed):
        number = stable_seed(arrangement, "corpus", "arrangement")
        random = np.random.Generator(np.random.PCG64(number))
    return random.permutation(order)


class PackedOrder:
    """Packed rows and records in a seeded random order.

    Args:
        packed: the packed rows, those of training if an order is asked for.

    Attributes:
        rows: of the training run.
        records: generated rows of the training run.
        attributes: what stores of the rows say about them.
        stores_counts: no; tokens are counted by document (`packing`).
    """

    stores_counts = False

    def __init__(self, packed: Collection, encoder: Encoder, config: Config) -> None:
        self._packed, self._encoder, self._config = packed, encoder, config
        corpus = config["corpus"]
        self.rows, self.width = training_rows(config), corpus["seq_len"] + 1
        self.records = round(self.rows * corpus["records"]["fraction"])
        self.attributes = packed.names

    @cached_property
    def order(self) -> np.ndarray:
        """See `training_order`."""
        seed, other = self._config["seed"], self._config["corpus"].get("order")
        return training_order(len(self._packed), self.rows, self.records, seed, other)

    @property
    def domain_rows(self) -> dict[str, int]:
        """Rows of each domain in the training run."""
        names = self._packed.domains
        natural = self._packed.domain[self.order[self.order != RECORD]]
        counts = np.bincount(natural, minlength=len(names)).tolist()
        planted = {RECORDS: self.records} if self.records else {}
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
        natural = np.flatnonzero(order != RECORD)
        generated = np.flatnonzero(order == RECORD)
        parts = []
        if len(natural):
            parts.append(self._packed.gather(order[natural]))
        if len(generated):
            parts.append(self.generate(first_record, len(generated)))
        places = np.concatenate([natural, generated])
        return RowBlock.join(parts).take(np.argsort(places))

    def generate(self, first: int, count: int) -> RowBlock:
        """The records `first` to `first + count - 1` (from 0) as rows."""
        packed, encoder = self._packed, self._encoder
        tokens = records.generate(
            first,
            count,
            self.width,
            self._config["corpus"]["records"],
            records.unigram(packed.token_counts, encoder.special_ids),
            stable_seed(self._config["seed"], "corpus", "records"),
        ).astype(token_dtype(encoder.vocabulary))
        texts = [encoder.decode(row) for row in tokens]
        source, domain = len(packed.sources) - 1, len(packed.domains) - 1
        return records.to_rows(tokens, first, texts, source, domain)
