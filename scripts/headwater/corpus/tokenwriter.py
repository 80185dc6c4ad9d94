"""Rows as a token file of Megatron's format, for training elsewhere.

`tokenfiles` describes the format and reads it.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from headwater.corpus.tokenfiles import DTYPES, HEADER, MAGIC, VERSION

_CODES = {name: code for code, name in DTYPES.items()}


def token_kind(vocabulary: int) -> str:
    """The type of the tokens of a vocabulary, as Megatron chooses it."""
    return "uint16" if vocabulary <= 1 << 16 else "int32"


def write_bin(path: Path, blocks: Iterable[np.ndarray], kind: str) -> int:
    """Write the tokens of rows, one after the other; returns how many rows.

    Args:
        blocks: token ids, each [rows, width].
        kind: of a token in the file, see `token_kind`.
    """
    count = 0
    with path.open("wb") as file:
        for block in blocks:
            file.write(block.astype(np.dtype(kind).newbyteorder("<")).tobytes())
            count += len(block)
    return count


def write_index(path: Path, rows: int, width: int, kind: str) -> None:
    """Write the index of a file of equal rows, each a sequence and a document."""
    begins = np.arange(rows, dtype="<i8") * width * np.dtype(kind).itemsize
    with path.open("wb") as file:
        file.write(HEADER.pack(MAGIC, VERSION, _CODES[kind], rows, rows + 1))
        file.write(np.full(rows, width, "<i4").tobytes())
        file.write(begins.tobytes())
        file.write(np.arange(rows + 1, dtype="<i8").tobytes())
