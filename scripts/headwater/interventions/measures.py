"""What a row's tokens say of it, without a model."""

import zlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64, Int, Int64, UInt64

from headwater.corpus.window import WindowRows

NGRAM = 4  # tokens; fewer repeat by chance, more only in copies
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, and its bits are as good as random
_LEVEL = 9


def ngrams(
    tokens: Int[np.ndarray, "rows width"], length: int
) -> UInt64[np.ndarray, "rows starts"]:
    """A 64-bit number for each n-gram of tokens, the same for equal ones.

    Different ones share a number with a chance of about 2^-64.
    """
    starts = tokens.shape[1] - length + 1
    found = np.full((len(tokens), max(0, starts)), length, np.uint64)
    for place in range(length if starts > 0 else 0):
        own = tokens[:, place : place + starts].astype(np.uint64)
        found = (found ^ (found >> np.uint64(29))) * _BASE + own
    return found * _BASE


def repetition(
    tokens: Int[np.ndarray, "rows width"],
) -> Float64[np.ndarray, " rows"]:
    """Share of a row's 4-grams of tokens that stand earlier in the row, too.

    Rows of fewer than 4 tokens repeat nothing.
    """
    found = np.sort(ngrams(tokens, NGRAM), axis=1)
    again = (found[:, 1:] == found[:, :-1]).sum(axis=1)
    return np.asarray(again / max(1, found.shape[1]), np.float64)


def own_tokens(
    tokens: Int[np.ndarray, "rows width"], longest: Int64[np.ndarray, " rows"]
) -> Int64[np.ndarray, " rows"]:
    """Length of the longest document in a row, without what pads the row.

    Args:
        longest: stretch of one document in each row, tokens.

    """
    return np.minimum(longest, unpadded(tokens))


def unpadded(tokens: Int[np.ndarray, "rows width"]) -> Int64[np.ndarray, " rows"]:
    """Tokens of each row without what pads it.

    A run of one token at a row's end is its padding, but for the first of them.
    """
    width = tokens.shape[1]
    same = tokens == tokens[:, -1:]
    run = np.where(same.all(axis=1), width, np.argmin(same[:, ::-1], axis=1))
    return np.asarray(width - run + 1, np.int64)


def compressed(tokens: Int[np.ndarray, "rows width"]) -> Int64[np.ndarray, " rows"]:
    """Bytes of a row's token ids, compressed as gzip does (deflate)."""
    ids = np.ascontiguousarray(tokens, np.uint32)
    return np.array([len(zlib.compress(row.tobytes(), _LEVEL)) for row in ids])


def rarity(
    tokens: Int[np.ndarray, "rows width"], counts: Int64[np.ndarray, " ids"]
) -> Float64[np.ndarray, " rows"]:
    """Mean surprise of a row's tokens by their frequency alone, nats a token.

    Args:
        counts: of every id in the rows that are compared.
    """
    surprise = -np.log(np.maximum(counts, 1) / counts.sum())
    return np.asarray(surprise[tokens].mean(axis=1), np.float64)


def batches(total: int, width: int) -> Iterator[slice]:
    """Rows in parts of some megabytes."""
    size = max(1, (1 << 20) // width)
    yield from (slice(i, min(i + size, total)) for i in range(0, total, size))


def text_rankings(
    window: WindowRows, counts: Int64[np.ndarray, " ids"]
) -> dict[str, Float64[np.ndarray, " rows"]]:
    """Rankings by the rows' tokens that no arm picks by: `gzip` and `rarity`.

    Args:
        counts: of every id in text like the rows'.
    """
    found = {"gzip": np.empty(len(window)), "rarity": np.empty(len(window))}
    for part in batches(len(window), window.rows.width):
        tokens = window.tokens(range(part.start, part.stop))
        found["gzip"][part] = -compressed(tokens)  # what repeats is small
        found["rarity"][part] = rarity(tokens, counts)
    return found
