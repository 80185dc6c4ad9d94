r"""Token files in Megatron's format, `.bin` and `.idx`: their rows, and the checks.

The `.bin` file is the tokens of all sequences, nothing else. The `.idx` file says where
they are (little-endian; https://github.com/EleutherAI/gpt-neox/blob/v1.0/megatron/data/
indexed_dataset.py, class MMapIndexedDataset.Index):

    bytes                       what
    9                           "MMIDIDX\0\0"
    8                           version, 1
    1                           code of the token type, see `DTYPES`
    8, 8                        sequences, documents + 1
    4 x sequences               tokens of each sequence
    8 x sequences               first byte of each sequence in the .bin file
    8 x (documents + 1)         first sequence of each document

Every sequence must be one row of the same width without gaps, so that row i begins at
byte `width * itemsize * i` (`steps.bytes_of_rows`).
"""

import logging
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from headwater.corpus.tokenparts import PART_NAME, check_sizes, index_name, whole_name
from headwater.errors import HeadwaterError
from headwater.net.places import base_name
from headwater.steps import bytes_of_rows, past_the_end
from headwater.unreadable import looks_like, stand_in, unreadable

MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
HEADER = struct.Struct("<9sQBQQ")
DTYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float",  # 6 and 7 are single and double in GPT-NeoX, the reverse in Megatron
    7: "float",
    8: "uint16",
}
UINT16 = np.dtype("<u2")

logger = logging.getLogger("headwater")


class TokenFiles:
    """Rows of local `.bin` files: only what is asked for is read.

    Args:
        paths: the file, or its parts in order.

    Attributes:
        name: of the source.

    Raises:
        HeadwaterError: a file is missing, or sizes that do not add up.
    """

    def __init__(
        self, paths: Sequence[Path], width: int, dtype: np.dtype = UINT16
    ) -> None:
        self.width, self._dtype, self._paths = width, dtype, paths
        self.name = whole_name(str(paths[0]))
        self._sizes = [_size(path) for path in paths]
        row = width * dtype.itemsize
        self._rows = check_sizes([str(path) for path in paths], self._sizes, row)

    def __len__(self) -> int:
        """Whole rows of all files."""
        return self._rows

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Rows `start` to `stop - 1` in blocks of at most `size`, see `read`."""
        for first in range(start, stop, size):
            yield self.read(first, min(first + size, stop))

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop - 1`, [stop - start, width]; the caller's own.

        Raises:
            HeadwaterError: past the end, or a file that cannot be read.
        """
        if not 0 <= start <= stop <= len(self):
            raise past_the_end(self.name, range(start, stop), len(self))
        wanted = bytes_of_rows(range(start, stop), self.width, self._dtype.itemsize)
        rows = np.empty((stop - start, self.width), self._dtype)
        flat, begin = rows.reshape(-1).view(np.uint8).data, 0
        for path, size in zip(self._paths, self._sizes, strict=True):
            first, last = max(wanted.start, begin), min(wanted.stop, begin + size)
            if first < last:
                here = flat[first - wanted.start : last - wanted.start]
                _read_into(path, here, first - begin)
            begin += size
        return rows


