"""Spans of tokens that a row holds more than once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

SHORTEST = 4  # tokens of a span
MOST = 24  # spans marked in a row; the longest come first


@dataclass(frozen=True)
class Repeats:
    """The repeated spans of some rows.

    Attributes:
        offsets: where each row's begin, and the end of all.
        start: first token of each.
        end: its last plus one.
        id: within its row; spans of one id hold the same tokens.
    """

    offsets: np.ndarray
    start: np.ndarray
    end: np.ndarray
    id: np.ndarray


def repeats(tokens: Int[np.ndarray, "rows width"]) -> Repeats:
    """The longest repeated spans of every row, none over another.

    A span and its copy do not overlap each other either, so a run of one token counts
    as a half and its copy.
    """
    rows, firsts, lags, lengths = _matches(tokens)
    order = np.lexsort((lags, firsts, -lengths, rows))
    bounds = np.searchsorted(rows[order], np.arange(len(tokens) + 1))
    found, offsets = [], [0]
    columns = np.stack([firsts, lags, lengths], axis=1)[order].tolist()
    for row, line in enumerate(tokens):
        own = columns[bounds[row] : bounds[row + 1]]
        found += sorted(_chosen(line, own))
        offsets.append(len(found))
    table = np.array(found, np.int64).reshape(-1, 3)
    return Repeats(np.array(offsets), table[:, 0], table[:, 1], table[:, 2])


def _matches(tokens: np.ndarray) -> tuple[np.ndarray, ...]:
    """Row, first token, distance to the copy, and length of every match."""
    count, width = tokens.shape
    parts: list[tuple[np.ndarray, ...]] = []
    # Values that fit in less memory compare faster.
    small = tokens.astype(np.uint16 if tokens.max(initial=0) < 1 << 16 else np.uint32)
    for lag in range(SHORTEST, width - SHORTEST + 1):
        same = np.zeros((count, width - lag + 2), np.int8)
        same[:, 1:-1] = small[:, :-lag] == small[:, lag:]
        edges = np.diff(same, axis=1)
        row, begin = np.nonzero(edges == 1)
        _, stop = np.nonzero(edges == -1)
        length = np.minimum(stop - begin, lag)
        kept = length >= SHORTEST
        distance = np.full(int(kept.sum()), lag)
        parts.append((row[kept], begin[kept], distance, length[kept]))
    if not parts:
        return tuple(np.zeros(0, np.int64) for _ in range(4))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _chosen(
    tokens: np.ndarray, matches: list[list[int]]
) -> Iterator[tuple[int, int, int]]:
    """Start, end and id of the spans of a row, from matches in their order."""
    covered = 0
    ids: dict[bytes, int] = {}
    marked: set[tuple[int, int]] = set()
    for first, lag, length in matches:
        one, other = first, first + lag
        bits = (1 << length) - 1
        free = [place for place in (one, other) if not covered & (bits << place)]
        known = [place for place in (one, other) if (place, length) in marked]
        if len(free) + len(known) < 2 or not free:
            continue
        if len(marked) + len(free) > MOST:
            return
        name = ids.setdefault(tokens[one : one + length].tobytes(), len(ids))
        for place in free:
            covered |= bits << place
            marked.add((place, length))
            yield place, place + length, name
