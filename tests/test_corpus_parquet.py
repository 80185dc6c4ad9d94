"""Parquet files whose row groups or columns hold less than they could."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.corpus.batches import BatchFiles
from headwater.corpus.needs import RowNeeds
from headwater.errors import HeadwaterError

WIDTH, BATCH, ROWS = 5, 4, 24
COLUMNS = {"tokens": "token_ids", "batch": "batch_idx"}


def table_of(first: int, stop: int) -> pa.Table:
    rows = np.arange(first * WIDTH, stop * WIDTH).reshape(-1, WIDTH)
    return pa.table(
        {
            "uid": pa.array(np.arange(first, stop)),
            "batch_idx": pa.array(np.arange(first, stop) // BATCH),
            "token_ids": pa.array(rows.tolist(), pa.list_(pa.int32())),
        }
    )


def write_groups(path: Path, first: int, sizes: list[int], statistics: bool) -> int:
    """A file of row groups of these sizes; returns the row after its last."""
    schema = table_of(0, 1).schema
    with pyarrow.parquet.ParquetWriter(
        path, schema, write_statistics=statistics
    ) as writer:
        for size in sizes:
            writer.write_table(table_of(first, first + size))
            first += size
    return first


def open_files(paths: list[Path], rows: int = ROWS) -> BatchFiles:
    names = [(str(path), str(path)) for path in paths]
    return BatchFiles(names, RowNeeds(WIDTH, rows, 0, BATCH), COLUMNS)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    cuts=st.lists(st.integers(0, ROWS), max_size=5),
    files=st.lists(st.integers(0, 6), max_size=2),
    statistics=st.booleans(),
)
def test_groups_and_files_without_rows_are_passed_over(
    tmp_path_factory, cuts, files, statistics
):
    folder = tmp_path_factory.mktemp("groups")
    sizes = np.diff([0, *sorted([*cuts, *cuts]), ROWS]).tolist()  # some are 0
    bounds = [0, *sorted(files), len(sizes)]
    paths, row = [], 0
    for start, stop in pairwise(bounds):
        paths.append(folder / f"{len(paths)}.parquet")
        row = write_groups(paths[-1], row, sizes[start:stop], statistics)
    found = np.concatenate(list(open_files(paths).blocks(0, ROWS, 7)))
    assert found.reshape(-1).tolist() == list(range(ROWS * WIDTH))


@pytest.mark.parametrize("sizes", [[], [0], [0, 0]])
def test_no_row_at_all_is_one_line(tmp_path, sizes):
    path = tmp_path / "a.parquet"
    write_groups(path, 0, sizes, statistics=True)
    with pytest.raises(HeadwaterError) as caught:
        open_files([path, path])
    assert str(caught.value).startswith(f"{path} (corpus.parquet.files): rows 0 to 23 ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("column", ["uid", "batch_idx", "token_ids"])
@pytest.mark.parametrize("nulls", [[9], range(8, 12), range(ROWS)])
def test_a_null_is_told_with_its_column(tmp_path, column, nulls, statistics):
    table, path = table_of(0, ROWS), tmp_path / "a.parquet"
    place = table.schema.get_field_index(column)
    gone = [row in nulls for row in range(ROWS)]
    kept = [
        None if absent else value
        for absent, value in zip(gone, table.column(column).to_pylist(), strict=True)
    ]
    table = table.set_column(
        place, table.schema.field(place), pa.array(kept, table.schema.field(place).type)
    )
    pyarrow.parquet.write_table(
        table, path, row_group_size=12, write_statistics=statistics
    )
    with pytest.raises(HeadwaterError) as caught:
        list(open_files([path]).blocks(0, ROWS, 8))
    assert str(caught.value) == (
        f'{path}: a null in its column "{column}"; every row needs a value'
    )


def test_batches_that_are_no_integers_are_refused(tmp_path):
    table, path = table_of(0, ROWS), tmp_path / "a.parquet"
    names = pa.array([str(row) for row in range(ROWS)])
    table = table.drop_columns("batch_idx").append_column("batch_idx", names)
    pyarrow.parquet.write_table(table, path)
    with pytest.raises(HeadwaterError, match='"batch_idx" holds string, not integers'):
        open_files([path])


def test_a_damaged_page_is_one_line(tmp_path):
    path = tmp_path / "a.parquet"
    write_groups(path, 0, [ROWS], statistics=True)
    data = bytearray(path.read_bytes())
    data[4 : len(data) // 3] = bytes(len(data) // 3 - 4)
    path.write_bytes(data)
    with pytest.raises(HeadwaterError) as caught:
        list(open_files([path]).blocks(0, ROWS, 8))
    assert str(caught.value).startswith(f"{path}: damaged (")
    assert "\n" not in str(caught.value)
