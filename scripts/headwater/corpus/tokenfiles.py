"""Rows of token files: one after the other, in one file or cut into parts."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from headwater.corpus.megatron import UINT16, check_index, check_length, warn_no_index
from headwater.corpus.tokenparts import check_sizes, index_name, whole_name
from headwater.errors import HeadwaterError
from headwater.steps import bytes_of_rows, past_the_end


class TokenFiles:
    """Rows of local `.bin` files: only what is asked for is read.

    Args:
        paths: the file, or its parts in order.
        width: tokens of a row, seq_len + 1.

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


def _read_into(path: Path, target: memoryview, start: int) -> None:
    # No memory map: its pages would count as the job's memory, the more of them the
    # longer it reads, and on a cluster's file system each is fetched on its own.
    try:
        with path.open("rb") as handle:
            handle.seek(start)
            if handle.readinto(target) < len(target):
                raise OSError("the file has become shorter")
    except OSError as error:
        raise _unreadable(path, error) from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> HeadwaterError:
    return HeadwaterError(
        f"{path}: cannot be read ({error}); check the path, or copy it again"
    )


def open_local(paths: Sequence[Path], rows: range, width: int) -> TokenFiles:
    """Open local files, checked against their index if that stands beside.

    If not, that their rows have `width` tokens is assumed, and the log says so.

    Args:
        paths: the `.bin` file, or its parts in order.
        rows: those that will be read.
        width: tokens of a row, seq_len + 1.

    Raises:
        HeadwaterError: see `check_index` and `check_sizes`; or the index speaks of more
            or fewer bytes than there are.
    """
    files = TokenFiles(paths, width)
    index = Path(index_name(str(paths[0])))
    if index.exists():

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
