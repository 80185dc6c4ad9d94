"""Shards as other tools write them, and shards that unpack to no end."""

import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.corpus import documents, streaming
from headwater.corpus.documents import DocumentReader, zstd
from headwater.corpus.domains import NO_LABEL
from headwater.corpus.files import text_file
from headwater.corpus.rows import Rows
from headwater.corpus.sources.dataset import SOURCE as DATASET
from headwater.errors import HeadwaterError
from test_corpus_support import (
    build_held_out,
    build_packed,
    build_rows,
    line,
    small_config,
    some_documents,
    write_shard,
)
from test_publish import start_python

BOM = b"\xef\xbb\xbf"


def write(path, *frames):
    path.write_bytes(b"".join(map(zstd.compress, frames)))
    return path


def read(path, on_bad_line="fail"):
    reader = DocumentReader(path, on_bad_line)
    return [(d.line, d.text) for d in reader], reader.tally


def told(path, on_bad_line="skip") -> str:
    with pytest.raises(HeadwaterError) as caught:
        read(path, on_bad_line)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "frames",
    [
        (BOM + line("one") + b"\n" + line("two"),),
        (BOM, line("one") + b"\n", line("two")),
        (BOM + line("one") + b"\n", BOM + line("two") + b"\n"),
        (BOM[:1], BOM[1:] + line("one") + b"\n" + line("two")),
    ],
    ids=["one frame", "a frame of its own", "files one after another", "cut"],
)
def test_a_byte_order_mark_is_read_over(tmp_path, frames):
    path = write(tmp_path / "a.jsonl.zst", *frames)
    assert read(path)[0] == [(1, "one"), (2, "two")]


def test_a_mark_within_a_text_stays_and_a_mark_alone_is_blank(tmp_path):
    lines = [BOM, line("\ufeffone"), line("two")]
    found, tally = read(write_shard(tmp_path / "a.jsonl.zst", lines))
    assert found == [(2, "\ufeffone"), (3, "two")]
    assert not tally.skipped


@pytest.mark.parametrize("on_bad_line", ["fail", "skip"])
@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]
)
def test_another_encoding_is_named(tmp_path, encoding, on_bad_line):
    text = '{"text": "a"}\n{"text": "b"}\n'.encode(encoding)
    found = told(write(tmp_path / "a.jsonl.zst", text), on_bad_line)
    assert f"text in {encoding.upper()[:6]}" in found
    assert "iconv" in found


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"", b"  ", b"\t\r", line(""), line(" \n"), line("x")]),
        max_size=12,
    ),
    st.integers(0, 40),
)
def test_blank_lines_and_empty_documents_are_counted(tmp_path_factory, lines, cut):
    path = tmp_path_factory.mktemp("odd") / "a.jsonl.zst"
    data = b"".join(entry + b"\n" for entry in lines)
    found, tally = read(write(path, data[:cut], data[cut:]))
    texts = {line(" \n"): " \n", line("x"): "x"}  # white space is text
    wanted = enumerate(lines, start=1)
    assert found == [(n, texts[entry]) for n, entry in wanted if entry in texts]
    assert tally.empty_documents == lines.count(line(""))
    assert not tally.skipped


@pytest.mark.parametrize("frames", [(b"",), (b"", b""), (b"\n",), (b" \n\t\n", b"\r")])
def test_a_source_may_hold_no_document(tmp_path, frames):
    assert read(write(tmp_path / "a.jsonl.zst", *frames))[0] == []


def test_the_rows_of_the_other_sources_are_read(tmp_path):
    config = small_config()
    empty = [write(tmp_path / f"{name}.jsonl.zst", b"") for name in "ac"]
    full = write_shard(tmp_path / "b.jsonl.zst", some_documents(300))
    odd = build_packed(tmp_path, config, [empty[0], full, empty[1]])
    assert "c: no documents in it" in (tmp_path / "log").read_text(encoding="utf-8")
    plain = build_packed(tmp_path / "plain", config, [full])
    rows = [
        Rows(build_rows(folder, config, inputs), config)
        for folder, inputs in ((tmp_path, odd), (tmp_path / "plain", plain))
    ]
    assert rows[0].sources == ["a", "b", "c", *rows[1].sources[1:]]
    first = rows[0].tokens(0, len(rows[0]))
    assert first.tolist() == rows[1].tokens(0, len(rows[1])).tolist()
    build_held_out(tmp_path, config, odd)


def test_no_document_anywhere_is_one_line(tmp_path):
    config, path = small_config(), write(tmp_path / "a.jsonl.zst", b"\n")
    with pytest.raises(SystemExit):
        build_rows(tmp_path, config, build_packed(tmp_path, config, [path]))
    said = (tmp_path / "log").read_text(encoding="utf-8")
    assert "ERROR: corpus.shards: 0 rows of natural text" in said
    assert "Traceback" not in said


