"""A file that cannot be read is told by what it really is."""

import bz2
import errno
import gzip
import io
import lzma
import os
import pickle
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.corpus.batches import BatchFiles
from headwater.corpus.documents import DocumentReader, zstd
from headwater.corpus.files import problem_of, tokenizer_problem
from headwater.corpus.needs import RowNeeds
from headwater.corpus.sources.dataset import SOURCE as DATASET
from headwater.corpus.tokenfiles import open_local
from headwater.errors import HeadwaterError
from headwater.unreadable import stand_in, unreadable, why, why_by_head

LFS = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    b"size 12345\n"
)
ANNEX = b"/annex/objects/SHA256E-s5--4d7a214614ab2935.jsonl.zst\n"
PAGE = (
    b"\n<!-- sso --><!DOCTYPE html>\n<html><title>Sign in</title></html>" + b" " * 999
)
DENIED = (
    b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code><Message>no</Message>'
    b"</Error>"
)
PLACEHOLDERS = {
    "LFS": (LFS, "a pointer of Git LFS, not the file; run `git lfs pull`"),
    "annex": (ANNEX, "a pointer of git-annex, not the file; run `git annex get`"),
    "page": (PAGE, "a web page (HTML)"),
    "marked page": (b"\xef\xbb\xbf<html>", "a web page (HTML)"),
    "error": (DENIED, "'<Error><Code>AccessDenied</Code>"),
}


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", "b")
    return buffer.getvalue()


KINDS = {
    "gzip file (.gz)": gzip.compress(b"text"),
    "bzip2 file (.bz2)": bz2.compress(b"text"),
    "xz file (.xz)": lzma.compress(b"text"),
    "zip archive": zipped(),
    "tar archive": tar(),
    "HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(90),
    "pickle of Python": pickle.dumps(list(range(9))),
    "safetensors file": (2).to_bytes(8, "little") + b"{}",
    "file of zero bytes (an interrupted copy?)": bytes(4096),
}


def told(call, *arguments) -> str:
    with pytest.raises(HeadwaterError) as caught:
        call(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    assert "delete" not in message
    assert "remove" not in message
    return message


def read_text(path):
    return list(DocumentReader(path, "skip"))


def read_parquet(path):
    columns = {"tokens": "token_ids", "batch": "batch_idx"}
    return BatchFiles([(str(path), str(path))], RowNeeds(5, 4, 0, 4), columns)


def read_tokens(path):
    return open_local([path], range(1), 5)


READERS = {
    "a.jsonl.zst": read_text,
    "a.parquet": read_parquet,
    "a.bin": read_tokens,
}


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
@pytest.mark.parametrize("name", READERS)
def test_a_placeholder_is_told_by_every_reader(tmp_path, name, placeholder):
    content, message = PLACEHOLDERS[placeholder]
    path = tmp_path / name
    path.write_bytes(content)
    assert told(READERS[name], path).startswith(f"{path}: ")
    assert message in told(READERS[name], path)


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_a_placeholder_is_told_before_any_job(tmp_path, placeholder):
    content, message = PLACEHOLDERS[placeholder]
    for name in ("a.jsonl.zst", "a.bin", "a.parquet", "tokenizer.json"):
        (tmp_path / name).write_bytes(content)
    for name, suffix in (("a.jsonl.zst", ".jsonl.zst"), ("a.bin", ".bin")):
        assert message in str(problem_of(name, tmp_path, suffix))
    section = {"dataset": {"files": ["a.parquet"]}}
    (problem,) = DATASET.problems(section, ("corpus",), tmp_path)
    assert message in str(problem)
    (tmp_path / "tokenizer_config.json").write_bytes(b"{}")
    assert message in str(tokenizer_problem(".", tmp_path))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a.jsonl.zst", "a.parquet"])
def test_another_kind_is_told_by_its_first_bytes(tmp_path, name, kind):
    path = tmp_path / name
    path.write_bytes(KINDS[kind])
    assert told(READERS[name], path).startswith(f"{path}: {kind}, no ")


def test_a_shard_that_is_no_longer_compressed_is_text(tmp_path):
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(b'{"text": "a"}\n')
    assert "text, no zstd file (.zst) (it begins '{" in told(read_text, path)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_a_parquet_file_cut_short_says_so(tmp_path, share):
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pa.table({"a": list(range(99))}), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert "(cut short: " in told(read_parquet, path)


@pytest.mark.parametrize("target", ["nowhere", ".git/annex/objects/a/b", "a.bin"])
def test_links_that_lead_nowhere_are_told(tmp_path, target):
    path = tmp_path / "a.bin"
    path.symlink_to(target)
    found = str(stand_in(path))
    if "annex" in target:
        assert found.startswith("a link of git-annex to content that is not here; ")
    else:
        assert found.startswith(f"a link to {target}")
    assert found in told(read_tokens, path)
    index = tmp_path / "b.idx"
    index.symlink_to(target)
    (tmp_path / "b.bin").write_bytes(bytes(20))
    told(read_tokens, tmp_path / "b.bin")  # not: no index, its width is assumed


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.bin")
    assert "a pipe or a device, not a file" in told(read_tokens, tmp_path / "a.bin")


def test_no_permission_is_told_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"")
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = why(path, PermissionError(errno.EACCES, "no"), again="make it again")
    assert found.startswith("you may not read it; check its permissions")


def test_what_is_ours_is_made_again_whatever_is_there(tmp_path):
    path = tmp_path / "a.h5"
    for content in (b"", b"text", LFS, KINDS["zip archive"]):
        path.write_bytes(content)
        message = str(unreadable(path, "bad", "make it again: x"))
        assert message.endswith("; make it again: x")


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.binary(max_size=600), st.sampled_from([".bin", ".zst", ".json", ".h5", ""]))
def test_any_bytes_make_one_line(head, suffix):
    found = why_by_head(head, f"a{suffix}", "said\nin two lines")
    assert "\n" not in found
    assert "; " in found


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 50_000), min_size=15, max_size=300))
def test_token_ids_are_taken_for_nothing_else(tokens):
    import numpy as np

    data = np.array(tokens, "<u2").tobytes()
    found = why_by_head(data, "a.bin", "x")
    assert not found.startswith(("a pointer", "a web page", "a server"))


def test_a_compressed_shard_is_no_stand_in(tmp_path):
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(zstd.compress(b'{"text": "<html>"}\n'))
    assert stand_in(path) is None
    assert [d.text for d in read_text(path)] == ["<html>"]
