"""Reading shards: every kind of bad input, and memory that does not grow."""

import json
import random
import tracemalloc

import pytest

from headwater.corpus.documents import Document, DocumentReader, zstd
from headwater.corpus.domains import NO_LABEL
from headwater.errors import HeadwaterError
from test_corpus_support import line, write_shard

GOOD = line("good")

BAD_LINES = [
    (
        b'{"text": "a',
        "broken JSON",
        "broken JSON (Unterminated string starting at: line 1 column 10 (char 9))",
    ),
    (b"[" * 100_000, "broken JSON", "broken JSON (maximum recursion depth exceeded"),
    (b'["text"]', "not a JSON object", "not a JSON object (found array)"),
    (b'"text"', "not a JSON object", "not a JSON object (found string)"),
    (b'{"meta": {}}', 'no "text"', 'no "text"'),
    (
        b'{"text": null}',
        '"text" is not a string',
        '"text" is not a string (found null)',
    ),
    (b'{"text": 5}', '"text" is not a string', '"text" is not a string (found number)'),
    (b'{"text": "\xff"}', "invalid UTF-8", "invalid UTF-8 (byte 11)"),
    (b'{"text": "\xed\xa0\x80"}', "invalid UTF-8", "invalid UTF-8 (byte 11)"),
]


def read(path, on_bad_line="fail"):
    reader = DocumentReader(path, on_bad_line)
    return list(reader), reader.tally


def test_documents_have_line_text_and_domain(tmp_path):
    lines = [line("one", "xml"), b"", line("two\n", "code"), b"  "]
    documents, tally = read(write_shard(tmp_path / "a.jsonl.zst", lines))
    assert documents == [Document(1, "one", "xml"), Document(3, "two\n", "code")]
    assert tally.documents == 2
    assert not tally.skipped


def test_last_line_needs_no_newline(tmp_path):
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(zstd.compress(GOOD + b"\n" + line("end")))
    assert [d.text for d in read(path)[0]] == ["good", "end"]


def test_frames_after_one_another_are_one_file(tmp_path):
    path = tmp_path / "a.jsonl.zst"
    whole = GOOD + b"\n" + line("second") + b"\n"
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    frames = [zstd.compress(part) for part in (whole[:20], whole[20:])]
    path.write_bytes(frames[0] + skippable + frames[1])
    assert [d.text for d in read(path)[0]] == ["good", "second"]


@pytest.mark.parametrize(("bad", "reason", "message"), BAD_LINES)
def test_bad_line_fails_with_shard_and_line(tmp_path, bad, reason, message):
    path = write_shard(tmp_path / "a.jsonl.zst", [GOOD, b"", bad, GOOD])
    with pytest.raises(HeadwaterError) as error:
        read(path)
    text = str(error.value)
    assert text.startswith(f"{path}: line 3: {message}")
    assert text.endswith("; repair the line, or set corpus.on_bad_line to skip")
    assert "\n" not in text


@pytest.mark.parametrize(("bad", "reason", "message"), BAD_LINES)
def test_bad_line_is_skipped_and_counted(tmp_path, bad, reason, message):
    path = write_shard(tmp_path / "a.jsonl.zst", [GOOD, bad, bad, GOOD])
    documents, tally = read(path, "skip")
    assert [d.line for d in documents] == [1, 4]
    assert tally.skipped == {reason: 2}


@pytest.mark.parametrize("on_bad_line", ["fail", "skip"])
def test_truncated_file_is_always_an_error(tmp_path, on_bad_line):
    lines = [line(f"{i} " + "".join(map(chr, range(33, 90)))) for i in range(50_000)]
    path = write_shard(tmp_path / "a.jsonl.zst", lines)
    path.write_bytes(path.read_bytes()[:-1000])
    reader, documents = DocumentReader(path, on_bad_line), []
    with pytest.raises(HeadwaterError) as error:
        documents.extend(reader)
    last = reader.tally.documents
    assert 0 < last < 50_000
    assert str(error.value) == (
        f"{path}: the file is truncated; its last whole line is {last}. "
        "Copy or download it again"
    )