def unpack(kind: str, path, lines: int):
    units = {
        "line ends": b"\n",
        "blank lines": b" " * 63 + b"\n",
        "empty documents": line("") + b"\n",
        "bad lines": b"x\n",
        "one line": b"a",
        "one blank line": b"\t",
    }
    return write(path, line("a") + b"\n", units[kind] * lines)


@pytest.mark.parametrize(
    "kind", ["line ends", "blank lines", "empty documents", "bad lines"]
)
def test_lines_without_a_document_have_an_end(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(documents, "BARREN_LINES", 3000)
    path = unpack(kind, tmp_path / "a.jsonl.zst", 3001)
    found = told(path)
    assert "line 3,002: no document in the last 3,001 lines" in found
    monkeypatch.setattr(documents, "BARREN_LINES", 3001)
    assert read(path, "skip")[0] == [(1, "a")]
    monkeypatch.setattr(documents, "BARREN_BYTES", 3000)
    assert "no document in the last" in told(path)


@pytest.mark.parametrize("on_bad_line", ["fail", "skip"])
@pytest.mark.parametrize("kind", ["one line", "one blank line"])
def test_a_line_has_an_end(tmp_path, monkeypatch, kind, on_bad_line):
    monkeypatch.setattr(documents, "LONGEST_LINE", 4000)
    path = unpack(kind, tmp_path / "a.jsonl.zst", 5000)
    assert "line 2: longer than 4,000 bytes" in told(path, on_bad_line)


def test_a_line_of_the_longest_length_is_read(tmp_path, monkeypatch):
    path = write_shard(tmp_path / "a.jsonl.zst", [line("x" * 3000), line("y")])
    longest = len(line("x" * 3000)) + 1  # its end included
    monkeypatch.setattr(documents, "LONGEST_LINE", longest)
    assert len(read(path)[0]) == 2
    monkeypatch.setattr(documents, "LONGEST_LINE", longest - 1)
    told(path)


def test_lines_left_out_are_told_while_they_are_read(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("headwater"), "propagate", True)
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(documents, "_TOLD", 10)
    monkeypatch.setattr("headwater.progress.Progress.update", log_update)
    read(unpack("bad lines", tmp_path / "a.jsonl.zst", 40), "skip")
    assert "reading a.jsonl.zst: 40 lines left out" in caplog.text


def log_update(self, count, note=""):
    self.done += count
    logging.getLogger("headwater").info("%s: %d %s", self.label, self.done, self.unit)


LIMITED = """
import resource, sys
from pathlib import Path
from headwater.corpus.documents import DocumentReader
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
try:
    list(DocumentReader(Path(sys.argv[1]), "skip"))
except Exception as error:
    print(error)
"""


def test_a_window_larger_than_memory_is_one_line(tmp_path):
    """As `zstd --long=31` makes it: a frame header, then one block as it is."""
    text = line("good")
    window = ((31 - 10) << 3).to_bytes(1, "little")
    block = (len(text) << 3 | 1).to_bytes(3, "little") + text
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd\x00" + window + block)
    assert read(path)[0] == [(1, "good")]
    found, _ = start_python(LIMITED, path).communicate()
    assert found.startswith(f"{path}: not enough memory to unpack it; ")
    assert found.count("\n") == 1


def test_nulls_of_a_data_set_mean_what_they_mean_in_a_shard(tmp_path):
    entries = [
        {"text": "one", "meta": {"kind": None}},
        {"text": None, "meta": {"kind": "a"}},
        {"text": "two", "meta": None},
        {"text": "three", "meta": {"kind": "a"}},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(e) + "\n" for e in entries), encoding="utf-8")
    for number, more in enumerate(({"domain": "meta.kind"}, {})):
        settings = {"files": [str(path)], "split": "train", "text": "text", "jobs": 1}
        folder = tmp_path / str(number)
        DATASET.fetch(folder, "a-0000", {**settings, **more}, None)
        reader = DocumentReader(text_file(folder), "skip")
        found = [(d.line, d.text, d.domain) for d in reader]
        assert [line[:2] for line in found] == [(1, "one"), (3, "two"), (4, "three")]
        if more:
            assert [domain for *_, domain in found] == [NO_LABEL, NO_LABEL, "a"]
        assert reader.tally.skipped == {'"text" is not a string': 1}
        assert "line 2: " in told(text_file(folder), "fail")


def test_a_null_among_token_ids_is_one_line(tmp_path):
    path = tmp_path / "a.jsonl"
    for entry in ([1, None, 3], None):
        path.write_text(json.dumps({"ids": entry}) + "\n", encoding="utf-8")
        settings = {"files": [str(path)], "split": "train", "tokens": "ids"}
        stream = streaming.open_stream(settings)
        with pytest.raises(HeadwaterError, match=r"entry 0 of column .* found a null"):
            list(streaming.token_rows(stream, {}, settings, 3))
