"""A writer of Megatron's indexed format, apart from the reader it tests.

Written from the description of the format in NVIDIA's Megatron-LM,
`megatron/core/datasets/indexed_dataset.py` (class `_IndexWriter`, Apache-2.0): nothing
is imported from Headwater. It was compared with `megatron-core` 0.16.1 from PyPI, whose
`IndexedDatasetBuilder` writes the same bytes; `test_corpus_megatron.py` keeps one of
its files.
"""

import math
import random
import struct
from collections.abc import Sequence
from pathlib import Path

CODES = {"uint8": 1, "int32": 4, "uint16": 8}
LETTERS = {"uint8": "B", "int32": "i", "uint16": "H"}


def write_bin(path: Path, sequences: Sequence[Sequence[int]], kind: str) -> None:
    letter = LETTERS[kind]
    with path.open("wb") as file:
        for sequence in sequences:
            file.write(struct.pack(f"<{len(sequence)}{letter}", *sequence))


def write_idx(
    path: Path,
    lengths: Sequence[int],
    kind: str = "uint16",
    version: int = 1,
    magic: bytes = b"MMIDIDX\x00\x00",
) -> None:
    count, size = len(lengths), struct.calcsize(LETTERS[kind])
    with path.open("wb") as file:
        file.write(magic)
        file.write(struct.pack("<Q", version))
        file.write(struct.pack("<B", CODES[kind]))
        file.write(struct.pack("<Q", count))
        file.write(struct.pack("<Q", count + 1))
        file.write(struct.pack(f"<{count}i", *lengths))
        position = 0
        for length in lengths:
            file.write(struct.pack("<q", position))
            position += size * length
        file.write(struct.pack(f"<{count + 1}q", *range(count + 1)))


def write_dataset(
    folder: Path, sequences: Sequence[Sequence[int]], stem: str = "document"
) -> Path:
    """`<stem>.bin` and `<stem>.idx` of uint16; returns the `.bin` file."""
    folder.mkdir(parents=True, exist_ok=True)
    write_bin(folder / f"{stem}.bin", sequences, "uint16")
    write_idx(folder / f"{stem}.idx", [len(sequence) for sequence in sequences])
    return folder / f"{stem}.bin"


def random_sequences(
    count: int, width: int, vocabulary: int, end: int = 0, seed: int = 0
) -> list[list[int]]:
    """Rows that look like packed documents: ids, and now and then the end of one.

    Half of each row repeats, so that a model can learn something from it.
    """
    draw = random.Random(seed)
    ids = [i for i in range(vocabulary) if i != end]
    rows = []
    for _ in range(count):
        half = draw.choices(ids, k=math.ceil(width / 2))
        row = (half + half)[:width]
        row[draw.randrange(width)] = end
        rows.append(row)
    return rows


def write_preshuffled(
    folder: Path, count: int, width: int, vocabulary: int, shards: int = 0
) -> Path:
    """A pre-shuffled data set of random rows, as Pythia's: `document.idx` and tokens.

    Args:
        folder: where to write.
        count: rows.
        width: tokens of a row, seq_len + 1.
        vocabulary: ids 0 (the end of a document) to this less one.
        shards: 0 for one `document.bin`, else the number of `document-...-of-....bin`,
            cut anywhere, also inside a row.

    Returns:
        The folder.
    """
    whole = write_dataset(folder, random_sequences(count, width, vocabulary))
    if shards:
        cut_into_shards(whole, shards)
    return folder


def cut_into_shards(whole: Path, shards: int) -> None:
    """Replace a `.bin` file by shards of equal size, the last one smaller."""
    data = whole.read_bytes()
    size = math.ceil(len(data) / shards)
    for index in range(shards):
        name = f"{whole.stem}-{index:05d}-of-{shards - 1:05d}.bin"
        (whole.parent / name).write_bytes(data[index * size : (index + 1) * size])
    whole.unlink()
