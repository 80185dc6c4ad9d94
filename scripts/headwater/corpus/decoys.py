"""Rows that are no use to a head, and what a ranking could mistake them for useful by.

repeats   a snippet of the corpus's own text, repeated to the end of the row: as
          repetitive as a record, but its words predict each other
noise     different tokens of the corpus in random order: as surprising as a record,
          but nothing comes again

A row depends on its number and the seed only. With hidden labels, generated rows carry
the domain of a random row of natural text: only their source tells what they are.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from headwater.errors import HeadwaterError


def repeats(
    numbers: range,
    width: int,
    shape: Mapping[str, Any],
    natural: tuple[int, Callable[[np.ndarray], np.ndarray]],
    seed: int,
) -> np.ndarray:
    """Rows of repeated snippets, int64 [numbers, width].

    Args:
        shape: `corpus.records`, for the length of a snippet in tokens.
        natural: how many rows of natural text there are, and their tokens by number.
    """
    available, tokens_of = natural
    shortest, longest = shape["min_length"], shape["max_length"]
    draws = np.empty((3, len(numbers)), np.int64)
    for place, number in enumerate(numbers):
        stream = _stream(seed, number)
        length = stream.integers(shortest, longest, endpoint=True)
        start = stream.integers(width - length, endpoint=True)
        draws[:, place] = stream.integers(available), start, length
    rows, starts, lengths = draws
    places = np.arange(width) % lengths[:, None] + starts[:, None]
    return np.take_along_axis(tokens_of(rows), places, axis=1)


def noise(numbers: range, width: int, ids: np.ndarray, seed: int) -> np.ndarray:
    """Rows of different random tokens, int64 [numbers, width].

    Args:
        ids: tokens to draw from.

    Raises:
        HeadwaterError: they are too few for a row.
    """
    if len(ids) < width:
        raise HeadwaterError(
            f"corpus.records.noise: a row has {width} different tokens, but only "
            f"{len(ids)} occur in the corpus; lower corpus.seq_len, or set it to 0"
        )
    drawn = [_stream(seed, n).choice(ids, width, replace=False) for n in numbers]
    return np.stack(drawn).astype(np.int64)


def labels(count: int, domain: np.ndarray, seed: int) -> np.ndarray:
    """The domains that so many generated rows carry, in proportion, uint8 [count].

    Args:
        domain: of every row of natural text.
    """
    stream = np.random.Generator(np.random.Philox(key=seed))
    return np.asarray(domain[stream.integers(len(domain), size=count)], np.uint8)


def _stream(seed: int, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, number]))
