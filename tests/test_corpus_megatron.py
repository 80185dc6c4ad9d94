"""Pre-shuffled token files: the format bit for bit, the map from steps to bytes."""

import re
import struct
from pathlib import Path

import numpy as np
import pytest

from headwater.corpus.tokenfiles import HEADER, TokenFiles, open_local
from headwater.corpus.tokenparts import index_name, part_order
from headwater.errors import HeadwaterError
from headwater.steps import bytes_of_rows, step_of_row
from megatron_writer import (
    cut_into_shards,
    random_sequences,
    write_bin,
    write_dataset,
    write_idx,
    write_preshuffled,
)

WIDTH = 9

# What megatron-core 0.16.1 (`IndexedDatasetBuilder`, uint16) writes for these two.
SEQUENCES = [[5, 0, 65535], [1, 2, 3]]
MEGATRON_IDX = (
    "4d4d4944494458000001000000000000000802000000000000000300000000000000030000000300"
    "0000000000000000000006000000000000000000000000000000010000000000000002000000"
    "00000000"
)
MEGATRON_BIN = "05000000ffff010002000300"


def rows_of(count: int, width: int = WIDTH) -> np.ndarray:
    return np.array(random_sequences(count, width, 300))


def test_the_tests_writer_writes_what_megatron_writes(tmp_path: Path) -> None:
    write_dataset(tmp_path, SEQUENCES)
    assert (tmp_path / "document.idx").read_bytes().hex() == MEGATRON_IDX
    assert (tmp_path / "document.bin").read_bytes().hex() == MEGATRON_BIN


def test_a_file_of_megatron_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.idx").write_bytes(bytes.fromhex(MEGATRON_IDX))
    (tmp_path / "a.bin").write_bytes(bytes.fromhex(MEGATRON_BIN))
    files = open_local([tmp_path / "a.bin"], range(2), 3)
    assert files.read(0, 2).tolist() == SEQUENCES


def test_pythia_s_steps_are_these_rows_and_bytes() -> None:
    assert [step_of_row(row, 1024) for row in (0, 1023, 1024, 525_311)] == [
        0,
        0,
        1,
        512,
    ]
    assert bytes_of_rows(range(7, 8), 2049, 2) == range(4098 * 7, 4098 * 8)
    first_2000 = bytes_of_rows(range(0, 2000 * 1024), 2049, 2)
    assert (first_2000.start, first_2000.stop) == (0, 8_392_704_000)
    assert bytes_of_rows(range(146_432_000), 2049, 2).stop == 600_078_336_000


def test_row_i_is_the_bytes_4098_i_of_the_file(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 1 << 16, 5 * 2049).astype("<u2")
    (tmp_path / "a.bin").write_bytes(data.tobytes())
    files = TokenFiles([tmp_path / "a.bin"], 2049)
    raw = (tmp_path / "a.bin").read_bytes()
    for row in range(5):
        plain = np.frombuffer(raw[4098 * row : 4098 * (row + 1)], "<u2")
        assert (files.read(row, row + 1)[0] == plain).all()


@pytest.mark.parametrize("shards", [0, 1, 3, 7])
def test_rows_are_the_same_however_the_file_is_cut(tmp_path: Path, shards: int) -> None:
    write_preshuffled(tmp_path, 20, WIDTH, 300, shards)
    names = part_order("x", [str(path) for path in tmp_path.iterdir()])
    files = open_local([Path(name) for name in names], range(20), WIDTH)
    wanted = rows_of(20)
    assert len(files) == 20
    assert (files.read(0, 20) == wanted).all()
    assert (files.read(13, 17) == wanted[13:17]).all()
    blocks = list(files.blocks(3, 20, 6))
    assert [len(block) for block in blocks] == [6, 6, 5]
    assert (np.concatenate(blocks) == wanted[3:]).all()


def test_first_shards_alone_are_enough_for_their_rows(tmp_path: Path) -> None:
    write_preshuffled(tmp_path, 20, WIDTH, 300, shards=4)
    first = [tmp_path / f"document-{i:05d}-of-00003.bin" for i in range(2)]
    assert (open_local(first, range(9), WIDTH).read(0, 9) == rows_of(20)[:9]).all()
    place = re.escape(f"{first[0]} (corpus.pythia.path)")
    with pytest.raises(HeadwaterError, match=f"^{place}: rows 0 to 10 .* only 10"):
        open_local(first, range(11), WIDTH)


