"""Training order: which row every global row number holds, written shard by shard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from headwater import stores
from headwater.corpus import decoys, records
from headwater.corpus.collection import Collection
from headwater.corpus.domains import NOISE, RECORDS, REPEATS, generated, planted
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

RECORD = -1  # stands in an order for a row of the first source of generated rows; the
# next one's have -2, and so on
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
    available: int,
    rows: int,
    made: Sequence[int],
    seed: int,
    arrangement: int | None = None,
) -> np.ndarray:
    """The packed row at every position of the training run, or `RECORD` and below.

    Rows of each source of generated ones are numbered in the order of their positions.

    Args:
        available: packed training rows of all sources.
        rows: of the training run.
        made: how many of them are generated, by source.
        seed: of which packed rows are taken, and of their order.
        arrangement: another seed of the order; the rows stay the same.

    Returns:
        int64 [rows].

    Raises:
        HeadwaterError: too few packed rows.
    """
    needed = rows - sum(made)
    if available < needed:
        raise HeadwaterError(
            f"corpus.shards: {available:,} rows of natural text, but training needs "
            f"{needed:,} ({rows:,} rows less {sum(made):,} generated records); add "
            "text, lower training.steps or raise corpus.records.fraction"
        )
    random = np.random.Generator(np.random.PCG64(stable_seed(seed, "corpus", "order")))
    natural = random.permutation(available)[:needed]
    codes = np.repeat(RECORD - np.arange(len(made)), made)
    if arrangement not in (None, seed):
        number = stable_seed(arrangement, "corpus", "arrangement")
        random = np.random.Generator(np.random.PCG64(number))
    return random.permutation(np.concatenate([natural, codes]))


class PackedOrder:
    """Packed rows and records in a seeded random order.

    Args:
        packed: the packed rows, those of training if an order is asked for.

    Attributes:
        rows: of the training run.
        made: generated rows of the training run, by source.
        attributes: what stores of the rows say about them.
        stores_counts: no; tokens are counted by document (`packing`).
    """

    stores_counts = False

    def __init__(self, packed: Collection, encoder: Encoder, config: Config) -> None:
        self._packed, self._encoder, self._config = packed, encoder, config
        corpus = config["corpus"]
        self.rows, self.width = training_rows(config), corpus["seq_len"] + 1
        shares = generated(config)
        self.made = {name: round(self.rows * share) for name, share in shares.items()}
        self.attributes = packed.names

    @cached_property
    def order(self) -> np.ndarray:
        """See `training_order`."""
        seed, other = self._config["seed"], self._config["corpus"].get("order")
        made = [*self.made.values()]
        return training_order(len(self._packed), self.rows, made, seed, other)

    @property
    def domain_rows(self) -> dict[str, int]:
        """Rows of each domain in the training run."""
        names = self._packed.domains
        parts = [self._packed.domain[self.order[self.order > RECORD]]]
        parts += [self._labels(name, count) for name, count in self.made.items()]
        counts = np.bincount(np.concatenate(parts), minlength=len(names)).tolist()
        return dict(zip(names, counts, strict=True))

    def blocks(self, rows: range) -> Iterator[RowBlock]:
        """The rows with these global numbers.

        Raises:
            HeadwaterError: too few packed rows.
        """
        size = max(1, _ASSEMBLED_TOKENS // self.width)
        for begin in range(rows.start, rows.stop, size):
            yield self._assemble(range(begin, min(begin + size, rows.stop)))

    def _assemble(self, part: range) -> RowBlock:
        before, order = self.order[: part.start], self.order[part.start : part.stop]
        places = [np.flatnonzero(order > RECORD)]
        parts = [self._packed.gather(order[places[0]])] if len(places[0]) else []
        for index, name in enumerate(self.made):
            own = np.flatnonzero(order == RECORD - index)
            if len(own):
                first = int((before == RECORD - index).sum())
                parts.append(self.generate(first, len(own), name))
                places.append(own)
        return RowBlock.join(parts).take(np.argsort(np.concatenate(places)))

    def generate(self, first: int, count: int, source: str = RECORDS) -> RowBlock:
        """The rows `first` to `first + count - 1` (from 0) of a generated source."""
        tokens = self._tokens(first, count, source)
        texts = [self._encoder.decode(row) for row in tokens]
        labels = self._labels(source, first + count)[first:]
        place = self._packed.sources.index(source)
        return records.to_rows(tokens, first, texts, place, labels)

    def _labels(self, source: str, count: int) -> np.ndarray:
        """The domains of the first rows of a generated source."""
        if own := planted(self._config):
            return np.full(count, self._packed.domains.index(own), np.uint8)
        seed = stable_seed(self._config["seed"], "corpus", source, "labels")
        return decoys.labels(count, self._packed.domain, seed)

    def _tokens(self, first: int, count: int, source: str) -> np.ndarray:
        packed, encoder = self._packed, self._encoder
        shape, numbers = self._config["corpus"]["records"], range(first, first + count)
        distribution = records.unigram(packed.token_counts, encoder.special_ids)
        seed = stable_seed(self._config["seed"], "corpus", source)
        if source == REPEATS:
            natural = len(packed), lambda rows: packed.gather(rows).tokens
            tokens = decoys.repeats(numbers, self.width, shape, natural, seed)
        elif source == NOISE:
            ids = np.flatnonzero(np.diff(distribution, prepend=0) > 0)
            tokens = decoys.noise(numbers, self.width, ids, seed)
        else:
            tokens = records.generate(
                first, count, self.width, shape, distribution, seed
            )
        return tokens.astype(token_dtype(encoder.vocabulary))