class ReadRows:
    """Rows whose bytes are in memory.

    Args:
        first: number of the first of them.
        content: their bytes.

    Attributes:
        name: of the source.
    """

    def __init__(self, name: str, first: int, width: int, content: bytes) -> None:
        self.name, self._first = name, first
        self._rows = np.frombuffer(content, UINT16).reshape(-1, width)

    def __len__(self) -> int:
        """Rows up to the last that is there."""
        return self._first + len(self._rows)

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Rows `start` to `stop - 1` in blocks of at most `size`: [rows, width].

        Raises:
            HeadwaterError: some of them are not there.
        """
        if start < self._first or stop > len(self):
            raise past_the_end(self.name, range(start, stop), len(self))
        for first in range(start, stop, size):
            last = min(first + size, stop)
            yield self._rows[first - self._first : last - self._first]


def _read_into(path: Path, target: memoryview, start: int) -> None:
    # No memory map: its pages would count as the job's memory, the more of them the
    # longer it reads, and on a cluster's file system each is fetched on its own.
    try:
        with path.open("rb") as handle:
            handle.seek(start)
            if handle.readinto(target) < len(target):
                raise OSError("it has become shorter")
    except OSError as error:
        raise unreadable(path, error) from error


def _size(path: Path) -> int:
    if found := stand_in(path):
        raise HeadwaterError(f"{path}: {found}")
    return path.stat().st_size


def open_local(paths: Sequence[Path], rows: range, width: int) -> TokenFiles:
    """Open local files, checked against their index if that stands beside.

    If not, that their rows have `width` tokens is assumed, and the log says so.

    Args:
        rows: those that will be read.

    Raises:
        HeadwaterError: see `check_index` and `check_sizes`; or the index speaks of more
            or fewer bytes than there are.
    """
    files = TokenFiles(paths, width)
    index = Path(index_name(str(paths[0])))
    if os.path.lexists(index):  # a link to nothing, too, for that to be told

        def read(start: int, stop: int) -> bytearray:
            data = bytearray(stop - start)
            _read_into(index, memoryview(data), start)
            return data

        sequences = check_index(str(index), _size(index), read, rows, width)
        check_length(str(index), sequences, str(paths[-1]), len(files), width)
    else:
        warn_no_index(str(paths[0]), width)
    if rows.stop > len(files):
        where = f"{paths[0]} (corpus.pythia.path)"
        raise past_the_end(where, rows, len(files))
    return files


def check_index(
    name: str,
    size: int,
    read: Callable[[int, int], bytes | bytearray],
    rows: range,
    width: int,
) -> int:
    """Check that these rows are whole rows of `width` tokens without gaps.

    Args:
        size: bytes of the index.
        read: gives those from a first one to a last-plus-one.
        rows: those that will be read; only their entries are looked at.

    Returns:
        Sequences of the index.

    Raises:
        HeadwaterError: no index, one of another version or token type, or not as long
            as its header says; or a row past the end, of another length, or not where
            it should be.
    """
    sequences = _parse_header(name, read(0, min(HEADER.size, size)), size)
    if rows.stop > sequences:
        raise past_the_end(name, rows, sequences)
    first = HEADER.size
    sizes = np.frombuffer(read(first + 4 * rows.start, first + 4 * rows.stop), "<i4")
    if len(wrong := np.flatnonzero(sizes != width)):
        row = rows.start + int(wrong[0])
        raise HeadwaterError(
            f"{name}: row {row:,} has {sizes[wrong[0]]:,} tokens, but rows have "
            f"{width:,} (corpus.seq_len + 1); set corpus.seq_len to "
            f"{sizes[wrong[0]] - 1}, or use pre-shuffled files of equal rows"
        )
    first += 4 * sequences
    begins = np.frombuffer(read(first + 8 * rows.start, first + 8 * rows.stop), "<i8")
    wanted = np.arange(rows.start, rows.stop, dtype=np.int64) * width * UINT16.itemsize
    if len(wrong := np.flatnonzero(begins != wanted)):
        row = rows.start + int(wrong[0])
        raise HeadwaterError(
            f"{name}: row {row:,} begins at byte {begins[wrong[0]]:,}, "
            f"expected {wanted[wrong[0]]:,}; the file is not pre-shuffled (its rows "
            "have gaps or another order)"
        )
    return sequences


def _parse_header(name: str, header: bytes | bytearray, size: int) -> int:
    if len(header) < HEADER.size or not header.startswith(MAGIC):
        found = looks_like(bytes(header))
        kind = f"{found}, no" if found else "not a"
        raise HeadwaterError(
            f"{name}: {kind} Megatron index (it does not begin with MMIDIDX, or ends "
            "there); give the .idx file that belongs to the .bin file"
        )
    _, version, code, sequences, documents = HEADER.unpack(header)
    if version != VERSION:
        raise HeadwaterError(
            f"{name}: version {version} of the index format; Headwater reads version "
            f"{VERSION}. Write the file again with GPT-NeoX's tools"
        )
    if DTYPES.get(code) != "uint16":
        kind = DTYPES.get(code, "unknown")
        raise HeadwaterError(
            f"{name}: its tokens are of type {kind} (code {code}); Headwater reads "
            "uint16 (code 8), which Pythia's files have"
        )
    promised = HEADER.size + 12 * sequences + 8 * documents
    if size != promised:
        raise HeadwaterError(
            f"{name}: {size:,} bytes, but its header promises {promised:,} "
            f"({sequences:,} sequences); copy or download it again"
        )
    return int(sequences)


def check_length(name: str, sequences: int, last: str, rows: int, width: int) -> None:
    """Compare the rows of the `.bin` files with those that the index promises.

    Fewer are fine where the last parts were left out on purpose.

    Raises:
        HeadwaterError: they differ.
    """
    found = PART_NAME.fullmatch(base_name(last))
    partial = found is not None and found["index"] != found["last"]
    if rows > sequences or (rows < sequences and not partial):
        raise HeadwaterError(
            f"{name}: promises {sequences:,} rows of {width:,} tokens, but "
            f"{base_name(last)} ends after {rows:,}; copy or download the "
            "files again"
        )


def warn_no_index(bin_name: str, width: int) -> None:
    """Say what is assumed of a `.bin` file that has no index beside it."""
    logger.warning(
        "%s: no .idx file beside it; that its rows have %s tokens (corpus.seq_len + 1) "
        "is assumed, not checked",
        bin_name,
        f"{width:,}",
    )
