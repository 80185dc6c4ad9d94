"""Rows that a user brings to be scored: JSON lines, cut as the corpus is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from headwater.corpus.encoding import Encoder, split_points
from headwater.errors import HeadwaterError
from headwater.probes.dataset import check_ids, lines_of, tokens_of
from headwater.strictjson import loads

KEYS = ("tokens", "text")
LEAST = 2  # tokens: the first is only read


@dataclass(frozen=True)
class NewRow:
    """A row of a file, or a part of one that was too long.

    Attributes:
        line: of the file, from 1.
        part: of the line, from 1.
        tokens: token ids.
    """

    line: int
    part: int
    tokens: Int64[np.ndarray, " tokens"]


def encode_with(encoder: Encoder) -> Callable[[str], list[int]]:
    """The tokens of a text of any length, as the corpus's own are made."""

    def encode(text: str) -> list[int]:
        pieces = [text[start:stop] for start, stop in split_points(text)]
        return [int(token) for own in encoder.encode(pieces) for token in own.ids]

    return encode


def read_new_rows(
    path: Path, encode: Callable[[str], list[int]], vocabulary: int, width: int
) -> list[NewRow]:
    """Read rows to be scored: a line holds `text` or `tokens` (ids), and nothing else.

    What is longer than a row of the corpus is cut into rows, one after the other. The
    last is shorter, and what is left of a single token is dropped: it only would be
    read. No end of a document is added, as a line need not be a whole one.

    Args:
        encode: text to token ids.
        vocabulary: ids must be below it.
        width: most tokens of a row.

    Raises:
        HeadwaterError: names the file, the line and the key.
    """
    rows: list[NewRow] = []
    for number, line in enumerate(lines_of(path), start=1):
        try:
            tokens = tokens_of(loads(line), encode, KEYS)
            check_ids(tokens, vocabulary)
            if len(tokens) < LEAST:
                raise ValueError(f"{len(tokens)} tokens; a row needs at least {LEAST}")
        except ValueError as error:
            raise HeadwaterError(f"{path}: line {number}: {error}") from error
        ids = np.array(tokens, np.int64)
        parts = [ids[start : start + width] for start in range(0, len(ids), width)]
        whole = [part for part in parts if len(part) >= LEAST]
        rows += [NewRow(number, i, part) for i, part in enumerate(whole, start=1)]
    return rows
