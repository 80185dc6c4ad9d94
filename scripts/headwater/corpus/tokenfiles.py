"""Rows of token files: one after the other, in one file or cut into parts."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from headwater.corpus.megatron import UINT16, check_length, read_index, warn_no_index
from headwater.corpus.tokenparts import check_sizes, index_name, whole_name
from headwater.errors import HeadwaterError
from headwater.steps import bytes_of_rows, past_the_end


class TokenFiles:
    """Rows of local `.bin` files: only what is asked for is read.

    Args:
        paths: the file, or its parts in order.
        width: tokens of a row, seq_len + 1.
        dtype: type of the tokens.

    Attributes:
        name: of the source.

    Raises:
        HeadwaterError: a file is missing, or sizes that do not add up.
    """

    def __init__(
        self, paths: Sequence[Path], width: int, dtype: np.dtype = UINT16
    ) -> None:
        self.width, self._dtype = width, dtype
        self.name = whole_name(str(paths[0]))
        self._files = [_File(path) for path in paths]
        sizes = [file.size for file in self._files]
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        row = width * dtype.itemsize
        self._rows = check_sizes([str(path) for path in paths], sizes, row)

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
            HeadwaterError: past the end.
        """
        if not 0 <= start <= stop <= len(self):
            raise past_the_end(self.name, range(start, stop), len(self))
        wanted = bytes_of_rows(range(start, stop), self.width, self._dtype.itemsize)
        rows = np.empty((stop - start, self.width), self._dtype)
        flat = rows.reshape(-1).view(np.uint8).data
        for file, begin in zip(self._files, self._starts.tolist(), strict=False):
            first = max(wanted.start, begin)
            last = min(wanted.stop, begin + file.size)
            if first < last:
                here = flat[first - wanted.start : last - wanted.start]
                file.read_into(here, first - begin)
        return rows


class _File:
    """A local file, read by position.

    No memory map: its pages would count as the job's memory, the more of them the
    longer it reads, and on a cluster's file system each is fetched on its own.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._handle = path.open("rb", buffering=0)
            self.size = path.stat().st_size
        except OSError as error:
            raise self._unreadable(error) from error

    def read(self, start: int, stop: int) -> bytes:
        """The bytes `start` to `stop - 1`."""
        data = bytearray(stop - start)
        self.read_into(memoryview(data), start)
        return bytes(data)

    def read_into(self, target: memoryview, start: int) -> None:
        """Fill `target` with the bytes from `start` on.

        Raises:
            HeadwaterError: they cannot be read.
        """
        done = 0
        try:
            while done < len(target):
                got = os.preadv(self._handle.fileno(), [target[done:]], start + done)
                if got == 0:
                    raise OSError("the file has become shorter")
                done += got
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> HeadwaterError:
        return HeadwaterError(
            f"{self._path}: cannot be read ({error}); check the path, or copy it again"
        )


def open_local(paths: Sequence[Path], rows: range, width: int) -> TokenFiles:
    """Open local files, checked against their index if that stands beside.

    If not, that their rows have `width` tokens is assumed, and the log says so.

    Args:
        paths: the `.bin` file, or its parts in order.
        rows: those that will be read.
        width: tokens of a row, seq_len + 1.

    Raises:
        HeadwaterError: see `read_index` and `check_sizes`; or the index speaks
            of more or fewer bytes than there are.
    """
    files = TokenFiles(paths, width)
    path = Path(index_name(str(paths[0])))
    if path.exists():
        file = _File(path)
        index = read_index(str(path), file.size, file.read, rows, width)
        check_length(index, str(paths[-1]), len(files), width)
    else:
        warn_no_index(str(paths[0]), width)
    if rows.stop > len(files):
        where = f"{paths[0]} (corpus.pythia.path)"
        raise past_the_end(where, rows, len(files))
    return files