@pytest.mark.parametrize("checksum", [True, False])
def test_a_cut_anywhere_is_noticed(tmp_path, checksum):
    path = tmp_path / "a.jsonl.zst"
    options = {zstd.CompressionParameter.checksum_flag: checksum}
    whole = zstd.compress(GOOD + b"\n" + line("and more") + b"\n", options=options)
    for size in range(1, len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(
            HeadwaterError, match=r"truncated; its last whole line is \d"
        ):
            read(path)
    path.write_bytes(whole)
    assert len(read(path)[0]) == 2


def test_lines_before_a_cut_are_counted(tmp_path):
    path = tmp_path / "a.jsonl.zst"
    frames = [zstd.compress((GOOD + b"\n") * count) for count in (3, 2)]
    path.write_bytes(frames[0] + frames[1][:-1])
    with pytest.raises(HeadwaterError, match=r"its last whole line is [345]\."):
        read(path)


def test_lines_end_with_a_newline_only(tmp_path):
    text = "a\u2028b\x85c"
    lines = [f'{{"text":\r "{text}"}}\r'.encode(), b"\r", GOOD]
    documents, _ = read(write_shard(tmp_path / "a.jsonl.zst", lines))
    assert [(d.line, d.text) for d in documents] == [(1, text), (3, "good")]


def test_a_long_window_is_read(tmp_path):
    """As `zstd --long=28` makes it: a frame header, then one block as it is."""
    window = ((28 - 10) << 3).to_bytes(1, "little")
    block = (len(GOOD) << 3 | 1).to_bytes(3, "little") + GOOD
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd\x00" + window + block)
    assert [d.text for d in read(path)[0]] == ["good"]


def test_bytes_read_are_those_of_the_blocks_that_a_line_needed(tmp_path):
    """Whatever sizes Python's buffers have: a tokenizer's sample depends on it."""
    texts = [random.Random(i).randbytes(10_000).hex() for i in range(50)]
    path = write_shard(tmp_path / "a.jsonl.zst", map(line, texts))
    size, block = path.stat().st_size, 1 << 17
    reader = DocumentReader(path, "fail")
    seen = [reader.bytes_read for _ in reader]
    assert seen == sorted(seen)
    assert sorted(set(seen)) == [*range(block, size, block), size]
    data = path.read_bytes()
    for end in set(seen):
        lines = zstd.ZstdDecompressor().decompress(data[:end]).count(b"\n")
        assert sum(count <= end for count in seen) == lines


def test_damaged_file_says_so(tmp_path):
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(b"this is no zstd data")
    with pytest.raises(HeadwaterError) as error:
        read(path)
    assert str(error.value) == (
        f"{path}: text, no zstd file (.zst) (it begins 'this is no zstd data'); copy "
        "or download it again"
    )


def test_empty_file_says_so(tmp_path):
    path = tmp_path / "a.jsonl.zst"
    path.touch()
    with pytest.raises(HeadwaterError) as error:
        read(path)
    assert str(error.value) == (
        f"{path}: damaged (an empty file, 0 bytes); copy or download it again"
    )


@pytest.mark.parametrize(
    "meta",
    [{}, None, 3, *({"pile_set_name": name} for name in (None, "", " \t\n", 7, ["x"]))],
)
def test_documents_without_a_label_have_one_domain(tmp_path, meta):
    bare = json.dumps({"text": "x", "meta": meta}).encode()
    path = write_shard(tmp_path / "a.jsonl.zst", [bare, b'{"text": "x"}'])
    assert [d.domain for d in read(path)[0]] == [NO_LABEL, NO_LABEL]


@pytest.mark.parametrize("name", ["unknown", "None", "nan", "no label", f"{NO_LABEL} "])
def test_no_label_is_told_from_labels(tmp_path, name):
    path = write_shard(tmp_path / "a.jsonl.zst", [line("x", name), b'{"text": "x"}'])
    assert [d.domain for d in read(path)[0]] == [name, NO_LABEL]


def test_the_name_of_no_label_is_refused_as_a_label(tmp_path):
    path = write_shard(tmp_path / "a.jsonl.zst", [GOOD, line("x", NO_LABEL)])
    with pytest.raises(HeadwaterError, match=r"line 2: .* reserved name .*no label"):
        read(path)


def test_empty_documents_are_counted_not_yielded(tmp_path):
    path = write_shard(tmp_path / "a.jsonl.zst", [line(""), GOOD, line("")])
    documents, tally = read(path)
    assert [d.line for d in documents] == [2]
    assert tally.empty_documents == 2
    assert tally.documents == 1


def test_nul_stays_and_lone_surrogates_are_replaced(tmp_path):
    lines = [b'{"text": "a\\u0000b"}', b'{"text": "x\\ud800y\\uDC00 \\ud83d\\ude00"}']
    documents, tally = read(write_shard(tmp_path / "a.jsonl.zst", lines))
    assert [d.text for d in documents] == ["a\0b", "x\ufffdy\ufffd \U0001f600"]
    assert tally.lone_surrogates == 2


def test_ten_megabyte_document_is_read_whole(tmp_path):
    text = "0123456789 " * 950_000
    path = write_shard(tmp_path / "a.jsonl.zst", [GOOD, line(text), GOOD])
    documents, _ = read(path)
    assert [d.line for d in documents] == [1, 2, 3]
    assert documents[1].text == text


def test_memory_does_not_grow_with_the_file(tmp_path):
    """30 MB of text that compresses a thousandfold, through a reader's hands."""
    path = write_shard(
        tmp_path / "a.jsonl.zst", (line("x" * 3000) for _ in range(10_000))
    )
    tracemalloc.start()
    count = sum(len(document.text) for document in DocumentReader(path, "fail"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 30_000_000
    assert path.stat().st_size < 100_000
    assert peak < 8_000_000
