"""Rows of tokens with the documents they came from: in memory, and in Zarr.

A *span* says which characters of which document a stretch of a row holds. Row `i` owns
`spans[span_offsets[i]:span_offsets[i + 1]]`, in the order of its tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import zarr

from headwater import stores

# Columns of `spans`. Source and domain are indices into the store's lists of names; the
# line counts from 1; characters count within the document's text.
SOURCE, LINE, START, STOP, TOKEN, DOMAIN = range(6)

TOKEN_COUNTS = "token_counts"  # of natural training text, beside rows: [vocabulary]

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

    @classmethod
    def join(cls, blocks: Sequence["RowBlock"]) -> "RowBlock":
        """The rows of some blocks (at least one), one after the other."""
        parts = zip(*(vars(block).values() for block in blocks), strict=True)
        return cls(*map(np.concatenate, parts))


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
    """(entries of a chunk, chunks of a file) of an array of a rows group."""
    block = _SPANS_A_BLOCK if name == "spans" else block_rows(width)
    entries = _FILE_TOKENS // width if name == "tokens" else _FILE_ENTRIES
    return block, max(1, entries // block)


class RowWriter:
    """Appends rows to a new Zarr group, a whole file of an array at a time.

    A file (a Zarr shard) holds many blocks, each of which is read by itself. Memory
    holds one file of each array.

    Args:
        group: an empty group.
        width: tokens of a row, seq_len + 1.
    """

    def __init__(self, group: zarr.Group, width: int, dtype: np.dtype) -> None:
        uint8, int64 = np.dtype(np.uint8), np.dtype(np.int64)
        self._columns = [
            _Column(group, "tokens", dtype, width, (width,)),
            _Column(group, "domain", uint8, width),
            _Column(group, "span_offsets", int64, width),
            _Column(group, "spans", int64, width, (6,)),
        ]
        self._span_count = 0
        self._columns[2].append(np.zeros(1, np.int64))

    def append(self, block: RowBlock) -> None:
        """Add rows after those already there."""
        offsets = self._span_count + np.cumsum(block.span_counts)
        values = block.tokens, block.domain, offsets, block.spans
        for column, added in zip(self._columns, values, strict=True):
            column.append(added)
        self._span_count += len(block.spans)

    def close(self) -> None:
        """Write what is still in memory."""
        for column in self._columns:
            column.write()


class _Column:
    """One growing array, and what of it is not written yet: less than a file."""

    def __init__(
        self,
        group: zarr.Group,
        name: str,
        dtype: np.dtype,
        width: int,
        shape: tuple[int, ...] = (),
    ) -> None:
        block, blocks = layout(name, width)
        self._array = stores.create_array(
            group,
            name,
            (0, *shape),
            dtype,
            chunks=(block, *shape),
            shards=(block * blocks, *shape),
        )
        self._waiting = np.empty((block * blocks, *shape), dtype)
        self._count = 0

    def append(self, values: np.ndarray) -> None:
        while len(values):
            part = values[: len(self._waiting) - self._count]
            self._waiting[self._count : self._count + len(part)] = part
            self._count += len(part)
            values = values[len(part) :]
            if self._count == len(self._waiting):
                self.write()

    def write(self) -> None:
        first, *shape = self._array.shape
        self._array.resize((first + self._count, *shape))
        if self._count:
            self._array[first:] = self._waiting[: self._count]
        self._count = 0


def take_stored(group: zarr.Group, rows: np.ndarray) -> Iterator[RowBlock]:
    """Rows of a stored group, in order; each block that holds some is read once.

    Args:
        rows: int64 [k], sorted row numbers.
    """
    names = "tokens", "domain", "span_offsets", "spans"
    tokens, domain, offsets, spans = (stores.array(group, name) for name in names)
    size, count = tokens.chunks[0], tokens.shape[0]
    for number in np.unique(rows // size):
        low, high = np.searchsorted(rows, (number * size, (number + 1) * size))
        first = int(number) * size
        here = slice(first, min(first + size, count))
        bounds = stores.values(offsets, slice(here.start, here.stop + 1))
        block = RowBlock(
            stores.values(tokens, here),
            stores.values(domain, here),
            np.diff(bounds),
            stores.values(spans, slice(int(bounds[0]), int(bounds[-1]))),
        )
        yield block.take(rows[low:high] - first)


def stored_rows(group: zarr.Group) -> int:
    """Rows of a stored rows group."""
    return int(stores.array(group, "tokens").shape[0])
