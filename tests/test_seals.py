"""Records of content: what is told of a damaged result, and what is fresh."""

import itertools
import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater import seals
from headwater.digests import SAMPLED_BYTES, content_of, digest_of
from headwater.errors import HeadwaterError
from headwater.freshness import TIMESTAMP, settle
from headwater.identity import FORMAT
from headwater.shardfile import ShardFile
from headwater.stores import create_array, create_group, open_group, read, write_array

CONFIG: dict = {}
STAMP = {"format": FORMAT, "settings": {}}


def text(path: Path, words: str = "a\tb\n1\t2\n") -> Path:
    path.write_text(words, encoding="utf-8")
    return path


def hdf5(path: Path, seed: int = 0) -> Path:
    with h5py.File(path, "w") as file:
        file["values"] = np.random.default_rng(seed).random(1000)
    return path


def checkpoint(path: Path) -> Path:
    path.mkdir()
    (path / "model.safetensors").write_bytes(bytes(range(256)) * 40)
    text(path / "config.json", "{}")
    return path


def store(path: Path, seed: int = 0) -> Path:
    """Arrays of one file and of several, compressed and not, some of zeros."""
    group = create_group(path, STAMP)
    draw = np.random.default_rng(seed)
    write_array(group, "plain", draw.random((9, 2)), chunk_rows=4)
    write_array(group, "zeros", np.zeros(100))
    shape, raw = (5, 2, 8), np.dtype(np.uint8)
    sharded = create_array(group, "rows", shape, raw, (2, 1, 8), (4, 2, 8))
    sharded[...] = draw.integers(0, 255, shape)
    codes = create_array(group, "codes", (4, 2, 8), raw, (2, 1, 8), (4, 2, 8), False)
    file = ShardFile(path / "codes" / "c" / "0" / "0" / "0", (2, 2, 1))
    for place in np.ndindex(2, 2, 1):
        file.append(place, draw.integers(0, 255, (2, 1, 8)).astype(raw))
    file.close()
    assert codes.shape == (4, 2, 8)
    return path


KINDS = {"table.tsv": text, "plan.h5": hdf5, "step8": checkpoint, "a.zarr": store}


@pytest.fixture(params=KINDS)
def result(request, tmp_path) -> Path:
    """A recorded result of every kind."""
    path = KINDS[request.param](tmp_path / request.param)
    seals.write(path, {}, "stage/job")
    return path


def files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file()) or [path]


def refusal(path: Path) -> str:
    with pytest.raises(HeadwaterError) as caught:
        seals.check(path)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{path}: ")
    assert line.endswith(f"snakemake --force {path} (and your --configfile)")
    return line


def test_what_is_as_it_was_written_is_taken(result):
    assert seals.check(result) == content_of(result)[0]
    (result.parent / ".hidden").write_text("no content", encoding="utf-8")
    if result.is_dir():
        (result / TIMESTAMP).touch()
    seals.check(result)


def test_any_file_removed_emptied_cut_lengthened_or_changed_is_told(result):
    for path in files(result):
        before = path.read_bytes()
        for damaged in (b"", before[:-1], before + b"\0", before[1:]):
            path.write_bytes(damaged)
            assert path == result or str(path.relative_to(result)) in refusal(result)
        path.unlink()
        refusal(result)
        path.write_bytes(before)
        seals.check(result)


