"""Rows of tokens with the documents they came from: in memory, and in Zarr.

A *span* says which characters of which document a stretch of a row holds. Row `i` owns
`spans[span_offsets[i]:span_offsets[i + 1]]`, in the order of its tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr

from headwater import stores
from headwater.shardfile import ShardFile, array_folder, encode

# Columns of `spans`. Source and domain are indices into the store's lists of names; the
# line counts from 1; characters count within the document's text.
SOURCE, LINE, START, STOP, TOKEN, DOMAIN = range(6)

_BLOCK_TOKENS = 1 << 22  # read at once
_BLOCK_ROWS = 8192
_SPANS_A_BLOCK = 1 << 16
_FILE_TOKENS = 1 << 25  # in one file
_FILE_ENTRIES = 1 << 20  # of the other arrays


@dataclass(frozen=True)
class RowBlock:
    """Some rows, in memory.

    Attributes:
        tokens: unsigned integers [rows, seq_len + 1].
        domain: uint8 [rows], the domain that most tokens of the row belong to.
        span_counts: int64 [rows].
        spans: int64 [sum of span_counts, 6], see the column constants.
    """

    tokens: np.ndarray
    domain: np.ndarray
    span_counts: np.ndarray
    spans: np.ndarray

    def take(self, rows: np.ndarray) -> "RowBlock":
        """The rows at these indices (int64 [k], any order, repeats allowed)."""
        counts = self.span_counts[rows]
        starts = (np.cumsum(self.span_counts) - self.span_counts)[rows]
        spans = self.spans[ragged_indices(starts, counts)]
        return RowBlock(self.tokens[rows], self.domain[rows], counts, spans)


class Assembly:
    """Rows put together from blocks that come in another order.

    Args:
        width: tokens of a row.
    """

    def __init__(self, count: int, width: int, dtype: np.dtype) -> None:
        self._tokens = np.empty((count, width), dtype)
        self._domain = np.empty(count, np.uint8)
        self._counts = np.zeros(count, np.int64)
        self._starts = np.zeros(count, np.int64)  # into the spans in order of arrival
        self._spans = [np.empty((0, 6), np.int64)]
        self._arrived = 0

    def place(self, places: np.ndarray, block: RowBlock) -> None:
        """Put the rows of a block at these places (int64 [rows of the block])."""
        self._tokens[places] = block.tokens
        self._domain[places] = block.domain
        self._counts[places] = block.span_counts
        starts = np.cumsum(block.span_counts) - block.span_counts
        self._starts[places] = self._arrived + starts
        self._spans.append(block.spans)
        self._arrived += len(block.spans)

    def finish(self) -> RowBlock:
        """The rows, once every place is taken."""
        order = ragged_indices(self._starts, self._counts)
        spans = np.concatenate(self._spans)[order]
        return RowBlock(self._tokens, self._domain, self._counts, spans)


def ragged_indices(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The concatenation of `range(start, start + count)`, int64."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - counts), counts) + np.arange(total)


def token_dtype(vocabulary: int) -> np.dtype:
    """The smallest type that holds every token id of a vocabulary."""
    return np.dtype(np.uint16 if vocabulary <= 1 << 16 else np.uint32)


def block_rows(width: int) -> int:
    """Rows of one stored block: at most 8192, fewer when rows are long."""
    return max(1, min(_BLOCK_ROWS, _BLOCK_TOKENS // width))


def layout(name: str, width: int) -> tuple[int, int]:
    """(entries of a chunk, chunks of a file) of an array of a rows group.

    Args:
        width: tokens of a row.
    """
    block = _SPANS_A_BLOCK if name == "spans" else block_rows(width)
    entries = _FILE_TOKENS // width if name == "tokens" else _FILE_ENTRIES
    return block, max(1, entries // block)


class RowWriter:
    """Appends rows to a new Zarr group in whole blocks; memory holds one block.

    A file (a Zarr shard) holds many blocks, each of which is read by itself.

    Args:
        group: an empty group.
        width: tokens of a row, seq_len + 1.
    """

    def __init__(self, group: zarr.Group, width: int, dtype: np.dtype) -> None:
        uint8, int64 = np.dtype(np.uint8), np.dtype(np.int64)

        def appender(
            name: str, dtype: np.dtype, shape: tuple[int, ...] = ()
        ) -> _Appender:
            block, blocks = layout(name, width)
            return _Appender(group, name, dtype, block, blocks, shape)

        self._tokens = appender("tokens", dtype, (width,))
        self._domain = appender("domain", uint8)
        self._offsets = appender("span_offsets", int64)
        self._spans = appender("spans", int64, (6,))
        self._span_count = 0
        self._offsets.append(np.zeros(1, np.int64))

    def append(self, block: RowBlock) -> None:
        """Add rows after those already there."""
        self._tokens.append(block.tokens)
        self._domain.append(block.domain)
        self._offsets.append(self._span_count + np.cumsum(block.span_counts))
        self._spans.append(block.spans)
        self._span_count += len(block.spans)

    def close(self) -> None:
        """Write what is still in memory."""
        for appender in (self._tokens, self._domain, self._offsets, self._spans):
            appender.close()


class _Appender:
    """One growing array; writes only whole blocks, so none is written twice.

    Args:
        group: where to; on disk.
        block: entries of a chunk.
        blocks: chunks of a shard.
        shape: of a row.
    """

    def __init__(
        self,
        group: zarr.Group,
        name: str,
        dtype: np.dtype,
        block: int,
        blocks: int,
        shape: tuple[int, ...] = (),
    ) -> None:
        self._blocks = blocks
        self._array = group.create_array(
            name,
            shape=(0, *shape),
            dtype=dtype,
            chunks=(block, *shape),
            shards=(block * blocks, *shape),
        )
        self._dtype, self._block, self._shape = dtype, block, shape
        self._waiting: list[np.ndarray] = []
        self._count = self._written = 0
        self._shard: ShardFile | None = None

    def append(self, values: np.ndarray) -> None:
        self._waiting.append(values.astype(self._dtype, copy=False))
        self._count += len(values)
        if self._count >= self._block:
            values = self._join()
            whole = self._count - self._count % self._block
            for start in range(0, whole, self._block):
                self._write(values[start : start + self._block])
            self._waiting = [values[whole:].copy()]
            self._count -= whole

    def _write(self, block: np.ndarray) -> None:
        number, place = divmod(self._written // self._block, self._blocks)
        ones = (1,) * len(self._shape)
        if place == 0:
            self._close_shard()
            folder = array_folder(self._array).joinpath("c", str(number))
            path = folder.joinpath(*("0" * len(self._shape)))
            self._shard = ShardFile(path, (self._blocks, *ones))
        encoded = encode(block)
        if encoded and self._shard:
            self._shard.append((place, *(0 for _ in ones)), encoded)
        self._written += self._block

    def _close_shard(self) -> None:
        if self._shard:
            self._shard.close()

    def close(self) -> None:
        rows = self._written + self._count
        if self._count:
            padded = np.zeros((self._block, *self._shape), self._dtype)
            padded[: self._count] = self._join()
            self._write(padded)
        self._close_shard()
        self._array.resize((rows, *self._shape))
        self._waiting, self._count = [], 0

    def _join(self) -> np.ndarray:
        # A whole shard may come as one block: do not copy it.
        return (
            self._waiting[0]
            if len(self._waiting) == 1
            else np.concatenate(self._waiting)
        )


def iterate_blocks(
    group: zarr.Group, rows: np.ndarray
) -> Iterator[tuple[slice, RowBlock]]:
    """The wanted rows of a stored group, reading each block that holds some once.

    Args:
        group: a rows group.
        rows: int64 [k], sorted row numbers.

    Yields:
        Which of `rows` a block holds, and those rows.
    """
    size = stores.array(group, "tokens").chunks[0]
    count = stored_rows(group)
    for number in np.unique(rows // size):
        low, high = np.searchsorted(rows, (number * size, (number + 1) * size))
        first = int(number) * size
        here = slice(first, min(first + size, count))
        bounds = stores.read(group, "span_offsets", slice(here.start, here.stop + 1))
        block = RowBlock(
            stores.read(group, "tokens", here),
            stores.read(group, "domain", here),
            np.diff(bounds),
            stores.read(group, "spans", slice(int(bounds[0]), int(bounds[-1]))),
        )
        yield slice(int(low), int(high)), block.take(rows[low:high] - first)


def stored_rows(group: zarr.Group) -> int:
    """Rows of a stored rows group."""
    return int(stores.array(group, "tokens").shape[0])


def attributes(group: zarr.Group) -> dict[str, Any]:
    """What a store says about itself."""
    return dict(group.attrs)
