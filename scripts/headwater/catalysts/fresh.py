"""Fresh rows that share no long span with a training row."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Int64, Integer

from headwater.catalysts.copies import Training, sharing
from headwater.catalysts.motiffile import Program, read_motifs
from headwater.catalysts.written import Writer
from headwater.corpus.encoding import Encoder
from headwater.corpus.rows import Rows
from headwater.errors import HeadwaterError

_AT_ONCE = 4096  # rows
_PART_TOKENS = 1 << 22  # of training rows
_MOST_REFUSED = 2  # rows that are left out, for each that is wanted


def programs_of(path: Path, encoder: Encoder) -> list[Program]:
    """The motifs of a file in an experiment's tokens (`motiffile.read_motifs`)."""
    return read_motifs(
        path,
        lambda text: encoder.encode([text])[0].ids.tolist(),
        lambda tokens: encoder.decode_many([np.array(tokens)])[0],
        encoder.vocabulary,
    )


def every_row(rows: Rows) -> Training:
    """All training rows in parts, as `copies` asks for them."""

    def parts() -> Iterator[Int64[np.ndarray, "_ width"]]:
        size = max(1, _PART_TOKENS // rows.width)
        for first in range(0, len(rows), size):
            yield rows.tokens(first, min(first + size, len(rows)))

    return parts


def longest_allowed(width: int) -> int:
    """Tokens in a row that a fresh row may share with a training row: half a row."""
    return width // 2


def fresh_rows(
    writer: Writer,
    training: Training,
    count: int,
    most_shared: int,
    dtype: np.dtype,
    advice: str,
) -> tuple[Integer[np.ndarray, "count width"], Int64[np.ndarray, " count"], int]:
    """So many rows, the number of each one's motif, and how many were left out.

    Args:
        most_shared: tokens of the longest span that a row may share with a training
            row.
        dtype: of the token ids.
        advice: what to do where too many rows share more, besides other motifs.

    Raises:
        HeadwaterError: more rows share too much than `_MOST_REFUSED` says.
    """
    kept = [np.zeros((0, writer.width), dtype)]
    motifs, done, refused = [np.zeros(0, np.int64)], 0, 0
    while (have := sum(map(len, kept))) < count:
        rows, own = _written(writer, done, count - have, dtype)
        done += len(rows)
        copied = sharing(rows, training, most_shared + 1)
        refused += int(copied.sum())
        if refused > _MOST_REFUSED * count:
            raise HeadwaterError(
                f"{refused:,} of {done:,} rows share more than {most_shared} tokens in "
                "a row with a training row; give the motifs more slots or longer ones, "
                f"or {advice}"
            )
        kept.append(rows[~copied])
        motifs.append(own[~copied])
    return np.concatenate(kept), np.concatenate(motifs), refused


def _written(
    writer: Writer, first: int, count: int, dtype: np.dtype
) -> tuple[Integer[np.ndarray, "count width"], Int64[np.ndarray, " count"]]:
    tokens = np.empty((count, writer.width), dtype)
    motifs = np.empty(count, np.int64)
    for begin in range(0, count, _AT_ONCE):
        part = slice(begin, min(begin + _AT_ONCE, count))
        tokens[part], motifs[part] = writer.rows(first + begin, part.stop - begin)
    return tokens, motifs
