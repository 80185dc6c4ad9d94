"""Rows of the training order (or the held-out rows), for every later stage."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from headwater import stores
from headwater.corpus.domains import generated
from headwater.corpus.files import TEXT_SUFFIX
from headwater.corpus.rowstore import LINE, SOURCE, TOKEN
from headwater.errors import HeadwaterError, again
from headwater.identity import Config
from headwater.steps import training_rows

_CACHE_BYTES = 1 << 27


@dataclass(frozen=True)
class Span:
    """A stretch of a row and the text it was made from.

    Attributes:
        source: name of the source.
        line: line of the document in its source, from 1; the number of a generated row;
            or the number of the row, from 0, in a source of token ids.
        start: first character within the document's text; within the row's, in a source
            of token ids.
        stop: last character plus one.
        token: offset in the row of the first token.
        domain: name of the domain.
        source_rows: whether the source holds rows of token ids.
        generated: whether the row is generated.
    """

    source: str
    line: int
    start: int
    stop: int
    token: int
    domain: str
    source_rows: bool = False
    generated: bool = False

    @property
    def place(self) -> str:
        """Where to find it, for a person."""
        characters = f"characters {self.start:,} to {self.stop:,}"
        if self.generated:
            return f"generated row {self.line:,} of {self.source}"
        if self.source_rows:
            return f"{self.source}, row {self.line:,}, {characters}"
        return f"{self.source}{TEXT_SUFFIX}, line {self.line:,}, {characters}"


class Rows:
    """Stored rows under their global numbers, from 0.

    Whole blocks of rows are read and kept (128 MiB at most), so small batches in order
    cost no more than a copy.

    Args:
        paths: all shards of the training order, in order; or the held-out store alone.

    Attributes:
        sources: names of the sources.
        domain_names: names of the domains.

    Raises:
        HeadwaterError: a store is missing or made under another config, or the shards
            are not a whole training order.
    """

    def __init__(self, paths: Sequence[Path], config: Config) -> None:
        self._groups = [stores.open_group(path, config) for path in paths]
        attributes: list[dict[str, Any]] = [dict(group.attrs) for group in self._groups]
        self.sources: list[str] = attributes[0]["sources"]
        self.domain_names: list[str] = attributes[0]["domains"]
        self._source_rows = bool(attributes[0].get("source_rows", False))
        self._generated = [*generated(config)]
        self._arrays = [stores.array(group, "tokens") for group in self._groups]
        sizes = [array.shape[0] for array in self._arrays]
        self._starts: list[int] = np.cumsum([0, *sizes]).tolist()
        for path, start, found in zip(paths, self._starts, attributes, strict=False):
            _check_place(path, start, found, self._starts[-1], config)
        self._offsets: dict[int, np.ndarray] = {}
        self._block_rows: int = self._arrays[0].chunks[0]
        self.width: int = self._arrays[0].shape[1]
        self._blocks: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        block_bytes = self._block_rows * self.width * self._arrays[0].dtype.itemsize
        self._most_blocks = max(1, _CACHE_BYTES // block_bytes)

    def __len__(self) -> int:
        """Rows of all shards."""
        return self._starts[-1]

    def tokens(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop - 1`, int64 [stop - start, seq_len + 1].

        Raises:
            IndexError: outside the stored rows.
        """
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"rows {start} to {stop} of {len(self)}")
        rows = np.empty((stop - start, self.width), np.int64)
        done = 0
        while start + done < stop:
            block, first = self._find(start + done)
            part = block[first : first + stop - start - done]
            rows[done : done + len(part)] = part
            done += len(part)
        return rows

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Rows at these global numbers, int64 [k, seq_len + 1].

        Each block that holds some of them is read at most once.

        Args:
            indices: integers [k], any order, repeats allowed.

        Raises:
            IndexError: outside the stored rows.
        """
        indices = np.asarray(indices, np.int64)
        rows = np.empty((len(indices), self.width), np.int64)
        order = np.argsort(indices, kind="stable")
        ranks = indices[order]
        if len(ranks) and not 0 <= ranks[0] <= ranks[-1] < len(self):
            raise IndexError(f"rows {ranks[0]} to {ranks[-1]} of {len(self)}")
        done = 0
        while done < len(ranks):
            block, first = self._find(int(ranks[done]))
            begin = ranks[done] - first
            end = int(np.searchsorted(ranks, begin + len(block)))
            rows[order[done:end]] = block[ranks[done:end] - begin]
            done = end
        return rows

    def domains(self, start: int, stop: int) -> np.ndarray:
        """Domain of rows `start` to `stop - 1`: uint8, indices of `domain_names`."""
        return self._domain[start:stop]

    def spans(self, row: int) -> list[Span]:
        """The documents a row was made from, in the order of its tokens."""
        shard = self._shard(row)
        local = row - self._starts[shard]
        begin, end = self._span_offsets(shard)[local : local + 2].tolist()
        found = stores.read(self._groups[shard], "spans", slice(begin, end))
        return [self._span(*columns) for columns in found.tolist()]

    def file_of(self, source: str) -> str:
        """What to call a source: its file; generated rows, and token ids, its name."""
        plain = self._source_rows or source in self._generated
        return source if plain else f"{source}{TEXT_SUFFIX}"

    def span_table(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """All spans of rows `start` to `stop - 1`, as numbers.

        Returns:
            (int64 [spans, 6] as the stores keep them: source, line, start, stop, token,
            domain; int64 [stop - start + 1] where each row's begin, and the end of all)
        """
        parts, begins, done = [np.zeros((0, 6), np.int64)], [np.zeros(0, np.int64)], 0
        for spans, own in self._spans_of(start, stop):
            parts.append(spans)
            begins.append(own + done)
            done += len(spans)
        return np.concatenate(parts), np.concatenate([*begins, [done]])

    def longest_spans(self, start: int, stop: int) -> np.ndarray:
        """Tokens of the longest span of each of some rows, int64 [stop - start]."""
        found = [np.zeros(0, np.int64)]
        for spans, begins in self._spans_of(start, stop):
            found.append(np.maximum.reduceat(self._lengths(spans, begins), begins))
        return np.concatenate(found)

    def documents(self, start: int, stop: int) -> np.ndarray:
        """Source and line of the longest span of each row, int64 [stop - start, 2].

        Of equally long ones the first. Rows of one document have the same; in a source
        of token ids, which knows no documents, each row is one.
        """
        found = [np.zeros((0, 2), np.int64)]
        for spans, begins in self._spans_of(start, stop):
            lengths = self._lengths(spans, begins)
            owner = np.repeat(
                np.arange(len(begins)), np.diff(np.append(begins, len(spans)))
            )
            longest = np.lexsort((-lengths, owner))[begins]
            found.append(spans[longest][:, [SOURCE, LINE]])
        return np.concatenate(found)

    def _lengths(self, spans: np.ndarray, begins: np.ndarray) -> np.ndarray:
        ends = np.append(spans[1:, TOKEN], self.width)
        ends[np.append(begins[1:], len(spans)) - 1] = self.width
        return np.asarray(ends - spans[:, TOKEN], np.int64)

    def first_sources(self, start: int, stop: int) -> np.ndarray:
        """Source of the first span of each of some rows: indices of `sources`."""
        found = [spans[begins, SOURCE] for spans, begins in self._spans_of(start, stop)]
        return np.concatenate([np.zeros(0, np.int64), *found])

    def _spans_of(self, start: int, stop: int) -> Iterator[tuple[np.ndarray, ...]]:
        """Shard by shard all spans of some rows, and where each row's begin."""
        for shard, (first, last) in enumerate(pairwise(self._starts)):
            here = slice(max(start, first) - first, min(stop, last) - first + 1)
            if here.stop - here.start > 1:
                offsets = self._span_offsets(shard)[here]
                kept = slice(int(offsets[0]), int(offsets[-1]))
                spans = stores.read(self._groups[shard], "spans", kept)
                yield spans, offsets[:-1] - offsets[0]

    def _span(
        self, source: int, line: int, start: int, stop: int, token: int, domain: int
    ) -> Span:
        name, kind = self.sources[source], self.domain_names[domain]
        made = name in self._generated
        return Span(name, line, start, stop, token, kind, self._source_rows, made)

    @cached_property
    def _domain(self) -> np.ndarray:
        return np.concatenate([stores.read(group, "domain") for group in self._groups])

    def _span_offsets(self, shard: int) -> np.ndarray:
        if shard not in self._offsets:
            self._offsets[shard] = stores.read(self._groups[shard], "span_offsets")
        return self._offsets[shard]

    def _shard(self, row: int) -> int:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        return bisect_right(self._starts, row) - 1

    def _find(self, row: int) -> tuple[np.ndarray, int]:
        """The block that holds a global row, and the row's place in it."""
        shard = self._shard(row)
        number, place = divmod(row - self._starts[shard], self._block_rows)
        key = shard, number
        if key not in self._blocks:
            first = number * self._block_rows
            array = self._arrays[shard]
            rows = slice(first, first + self._block_rows)
            self._blocks[key] = stores.values(array, rows)
            if len(self._blocks) > self._most_blocks:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(key)
        return self._blocks[key], place


def _check_place(
    path: Path, start: int, found: dict, rows: int, config: Config
) -> None:
    if found["first_row"] != start or found["total_rows"] != rows:
        raise HeadwaterError(
            f"{path}: begins at row {found['first_row']:,} of {found['total_rows']:,}, "
            f"expected row {start:,} of {rows:,}; the shards are not one whole "
            f"training order; {again(path)}"
        )
    wanted = training_rows(config)
    if found[stores.ATTRIBUTE].get("rows", wanted) != wanted:
        raise HeadwaterError(
            f"{path}: made for {found['total_rows']:,} training rows, the config now "
            f"asks for {wanted:,} (training.steps x training.batch_size); "
            f"{again(path)}"
        )
