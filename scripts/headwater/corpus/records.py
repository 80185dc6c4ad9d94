"""The generated domain "records": rows that repeat one fresh record over and over.

A record is a sequence of fields, each one token drawn from the corpus's own unigram
distribution. A *varying* field gets a new token at every repetition. Nothing but the
repetition predicts a record, so a model that reads them learns to copy: without such
rows, no induction head forms within a laptop's budget.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from headwater.corpus.rowstore import RowBlock
from headwater.errors import HeadwaterError

Shape = Mapping[str, Any]

_BLOCK_DRAWS = 1 << 22


def unigram(token_counts: np.ndarray, special_ids: list[int]) -> np.ndarray:
    """Cumulative distribution of the tokens of natural text, float64 [vocabulary].

    Args:
        token_counts: int64 [vocabulary], over the training documents.
        special_ids: ids that never stand in a record.

    Raises:
        HeadwaterError: no natural token was counted.
    """
    counts = token_counts.copy()
    counts[special_ids] = 0
    total = np.cumsum(counts)
    if total[-1] == 0:
        raise HeadwaterError(
            "corpus.records: the corpus has no training text to draw the fields from; "
            "add text or set corpus.records.fraction to 0"
        )
    return total / total[-1]


def generate(
    first: int,
    count: int,
    width: int,
    record: Shape,
    distribution: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Token rows of the records `first` to `first + count - 1`.

    A record depends on its number and the seed only: each owns a fixed stretch of one
    counter-based random stream.

    Args:
        first: number of the first record, from 0.
        record: the shape of a record, `corpus.records`.
        distribution: from `unigram`.

    Returns:
        int64 [count, width].
    """
    rows = np.empty((count, width), np.int64)
    step = max(1, _BLOCK_DRAWS // _draws(width, record))
    for start in range(0, count, step):
        stop = min(start + step, count)
        uniform = _uniform(first + start, stop - start, width, record, seed)
        rows[start:stop] = _fill(uniform, width, record, distribution)
    return rows


def _draws(width: int, record: Shape) -> int:
    """Random numbers that a record owns.

    Its length, a token and a flag for each field, and a row's worth of fresh tokens;
    rounded up to whole steps of Philox's counter, of four numbers each.
    """
    return -(-(1 + 2 * record["max_length"] + width) // 4) * 4


def _uniform(
    first: int, count: int, width: int, record: Shape, seed: int
) -> np.ndarray:
    draws = _draws(width, record)
    stream = np.random.Philox(key=seed, counter=first * (draws // 4))
    return np.random.Generator(stream).random((count, draws))


def _fill(
    uniform: np.ndarray, width: int, record: Shape, distribution: np.ndarray
) -> np.ndarray:
    most = record["max_length"]
    lengths = record["min_length"] + np.floor(
        uniform[:, 0] * (most - record["min_length"] + 1)
    ).astype(np.int64)
    tokens = _draw(uniform[:, 1 : 1 + most], distribution)
    varies = uniform[:, 1 + most : 1 + 2 * most] < record["varying"]
    fresh = _draw(uniform[:, 1 + 2 * most : 1 + 2 * most + width], distribution)
    fields = np.arange(width) % lengths[:, None]  # [count, width]
    repeated = np.take_along_axis(tokens, fields, axis=1)
    return np.where(np.take_along_axis(varies, fields, axis=1), fresh, repeated)


def _draw(uniform: np.ndarray, distribution: np.ndarray) -> np.ndarray:
    return np.searchsorted(distribution, uniform, side="right")


def to_rows(
    tokens: np.ndarray, first: int, texts: list[str], source: int, domain: np.ndarray
) -> RowBlock:
    """Generated rows; each is its own document, whose line is its number from 1.

    Args:
        tokens: [count, width].
        first: number of the first row of its source, from 0.
        source: index of the generated source.
        domain: index of each row's domain, uint8 [count].
    """
    count = len(tokens)
    spans = np.zeros((count, 6), np.int64)
    spans[:, 0] = source
    spans[:, 1] = first + 1 + np.arange(count)
    spans[:, 3] = [len(text) for text in texts]
    spans[:, 5] = domain
    return RowBlock(tokens, domain, np.ones(count, np.int64), spans)
