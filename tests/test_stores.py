"""Zarr stores, HDF5 files and the store of gradients."""

import time

import h5py
import numpy as np
import pytest
import torch
import zarr

from headwater.errors import HeadwaterError, again
from headwater.hdf5 import open_file, publish_hdf5
from headwater.identity import identity
from headwater.projection import store as gradient_store
from headwater.projection import writer as gradient_writer
from headwater.projection.coordinates import Coordinates, Projection
from headwater.projection.store import UnitRows, row_losses
from headwater.projection.writer import GradientWriter
from headwater.stores import array, create_group, open_group, read, write_array
from headwater.units import Unit
from test_corpus_support import folder_bytes, small_config
from tiny import unit

CONFIG = small_config()
STAMP = identity("corpus", CONFIG)
OTHER = small_config(corpus__seq_len=32)


def refusal(opener, path, config=CONFIG) -> str:
    with pytest.raises(HeadwaterError) as caught, opener(path, config):
        pass
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def open_store(path, config):
    """`open_group` as a block, like `open_file`."""
    open_group(path, config)
    pytest.fail("the store was opened")


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "a.zarr"
    group = create_group(path, STAMP, names=["x", "y"])
    write_array(group, "table", np.arange(30, dtype=np.int16).reshape(10, 3), 4)
    return path


# Zarr


@pytest.mark.parametrize("shape", [(10,), (10, 3), (9, 2, 2), (1,), (0, 3)])
@pytest.mark.parametrize("dtype", [np.uint16, np.int64, np.float16, np.float32])
def test_arrays_come_back_as_they_were(tmp_path, dtype, shape):
    values = np.random.default_rng(0).integers(0, 1000, shape).astype(dtype)
    group = create_group(tmp_path / "a.zarr", STAMP)
    write_array(group, "values", values, chunk_rows=4)
    found = read(open_group(tmp_path / "a.zarr", CONFIG), "values")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, values)


def test_attributes_and_ranges_of_rows_come_back(store):
    group = open_group(store, CONFIG)
    assert group.attrs["names"] == ["x", "y"]
    found = read(group, "table", slice(3, 9))
    np.testing.assert_array_equal(found, np.arange(9, 27).reshape(6, 3))


def test_a_new_group_holds_nothing_of_an_older_one(store):
    create_group(store, STAMP)
    assert list(open_group(store, CONFIG).array_keys()) == []


@pytest.mark.filterwarnings("error")
def test_a_timestamp_file_of_the_workflow_does_no_harm(store):
    for folder in (store, store / "table"):
        (folder / ".snakemake_timestamp").touch()
    group = open_group(store, CONFIG)
    assert read(group, "table").sum() == sum(range(30))
    with pytest.raises(HeadwaterError, match="no array 'other'"):
        array(group, "other")


def test_a_missing_array_is_named(store):
    with pytest.raises(HeadwaterError, match=r"a\.zarr: no array 'other'"):
        read(open_group(store, CONFIG), "other")


def test_a_store_of_another_config_is_refused(store):
    assert "corpus.seq_len is 16 there, 32 here" in refusal(open_store, store, OTHER)


@pytest.mark.parametrize("kind", ["missing", "empty", "file", "group", "array", "v2"])
def test_what_is_no_store_of_headwater_is_refused(tmp_path, kind):
    path = tmp_path / kind
    if kind == "empty":
        path.mkdir()
    elif kind == "file":
        path.write_text("text")
    elif kind == "array":
        zarr.create_array(path, shape=(3,), dtype="i4")
    elif kind != "missing":
        zarr.create_group(path, zarr_format=2 if kind == "v2" else 3)
    assert "to make it again: snakemake --force" in refusal(open_store, path)


@pytest.mark.parametrize("text", ["", '{"zarr_format": 3, "node'])
def test_a_store_with_damaged_metadata_is_refused(store, text):
    (store / "zarr.json").write_text(text)
    assert "not a readable store" in refusal(open_store, store)


# HDF5


def write_hdf5(path, stamp=STAMP):
    with publish_hdf5(path, stamp, value=1.5) as file:
        noise = np.random.default_rng(0).random((200, 3))
        file.create_dataset("noise", data=noise, compression="gzip", shuffle=True)
        file["group/counts"] = np.arange(7)


def test_the_same_content_is_the_same_bytes_at_any_time(tmp_path):
    write_hdf5(tmp_path / "a.h5")
    time.sleep(1 - time.time() % 1)  # HDF5 knows the time in whole seconds
    write_hdf5(tmp_path / "b.h5", dict(reversed(STAMP.items())))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    with open_file(tmp_path / "a.h5", CONFIG) as file:
        assert file.attrs["value"] == 1.5
        assert file["group/counts"][...].tolist() == list(range(7))


