"""Rows in parquet files: token ids with the number of the batch they belong to.

The layout of `pietrolesci/pile-deduped-pythia-preshuffled`: columns `uid`, `batch_idx`
(the training step) and `token_ids`, sorted by batch from file to file. The rows of a
batch are taken in the order of `uid`, where there is one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.parquet

from headwater.corpus.needs import RowNeeds
from headwater.errors import HeadwaterError
from headwater.net.places import base_name
from headwater.steps import past_the_end, step_of_row
from headwater.unreadable import AGAIN, HEAD, unreadable, why_by_head

UID = "uid"
_READ_ROWS = 1024


@dataclass(frozen=True)
class _Group:
    """A row group: which, and the first and last batch in it."""

    file: int
    number: int
    first: int
    last: int


class _Rows(NamedTuple):
    batch: np.ndarray
    uid: np.ndarray
    tokens: np.ndarray


class _Extremes(NamedTuple):
    min: int
    max: int


class BatchFiles:
    """Rows of parquet files; memory holds a batch and what the reader needs.

    Args:
        files: name and open file (or path) of each, in order; opened as far as needed.
        needs: the rows that will be read; a batch is a training step.
        columns: their names, `tokens` and `batch`, as in `corpus.parquet`.

    Attributes:
        name: of the source.

    Raises:
        HeadwaterError: no parquet file, missing columns, batches out of order, or too
            few of them.
    """

    def __init__(
        self,
        files: Iterable[tuple[str, str | BinaryIO]],
        needs: RowNeeds,
        columns: Mapping[str, Any],
    ) -> None:
        self.width, self._batch_size = needs.width, needs.batch_size
        self._tokens, self._batch = columns["tokens"], columns["batch"]
        self._names: list[str] = []
        self._files: list[pyarrow.parquet.ParquetFile] = []
        self._groups: list[_Group] = []
        last = step_of_row(needs.all.stop - 1, self._batch_size)
        for name, file in files:
            self._add(name, file)
            if self._groups and self._groups[-1].last > last:
                break
        self.name = base_name(self._names[0])
        if needs.all.stop > len(self):
            where = f"{self._names[0]} (corpus.parquet.files)"
            raise past_the_end(where, needs.all, len(self))

    def _add(self, name: str, file: str | BinaryIO) -> None:
        self._names.append(name)
        self._files.append(_open(name, file))
        there = self._files[-1].schema_arrow.names
        for key, column in (("tokens", self._tokens), ("batch", self._batch)):
            if column not in there:
                raise HeadwaterError(
                    f'{name}: no column "{column}" (corpus.parquet.{key}); it has: '
                    f"{', '.join(there)}"
                )
        kind = self._files[-1].schema_arrow.field(self._batch).type
        if not pyarrow.types.is_integer(kind):
            raise HeadwaterError(
                f'{name}: its column "{self._batch}" holds {kind}, not integers; name '
                "another column (corpus.parquet.batch)"
            )
        for group in self._groups_of(len(self._files) - 1):
            if self._groups and group.first < self._groups[-1].last:
                raise HeadwaterError(
                    f"{name}: batch {group.first:,} comes after batch "
                    f"{self._groups[-1].last:,}; the files must be sorted by "
                    f"{self._batch}, in the order of their names"
                )
            self._groups.append(group)

    def __len__(self) -> int:
        """Rows up to the end of the last batch of the files that were opened."""
        return (self._groups[-1].last + 1) * self._batch_size if self._groups else 0

    def blocks(self, start: int, stop: int, size: int) -> Iterator[np.ndarray]:
        """Rows `start` to `stop - 1` in order, in blocks of at most `size` rows.

        Yields:
            int64 [at most size, width].

        Raises:
            HeadwaterError: a batch without all its rows, or rows of another length.
        """
        if start >= stop:
            return
        first = step_of_row(start, self._batch_size)
        last = step_of_row(stop - 1, self._batch_size)
        for batch, rows in self._batches(first, last):
            begin = batch * self._batch_size
            wanted = rows[max(start - begin, 0) : stop - begin]
            for place in range(0, len(wanted), size):
                yield wanted[place : place + size]

    def _batches(self, first: int, last: int) -> Iterator[tuple[int, np.ndarray]]:
        """The batches `first` to `last`, whole, in order."""
        batch, nothing = first, np.empty(0, np.int64)
        waiting = _Rows(nothing, nothing, np.empty((0, self.width), np.int64))
        for found in self._read(first, last):
            while batch < found.batch.min():
                rows, waiting = self._split(waiting, batch)
                yield batch, rows
                batch += 1
            waiting = _Rows(*map(np.concatenate, zip(waiting, found, strict=True)))
        for number in range(batch, last + 1):
            rows, waiting = self._split(waiting, number)
            yield number, rows

    def _split(self, waiting: _Rows, batch: int) -> tuple[np.ndarray, _Rows]:
        """The tokens of a batch, and the rows of others."""
        mine = waiting.batch == batch
        count, size = int(mine.sum()), self._batch_size
        if count != size:
            raise HeadwaterError(
                f"{self.name}: batch {batch:,} has {count:,} rows, but "
                f"training.batch_size is {size:,}; set it to the data's, or give the "
                "files that hold the whole batch"
            )
        order = np.argsort(waiting.uid[mine], kind="stable")
        return waiting.tokens[mine][order], _Rows(*(part[~mine] for part in waiting))

    def _read(self, first: int, last: int) -> Iterator[_Rows]:
        wanted = [self._batch, self._tokens]
        for group in self._groups:
            if group.last < first or group.first > last:
                continue
            file = self._files[group.file]
            uid = [UID] if UID in file.schema_arrow.names else []
            name = self._names[group.file]
            parts = file.iter_batches(_READ_ROWS, [group.number], wanted + uid)
            for part in _readable(name, parts):
                rows = self._rows(name, part)
                inside = (rows.batch >= first) & (rows.batch <= last)
                if inside.any():
                    yield _Rows(*(values[inside] for values in rows))

    def _rows(self, name: str, part: pyarrow.RecordBatch) -> _Rows:
        for column in part.schema.names:
            if part.column(column).null_count:
                raise _null(name, column)
        tokens = _rectangle(name, part.column(self._tokens), self.width)
        batch = part.column(self._batch).to_numpy(zero_copy_only=False)
        uid = np.zeros(len(batch), np.int64)  # all alike: as the file has them
        if UID in part.schema.names:
            uid = part.column(UID).to_numpy(zero_copy_only=False)
        return _Rows(batch, uid, tokens)

    def _groups_of(self, index: int) -> Iterator[_Group]:
        file = self._files[index]
        # A list's column is a leaf below it: look the position up among the leaves.
        leaves = [file.schema.column(i).path for i in range(len(file.schema))]
        column = leaves.index(self._batch)
        for number in range(file.metadata.num_row_groups):
            if not file.metadata.row_group(number).num_rows:
                continue
            found = file.metadata.row_group(number).column(column).statistics
            if found is None or not found.has_min_max:
                found = self._extremes(index, number)
            yield _Group(index, number, int(found.min), int(found.max))

    def _extremes(self, index: int, number: int) -> _Extremes:
        """What statistics would say of the batches of a group of some rows."""
        file, name = self._files[index], self._names[index]
        batches = file.iter_batches(_READ_ROWS, [number], [self._batch])
        table = pyarrow.Table.from_batches(_readable(name, batches))
        found = pyarrow.compute.min_max(table.column(0)).as_py()
        if found["min"] is None:
            raise _null(name, self._batch)
        return _Extremes(**found)


def _open(name: str, file: str | BinaryIO) -> pyarrow.parquet.ParquetFile:
    try:
        return pyarrow.parquet.ParquetFile(cast(str, file))
    except (OSError, pyarrow.ArrowException) as error:
        if isinstance(file, str):
            raise unreadable(Path(file), error) from error
        file.seek(0)
        why = why_by_head(file.read(HEAD), base_name(name), error)
        raise HeadwaterError(f"{name}: {why}") from error


def _readable(
    name: str, parts: Iterator[pyarrow.RecordBatch]
) -> Iterator[pyarrow.RecordBatch]:
    try:
        yield from parts
    except (OSError, pyarrow.ArrowException) as error:
        text = " ".join(str(error).split())
        raise HeadwaterError(f"{name}: damaged ({text}); {AGAIN}") from error


def _null(name: str, column: str) -> HeadwaterError:
    return HeadwaterError(
        f'{name}: a null in its column "{column}"; every row needs a value'
    )


def _rectangle(name: str, column: pyarrow.Array, width: int) -> np.ndarray:
    """A column of lists as int64 [rows, width].

    Raises:
        HeadwaterError: not lists of integers, or a list of another length.
    """
    kind = column.type
    fixed = pyarrow.types.is_fixed_size_list(kind)
    lists = fixed or pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind)
    if not lists or not pyarrow.types.is_integer(kind.value_type):
        raise HeadwaterError(
            f"{name}: its column of token ids holds {kind}, not lists of integers; "
            "name another column (corpus.parquet.tokens)"
        )
    lengths = column.value_lengths().to_numpy(zero_copy_only=False)
    if len(wrong := np.flatnonzero(lengths != width)):
        raise HeadwaterError(
            f"{name}: a row has {lengths[wrong[0]]:,} tokens, but rows have {width:,} "
            "(corpus.seq_len + 1); set corpus.seq_len to the data's, less one"
        )
    ids = column.flatten()
    if ids.null_count:
        raise HeadwaterError(f"{name}: a null among the token ids of a row")
    values = ids.to_numpy(zero_copy_only=False)
    return values.astype(np.int64).reshape(len(column), width)