def broken_index(path: Path, **changes: bytes) -> None:
    whole = bytearray(path.read_bytes())
    places = {"version": 9, "code": 17, "sequences": 18}
    for name, value in changes.items():
        whole[places[name] : places[name] + len(value)] = value
    path.write_bytes(bytes(whole))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": b"\x02"}, "version 2 of the index format"),
        ({"code": b"\x04"}, r"tokens are of type int32 \(code 4\).* reads uint16"),
        ({"code": b"\x63"}, r"tokens are of type unknown \(code 99\)"),
        (
            {"sequences": struct.pack("<Q", 19)},
            "442 bytes, but its header promises 430",
        ),
    ],
)
def test_index_of_another_kind_is_refused(
    tmp_path: Path, change: dict[str, bytes], message: str
) -> None:
    write_preshuffled(tmp_path, 20, WIDTH, 300)
    broken_index(tmp_path / "document.idx", **change)
    with pytest.raises(HeadwaterError, match=message):
        open_local([tmp_path / "document.bin"], range(20), WIDTH)


def test_other_bytes_are_no_index(tmp_path: Path) -> None:
    write_preshuffled(tmp_path, 2, WIDTH, 300)
    (tmp_path / "document.idx").write_bytes(b"TNTIDX\x00\x00" + bytes(50))
    with pytest.raises(HeadwaterError, match="not a Megatron index"):
        open_local([tmp_path / "document.bin"], range(2), WIDTH)


def test_rows_of_another_length_are_named(tmp_path: Path) -> None:
    sequences = random_sequences(20, WIDTH, 300)
    sequences[6].append(1)
    bin_file = write_dataset(tmp_path, sequences)
    with pytest.raises(HeadwaterError, match=r"no whole number of rows"):
        open_local([bin_file], range(20), WIDTH)
    write_idx(tmp_path / "document.idx", [WIDTH] * 6 + [2 * WIDTH] + [WIDTH] * 12)
    write_bin(bin_file, random_sequences(20, WIDTH, 300), "uint16")
    with pytest.raises(HeadwaterError, match=r"row 6 has 18 tokens, but rows have 9"):
        open_local([bin_file], range(19), WIDTH)


def test_rows_with_gaps_are_named(tmp_path: Path) -> None:
    bin_file = write_preshuffled(tmp_path, 20, WIDTH, 300) / "document.bin"
    index = bytearray((tmp_path / "document.idx").read_bytes())
    place = HEADER.size + 4 * 20 + 8 * 5
    index[place : place + 8] = struct.pack("<q", 92)
    (tmp_path / "document.idx").write_bytes(bytes(index))
    with pytest.raises(HeadwaterError, match="row 5 begins at byte 92, expected 90"):
        open_local([bin_file], range(20), WIDTH)


def test_lengths_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    bin_file = write_preshuffled(tmp_path, 20, WIDTH, 300) / "document.bin"
    whole = bin_file.read_bytes()
    bin_file.write_bytes(whole[:-1])
    with pytest.raises(HeadwaterError, match="359 bytes in all are no whole number"):
        open_local([bin_file], range(5), WIDTH)
    bin_file.write_bytes(whole[: 18 * 12])
    with pytest.raises(HeadwaterError, match=r"promises 20 rows .* ends after 12"):
        open_local([bin_file], range(5), WIDTH)


def test_rows_past_the_end_are_refused(tmp_path: Path) -> None:
    bin_file = write_preshuffled(tmp_path, 20, WIDTH, 300) / "document.bin"
    with pytest.raises(HeadwaterError, match=r"rows 0 to 20 are needed .* only 20"):
        open_local([bin_file], range(21), WIDTH)
    (tmp_path / "document.idx").unlink()
    with pytest.raises(HeadwaterError, match=r"rows 0 to 20 are needed .* only 20"):
        open_local([bin_file], range(21), WIDTH)
    with pytest.raises(HeadwaterError, match=r"rows 19 to 21 are needed"):
        open_local([bin_file], range(20), WIDTH).read(19, 22)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.idx"], "no .bin file"),
        (["a.bin", "b.bin"], "several .bin files there (a.bin, b.bin)"),
        (["a-00000-of-00002.bin", "a-00002-of-00002.bin"], "shard 00001 is missing"),
        (["a-00003-of-00020.bin"], "shard 00000 is missing"),
        (["a-00000-of-00001.bin", "b-00001-of-00001.bin"], "several .bin files"),
    ],
)
def test_shards_that_are_not_one_whole_are_refused(
    names: list[str], message: str
) -> None:
    with pytest.raises(HeadwaterError, match=re.escape(message)):
        part_order("x", names)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("a/rows.bin", "a/rows.idx"),
        ("a/document-00002-of-00020.bin", "a/document.idx"),
        ("https://h/x.bin/document.bin?key=1", "https://h/x.bin/document.idx?key=1"),
    ],
)
def test_index_stands_beside(name: str, index: str) -> None:
    assert index_name(name) == index


def test_shards_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    write_preshuffled(tmp_path, 40, WIDTH, 300)
    cut_into_shards(tmp_path / "document.bin", 12)
    found = part_order("x", [str(path) for path in tmp_path.iterdir()])
    assert [Path(name).name[9:14] for name in found] == [f"{i:05d}" for i in range(12)]


def test_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(HeadwaterError, match=r"gone\.bin: no such file; check"):
        open_local([tmp_path / "gone.bin"], range(1), WIDTH)
