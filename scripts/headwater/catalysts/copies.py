"""How much of generated rows stands in training rows: the longest shared span.

Spans are compared by a 64-bit number each, a polynomial of their tokens modulo 2^64,
which differences of running sums give for every start at once (Karp and Rabin 1987).
Two unlike spans share a number with a chance of about 2^-64, and no span is missed. The
polynomial has a known weakness, strings of Thue and Morse of a thousand tokens, which
neither text nor the generator writes.
"""

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from jaxtyping import Bool, Int64, Integer, UInt64

_AT_ONCE = 4096  # generated rows that are looked up at a time
_SIEVE = np.uint64(26)  # bits of a number by which almost all others are told apart
_ODD = np.uint64(0x9E3779B97F4A7C15)
_BASE = 0xD1342543DE82EF95  # odd, so that it has an inverse
_MIX = np.uint64(29)

# Asked for all training rows anew on every call: parts of them, [rows, width].
Training = Callable[[], Iterator[Int64[np.ndarray, "_ width"]]]


def spans(
    tokens: Integer[np.ndarray, "rows width"], length: int
) -> UInt64[np.ndarray, "rows starts"]:
    """A number for each span of so many tokens; the width must hold one."""
    powers, inverses = _powers(tokens.shape[1])
    numbers = _mixed(tokens.astype(np.uint64) + np.uint64(1))
    numbers *= powers
    sums = np.zeros((len(tokens), tokens.shape[1] + 1), np.uint64)
    np.cumsum(numbers, axis=1, out=sums[:, 1:])
    starts = tokens.shape[1] - length + 1
    return (sums[:, length:] - sums[:, :starts]) * inverses[:starts]


@cache
def _powers(
    width: int,
) -> tuple[UInt64[np.ndarray, " width"], UInt64[np.ndarray, " width"]]:
    """The powers of the polynomial's base from 0 on, and their inverses."""
    bases = _BASE, pow(_BASE, -1, 1 << 64)
    factors = (np.full(width, base, np.uint64) for base in bases)
    one, other = (np.multiply.accumulate(own) for own in factors)
    first = np.ones(1, np.uint64)
    powers, inverses = (np.concatenate([first, o])[:width] for o in (one, other))
    return powers, inverses


def _mixed(numbers: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    numbers = numbers * _ODD
    numbers ^= numbers >> _MIX
    numbers *= _ODD
    return numbers ^ (numbers >> np.uint64(32))


def sharing(
    rows: Integer[np.ndarray, "rows width"], training: Training, length: int
) -> Bool[np.ndarray, " rows"]:
    """Which rows have a span of so many tokens in common with a training row."""
    found = np.zeros(len(rows), bool)
    if not len(rows) or length > rows.shape[1]:
        return found
    parts = [slice(n, n + _AT_ONCE) for n in range(0, len(rows), _AT_ONCE)]
    sieve = np.zeros(1 << int(_SIEVE), bool)
    for part in parts:
        sieve[_place(spans(rows[part], length))] = True
    maybe = [np.zeros(0, np.uint64)]
    for some in training():
        if some.shape[1] >= length:
            theirs = spans(some, length).ravel()
            maybe.append(np.unique(theirs[sieve[_place(theirs)]]))
    known = np.unique(np.concatenate(maybe))
    sieve[:] = False
    sieve[_place(known)] = True
    for part in parts if len(known) else []:
        own = spans(rows[part], length)
        row, start = np.nonzero(sieve[_place(own)])  # few, and looked up in full
        numbers = own[row, start]
        near = np.searchsorted(known, numbers).clip(max=len(known) - 1)
        found[part.start + row[known[near] == numbers]] = True
    return found


def _place(numbers: UInt64[np.ndarray, "..."]) -> Int64[np.ndarray, "..."]:
    return (numbers >> (np.uint64(64) - _SIEVE)).astype(np.int64)


def longest_shared(
    rows: Integer[np.ndarray, "rows width"], training: Training, below: int
) -> int:
    """Tokens of the longest span that a row shares with a training row.

    Args:
        below: a length that no row shares.
    """
    low, high = 0, below
    while high - low > 1:  # `low` is shared, `high` is not; mostly it is short
        middle = min(max(2 * low, 16), (low + high + 1) // 2)
        found = sharing(rows, training, middle)
        if found.any():
            low, rows = middle, rows[found]  # no other shares more
        else:
            high = middle
    return low