def test_an_error_while_writing_publishes_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError), publish_hdf5(tmp_path / "a.h5", STAMP):
        raise ZeroDivisionError
    assert not (tmp_path / "a.h5").exists()
    write_hdf5(tmp_path / "a.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_an_hdf5_file_of_another_config_is_refused(tmp_path):
    write_hdf5(tmp_path / "a.h5")
    message = refusal(open_file, tmp_path / "a.h5", OTHER)
    assert "corpus.seq_len is 16 there, 32 here" in message


@pytest.mark.parametrize("kind", ["missing", "text", "cut", "foreign", "folder"])
def test_what_is_no_hdf5_file_of_headwater_is_refused(tmp_path, kind):
    path = tmp_path / "a.h5"
    if kind == "text":
        path.write_text("text")
    elif kind == "cut":
        write_hdf5(path)
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "foreign":
        h5py.File(path, "w").close()
    elif kind == "folder":
        path.mkdir()
    told = refusal(open_file, path)
    assert told.startswith(f"{path}: ")
    assert told.endswith(f"; {again(path)}")


# Gradients

UNITS, COUNT, ROWS = [unit("L0H1"), unit("L1MLP")], 16, 41
WIDTH = 32  # bytes: 16 coordinates padded to 64, of 4 bits


def projection(seed: int) -> Projection:
    generator = np.random.default_rng(seed)
    index = np.sort(generator.choice(100, COUNT, replace=False))
    return Projection(Coordinates(index, generator.random(COUNT)), 4, 7)


KEPT = {one: projection(seed) for seed, one in enumerate(UNITS)}


def gradients() -> dict[Unit, torch.Tensor]:
    """Rows whose norms span many orders of magnitude, one of them 0."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.logspace(-12, 6, ROWS, dtype=torch.float64)[:, None]
    rows = {}
    for one in UNITS:
        noise = torch.randn(ROWS, 100, generator=generator, dtype=torch.float64)
        rows[one] = (noise * scale).float()
        rows[one][7] = 0
    return rows


LOSSES = torch.arange(ROWS, dtype=torch.float32) / 3


def write_gradients(path, sizes, first_row=100):
    rows = gradients()
    writer = GradientWriter(path, STAMP, first_row, ROWS, KEPT)
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        writer.append({one: rows[one][part] for one in reversed(UNITS)}, LOSSES[part])
        start += size
    writer.close()
    return open_group(path, CONFIG)


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of 4 rows in shards of 12, so that 41 rows are 3 shards and a piece."""
    monkeypatch.setattr(gradient_writer, "CHUNK_BYTES", 4 * WIDTH)
    monkeypatch.setattr(gradient_writer, "SHARD_BYTES", 3 * 4 * 2 * WIDTH)
    monkeypatch.setattr(gradient_store, "READ_BYTES", 4 * WIDTH)


@pytest.mark.parametrize(
    "sizes", [[1] * ROWS, [5] * 8 + [1], [12, 12, 12, 5], [3, 30, 8], [40, 1]]
)
@pytest.mark.usefixtures("small_chunks")
def test_the_store_does_not_depend_on_the_batches(tmp_path, sizes):
    assert sum(sizes) == ROWS
    whole = write_gradients(tmp_path / "whole.zarr", [ROWS])
    parts = write_gradients(tmp_path / "batches.zarr", sizes)
    for name in ("codes", "coordinates"):
        np.testing.assert_array_equal(read(parts, name), read(whole, name))
    np.testing.assert_allclose(read(parts, "rows"), read(whole, "rows"), rtol=1e-6)


def bytes_of(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    ("killed", "resumed"), [(2, 0), (10, 5), (15, 10), (25, 20), (40, 40)]
)
def test_a_killed_writer_goes_on_at_a_batch_with_the_same_bytes(
    tmp_path, killed, resumed
):
    """Batches of 5, chunks of 4 and shards of 12 rows; whole chunks are on the disk."""
    write_gradients(tmp_path / "whole.zarr", [5] * 8 + [1])
    path, rows = tmp_path / "killed.zarr", gradients()
    for first, last in ((0, killed), (resumed, ROWS)):
        writer = GradientWriter(path, STAMP, 100, ROWS, KEPT)
        assert writer.resume(5) == first
        for start in range(first, last, 5):
            part = slice(start, min(start + 5, last))
            batch = {one: rows[one][part] for one in UNITS}
            writer.append(batch, LOSSES[part])
    writer.close()
    assert bytes_of(path) == bytes_of(tmp_path / "whole.zarr")


@pytest.mark.usefixtures("small_chunks")
def test_a_store_holds_the_codes_of_every_row(tmp_path):
    group, rows = write_gradients(tmp_path / "a.zarr", [10, 31]), gradients()
    codes, numbers = read(group, "codes"), read(group, "rows")
    assert codes.dtype == np.uint8
    assert codes.shape == (ROWS, len(UNITS), WIDTH)
    assert numbers.dtype == np.float32
    assert numbers.shape == (ROWS, len(UNITS) + 1)
    for place, (one, kept) in enumerate(KEPT.items()):
        wanted, sizes = kept.encode(rows[one])
        np.testing.assert_array_equal(codes[:, place], wanted.numpy())
        np.testing.assert_array_equal(numbers[:, place], sizes.numpy())
        assert sizes[7] == 0
    np.testing.assert_array_equal(row_losses(group), LOSSES.numpy())
    for found, field in zip(
        read(group, "coordinates"), ("index", "scale"), strict=True
    ):
        wanted = np.stack([getattr(p.kept, field) for p in KEPT.values()])
        np.testing.assert_array_equal(found, wanted)
    assert group.attrs["first_row"] == 100
    assert group.attrs["units"] == ["L0H1", "L1MLP"]


@pytest.mark.usefixtures("small_chunks")
def test_one_unit_streams_in_order(tmp_path):
    group = write_gradients(tmp_path / "a.zarr", [ROWS])
    for place, one in enumerate(UNITS):
        rows, stop = UnitRows(group, str(one)), 0
        assert len(rows) == ROWS
        for part, codes in rows.stream():
            assert part.start == stop
            assert part.stop - part.start == len(codes) <= 4
            np.testing.assert_array_equal(codes, read(group, "codes")[part, place])
            stop = part.stop
        assert stop == ROWS


@pytest.mark.usefixtures("small_chunks")
def test_norms_are_those_of_the_gradients_that_were_kept(tmp_path):
    group = write_gradients(tmp_path / "a.zarr", [ROWS])
    for one, kept in KEPT.items():
        wanted = gradients()[one][:, kept.kept.index].norm(dim=1).numpy()
        found = UnitRows(group, str(one)).norms()
        assert found[7] == 0
        ratio = np.log(np.delete(found, 7) / np.delete(wanted, 7))
        assert abs(ratio.mean()) < 0.1  # so few coordinates are coded roughly
        assert np.abs(ratio).max() < 0.5


def test_a_unit_knows_its_projection_from_the_store(tmp_path):
    group = write_gradients(tmp_path / "a.zarr", [ROWS])
    queries = torch.randn(64, 3, generator=torch.Generator().manual_seed(1))
    for one, kept in KEPT.items():
        rows = UnitRows(group, str(one))
        assert rows.projection.codec == kept.codec
        codes, scale = kept.encode(gradients()[one])
        expected = kept.codec.decode(codes, scale).double() @ queries.double()
        np.testing.assert_allclose(
            rows.products(queries), expected, rtol=1e-4, atol=1e-3 * scale.max()
        )


@pytest.mark.parametrize("scheme", [None, "something newer"])
def test_codes_of_another_scheme_are_refused(tmp_path, scheme):
    """Read as if they were this one's they would give scores, and wrong ones."""
    write_gradients(tmp_path / "a.zarr", [ROWS])
    group = zarr.open_group(tmp_path / "a.zarr", mode="r+")
    rest = {k: v for k, v in group.attrs.items() if k != "scheme"}
    group.attrs.put(rest if scheme is None else {**rest, "scheme": scheme})
    told = r"a\.zarr: its codes are (of an older scheme|something newer), .* again: "
    with pytest.raises(HeadwaterError, match=told):
        UnitRows(group, str(UNITS[0]))


def test_a_unit_that_is_not_stored_is_refused_by_name(tmp_path):
    group = write_gradients(tmp_path / "a.zarr", [ROWS])
    with pytest.raises(HeadwaterError, match=r"L1H1 is not in .* holds L0H1, L1MLP"):
        UnitRows(group, "L1H1")


def test_a_store_that_lacks_rows_is_not_closed(tmp_path):
    """Rows that never came would read as zeros."""
    with pytest.raises(AssertionError):
        write_gradients(tmp_path / "a.zarr", [ROWS - 1])


def test_a_store_without_rows_is_whole(tmp_path):
    """A shard whose rows all come before a point of the window."""
    GradientWriter(tmp_path / "a.zarr", STAMP, 100, 0, KEPT).close()
    rows = UnitRows(open_group(tmp_path / "a.zarr", CONFIG), str(UNITS[0]))
    assert len(rows) == 0
    assert rows.products(torch.zeros(64, 2)).shape == (0, 2)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("limit", [1, 2 * 4 * 2 * WIDTH])
def test_a_shard_holds_few_bytes_and_the_same_rows(tmp_path, monkeypatch, limit):
    """The limits are less than one row of all units, and two chunks of 4 rows."""
    whole = write_gradients(tmp_path / "whole.zarr", [ROWS])
    monkeypatch.setattr(gradient_writer, "SHARD_BYTES", limit)
    found = write_gradients(tmp_path / "small.zarr", [5] * 8 + [1])
    assert array(found, "codes").shards[0] == (1 if limit == 1 else 8)
    np.testing.assert_array_equal(read(found, "codes"), read(whole, "codes"))


@pytest.mark.usefixtures("small_chunks")
def test_a_store_has_few_files(tmp_path):
    write_gradients(tmp_path / "a.zarr", [5] * 8 + [1])
    data = [name for name in folder_bytes(tmp_path / "a.zarr") if "codes/c" in name]
    assert len(data) == 4, "22 chunks of two units in four shards"
