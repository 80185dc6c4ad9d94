"""Rows of the user's own, for arms of `rows: file`: a table of rows, best first.

Tab-separated text in UTF-8 with a header. Column `row` is the global number of a row in
training order, as in `influence/<target>.tsv`; with a column `score`, rows come by it,
the highest first, and without, in the order of the lines. Other columns are not read.
"""

import hashlib
import math
import reprlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from headwater.errors import HeadwaterError
from headwater.unreadable import unreadable

_DIGITS = 15  # of a row number


def file_digest(path: Path) -> str:
    """SHA-256 of the file, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(path: Path, digest: str) -> None:
    """Refuse a file of the user's that is not the one that the config was read with.

    Raises:
        HeadwaterError: names the file.
    """
    try:
        same = file_digest(path) == digest
    except OSError as error:
        raise unreadable(path, error) from error
    if not same:
        text = "changed since the config was read; run the same command again"
        raise HeadwaterError(f"{path}: {text}")


def read_rows(path: Path, rows: range, digest: str) -> Float64[np.ndarray, " rows"]:
    """The score of every row of the window; minus infinity where the file has none.

    Args:
        rows: global numbers of the window's rows.
        digest: of the file when the config was read.

    Raises:
        HeadwaterError: names the file, the line and the column.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HeadwaterError(f"{path}: not UTF-8; save it in that encoding") from error
    except OSError as error:
        raise unreadable(path, error) from error
    check_digest(path, digest)
    scores = np.full(len(rows), -np.inf)
    for line, row, score in _entries(path, text):
        place = row - rows.start
        if row not in rows:
            where = f"rows {rows.start} to {rows.stop - 1}"
            raise _wrong(path, line, f"row {row} is not in the window, {where}")
        if scores[place] != -np.inf:
            raise _wrong(path, line, f"row {row} stands there for the second time")
        scores[place] = score
    return scores


def _entries(path: Path, text: str) -> Iterator[tuple[int, int, float]]:
    """(line, row, score) of every line of the table."""
    lines = [line.rstrip("\r").split("\t") for line in text.rstrip("\r\n").split("\n")]
    header = lines[0]
    if header.count("row") != 1 or header.count("score") > 1:
        text = "expected a header of tab-separated names, with `row` once, and perhaps "
        raise _wrong(path, 1, f"{text}`score`")
    column = header.index("row")
    by = header.index("score") if "score" in header else None
    for number, cells in enumerate(lines[1:], start=2):
        if len(cells) != len(header):
            wrong = f"{len(cells)} columns, its header has {len(header)}"
            raise _wrong(path, number, wrong)
        row, score = cells[column], float(-number)
        if not (row.isascii() and row.isdigit() and len(row) <= _DIGITS):
            raise _wrong(path, number, f"row {reprlib.repr(row)} is no row number")
        if by is not None:
            score = _score(path, number, cells[by])
        yield number, int(row), score


def _score(path: Path, line: int, cell: str) -> float:
    try:
        score = float(cell)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise _wrong(path, line, f"score {reprlib.repr(cell)} is no finite number")
    return score


def _wrong(path: Path, line: int, text: str) -> HeadwaterError:
    return HeadwaterError(f"{path}: line {line}: {text}")