def flipped(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    place, bit = divmod(bit % (8 * len(data)), 8)
    data[place] ^= 1 << bit
    path.write_bytes(bytes(data))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(which=st.integers(0, 99), bit=st.integers(0, 1 << 20))
@pytest.mark.parametrize("kind", KINDS)
def test_one_flipped_bit_is_told_by_the_record_or_by_the_reader(
    kind, which, bit, tmp_path_factory
):
    path = KINDS[kind](tmp_path_factory.mktemp("flip") / kind)
    seals.write(path, {}, "stage/job")
    victim = files(path)[which % len(files(path))]
    flipped(victim, bit)
    try:
        seals.check(path)
    except HeadwaterError:
        return
    # Bits inside a chunk are zarr's to find, as it reads the chunk.
    name, where, *_ = victim.relative_to(path).parts
    assert where == "c"
    with pytest.raises(HeadwaterError, match=f"a chunk of '{name}' is damaged"):
        read(open_group(path, CONFIG), name)


def test_a_chunk_of_another_store_in_its_place_is_told(tmp_path):
    mine, other = store(tmp_path / "a.zarr"), store(tmp_path / "b.zarr", seed=1)
    seals.write(mine, {}, "stage/job")
    for path in files(mine):
        theirs = other / path.relative_to(mine)
        if "c" not in path.parts or theirs.read_bytes() == path.read_bytes():
            continue
        before = path.read_bytes()
        shutil.copy(theirs, path)
        assert str(path.relative_to(mine)) in refusal(mine)
        path.write_bytes(before)


@pytest.mark.parametrize("kind", [checkpoint, store])
def test_what_does_not_belong_there_is_told(kind, tmp_path):
    result = kind(tmp_path / "folder")
    seals.write(result, {}, "stage/job")
    text(result / "step9", "more")
    assert "step9 does not belong there" in refusal(result)


@pytest.mark.parametrize("record", [None, "", "{", "[]", '{"content": 1}', "null"])
def test_a_result_without_a_readable_record_is_refused(result, record):
    seals.seal_of(result).unlink()
    if record is not None:
        text(seals.seal_of(result), record)
    assert "record of its content" in refusal(result)


def test_a_result_made_from_another_than_the_one_there_is_refused(tmp_path):
    first, second = text(tmp_path / "first"), text(tmp_path / "second")
    seals.write(first, {}, "stage/job")
    made_of = {str(first): seals.check(first)}
    seals.write(second, made_of, "stage/job")
    seals.check(second)
    text(first, "of another seed")
    seals.write(first, {}, "stage/job")
    os.utime(second)
    relative = os.path.relpath(first)
    assert f"made from another {relative} than" in refusal(second)


def test_on_a_cluster_the_record_may_come_late(tmp_path, monkeypatch):
    path = text(tmp_path / "late")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    waits = []

    def come(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            seals.write(path, {}, "stage/job")

    monkeypatch.setattr(seals.time, "sleep", come)
    seals.check(path)
    assert len(waits) == 2


@pytest.mark.parametrize("name", ["plain", "zeros", "rows", "codes"])
def test_a_chunk_that_is_gone_is_never_read_as_zeros(tmp_path, name):
    """Also without the record: absence is told by the store itself."""
    path = store(tmp_path / "a.zarr")
    for chunk in files(path / name / "c"):
        moved = chunk.rename(tmp_path / "moved")
        with pytest.raises(HeadwaterError, match=f"chunks of '{name}' are missing"):
            read(open_group(path, CONFIG), name)
        moved.rename(chunk)
    assert len(read(open_group(path, CONFIG), name))


def test_large_files_of_others_are_known_by_samples(tmp_path):
    path = tmp_path / "tokens.bin"
    with path.open("wb") as file:
        file.truncate(SAMPLED_BYTES + 1)
    before = digest_of(path)
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    assert digest_of(path) != before


# Fresh


@pytest.fixture
def chain(tmp_path, monkeypatch) -> list[Path]:
    """A source, and three results each of which is made from the one before."""
    monkeypatch.chdir(tmp_path)
    stage = Path("results/x/stage")
    for folder in (stage, Path("results/x/benchmarks/stage")):
        folder.mkdir(parents=True)
    paths = [text(Path("source")), stage / "a.tsv", stage / "b.zarr", stage / "c.tsv"]
    text(paths[1]), store(paths[2]), text(paths[3])
    (paths[2] / TIMESTAMP).touch()
    for made_from, path in itertools.pairwise(paths):
        digests = seals.inputs([str(made_from)], Path("results/x"))
        seals.write(path, digests, f"stage/{path.stem}")
        text(Path("results/x/benchmarks/stage") / f"{path.stem}.tsv")
    return paths


def age(paths: list[Path], times: list[int]) -> None:
    for path, time in zip(paths, times, strict=True):
        os.utime(path / TIMESTAMP if path.is_dir() else path, (time, time))


def times(paths: list[Path]) -> list[float]:
    carriers = [path / TIMESTAMP if path.is_dir() else path for path in paths]
    return [carrier.stat().st_mtime for carrier in carriers]


FUTURE = 1 << 34
ORDERS = [[4, 3, 2, 1], [1, 4, 2, 3], [2, 2, 1, 2], [1, FUTURE, 3, 2]]


@pytest.mark.parametrize("order", ORDERS)
def test_copies_with_times_in_any_order_are_fresh(chain, order):
    age(chain, order)
    assert settle(Path("results/x")) == []
    found = times(chain)
    assert found == sorted(found)
    assert found[0] == order[0]  # the user's file is left alone
    for path in Path("results/x/benchmarks/stage").iterdir():
        assert path.stat().st_mtime >= found[0]


def test_what_has_another_content_stays_old(chain):
    age(chain, [1, 2, 3, 4])
    text(chain[0], "another source")
    os.utime(chain[0], (9, 9))
    settle(Path("results/x"))
    assert times(chain) == [9, 2, 3, 4]


def test_an_edited_result_does_not_become_fresh(chain):
    age(chain, [1, 2, 3, 4])
    text(chain[3], "edited")
    age(chain, [5, 2, 3, 4])
    text(chain[1], "edited")
    os.utime(chain[1], (8, 8))
    settle(Path("results/x"))
    assert times(chain)[1:] == [8, 3, 4]


def test_a_result_put_in_the_place_of_another_is_warned_of(chain):
    text(chain[1], "of another seed")
    seals.write(chain[1], {}, "stage/a")
    age(chain, [1, 2, 3, 4])
    (warning,) = settle(Path("results/x"))
    assert warning.startswith(f"{chain[2]}: made from another {chain[1]} than")


def test_results_may_be_of_no_one_and_records_of_nothing(chain, tmp_path):
    assert settle(Path("results/none")) == []
    chain[1].unlink()
    text(seals.seal_of(chain[2]), "damaged")
    record = json.loads(seals.seal_of(chain[3]).read_text(encoding="utf-8"))
    record["made_of"]["c.tsv"] = record["content"]  # of itself: a circle
    text(seals.seal_of(chain[3]), json.dumps(record))
    assert settle(Path("results/x")) == []
