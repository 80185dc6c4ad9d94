"""Documents to rows: against a slow twin, and against the text itself."""

import tracemalloc

import numpy as np
import pytest
import zarr

from headwater.corpus import packer, packing, rowstore
from headwater.corpus.documents import DocumentReader
from headwater.corpus.encoding import Encoder, split_points
from headwater.corpus.packing import pack_source
from headwater.errors import HeadwaterError
from test_corpus_support import (
    ByteEncoder,
    line,
    pythia_like,
    small_config,
    small_encoder,
    some_documents,
    some_text,
    write_shard,
)

IDENTITY = {"stage": "corpus", "format": 1, "settings": {}}
CONFIG = small_config()


def pack(tmp_path, shard, encoder, config=CONFIG):
    target = tmp_path / "packed.zarr"
    pack_source(target, "a", shard, encoder, config, IDENTITY)
    return zarr.open_group(target, mode="r")


def all_rows(group):
    names = ("tokens", "domain", "span_offsets", "spans")
    return {name: group[name][...] for name in names}


def slow_rows(documents, domains, tokenizer, end, width, packing="stream"):
    """Tokens, domain and spans of every row, one token at a time."""
    if packing == "document":
        for document in documents:
            yield from slow_rows([document], domains, tokenizer, end, width)
        return
    stream = []  # (token, line, first character, last plus one, domain)
    for document in documents:
        encoding = tokenizer.encode(document.text, add_special_tokens=False)
        size, domain = len(document.text), domains.index(document.domain)
        stream += [
            (token, document.line, start, stop, domain)
            for token, (start, stop) in zip(encoding.ids, encoding.offsets, strict=True)
        ]
        stream.append((end, document.line, size, size, domain))
    for first in range(0, len(stream) - width + 1, width):
        row, spans = stream[first : first + width], []
        for place, (_, number, start, stop, domain) in enumerate(row):
            if spans and spans[-1][1] == number:
                spans[-1][3] = stop
            else:
                spans.append([0, number, start, stop, place, domain])
        found = [domain for *_, domain in row]
        most = max(sorted(set(found)), key=found.count)
        yield [token for token, *_ in row], most, spans


def long_documents():
    """Documents of no token more than the end, of one row, and of many pieces."""
    lengths = (0, 3, 15, 30_000, 1, 7, 12_000, 200, 16, 5_000)
    texts = [some_text(i, n) or "." for i, n in enumerate(lengths)]
    texts.append("x" * 9_000)  # longer than a piece, no white space
    return [line(t, ("prose", "code", "xml")[i % 3]) for i, t in enumerate(texts)]


@pytest.mark.parametrize("batch", [500, 1_000_000])
@pytest.mark.parametrize("kind", ["trained", "pythia"])
@pytest.mark.parametrize("how", ["stream", "document"])
def test_rows_equal_those_of_the_slow_twin(tmp_path, monkeypatch, how, kind, batch):
    monkeypatch.setattr(packer, "_BATCH_CHARACTERS", batch)
    encoder = small_encoder() if kind == "trained" else Encoder(pythia_like(), 0)
    shard = write_shard(tmp_path / "a.jsonl.zst", some_documents(60) + long_documents())
    root = pack(tmp_path, shard, encoder, small_config(corpus__packing=how))
    domains = root.attrs["domains"]
    documents = list(DocumentReader(shard, "fail"))
    for split in packing.SPLITS:
        chosen = [
            d
            for d in documents
            if packing.is_held_out("a", d.line, CONFIG) == (split == "held_out")
        ]
        assert chosen
        expected = list(slow_rows(chosen, domains, encoder.tokenizer, 0, 17, how))
        found = all_rows(root[split])
        assert len(found["tokens"]) == len(expected)
        for row, (tokens, domain, spans) in enumerate(expected):
            start, stop = found["span_offsets"][row : row + 2]
            assert found["tokens"][row].tolist() == tokens
            assert found["domain"][row] == domain
            assert found["spans"][start:stop].tolist() == spans


def test_rows_decode_to_the_characters_of_their_spans(tmp_path):
    """ASCII text, so that no row boundary falls inside a character."""
    text = (
        "def f(x):\n    return x * 2  # doubled\n\n\nclass A: pass\t\0<|endoftext|>\n"
    )
    lines = [line(text * (1 + i % 5) + str(i)) for i in range(40)]
    shard = write_shard(tmp_path / "a.jsonl.zst", lines)
    encoder = small_encoder()
    texts = {d.line: d.text for d in DocumentReader(shard, "fail")}
    root = pack(tmp_path, shard, encoder)
    for split in packing.SPLITS:
        rows = all_rows(root[split])
        for row, tokens in enumerate(rows["tokens"]):
            start, stop = rows["span_offsets"][row : row + 2]
            spans = rows["spans"][start:stop]
            kept = "".join(texts[s[1]][s[2] : s[3]] for s in spans.tolist())
            assert encoder.tokenizer.decode(tokens[tokens != 0].tolist()) == kept


def test_every_character_of_every_document_is_in_a_row(tmp_path):
    shard = write_shard(tmp_path / "a.jsonl.zst", some_documents(50) + long_documents())
    root = pack(tmp_path, shard, small_encoder())
    spans = np.concatenate([root[split]["spans"][...] for split in packing.SPLITS])
    lost = {}
    for document in DocumentReader(shard, "fail"):
        mine = spans[spans[:, rowstore.LINE] == document.line]
        covered = np.zeros(len(document.text), bool)
        for start, stop in mine[:, [rowstore.START, rowstore.STOP]]:
            covered[start:stop] = True
        if not covered.all():
            lost[document.line] = int((~covered).sum())
    # Only what is dropped at the end of each split: less than a row of tokens.
    assert len(lost) <= 2
    assert all(count < 17 * 10 for count in lost.values())


@pytest.mark.parametrize("how", ["stream", "document"])
def test_tokens_are_the_documents_and_their_ends(tmp_path, how):
    encoder = small_encoder()
    shard = write_shard(tmp_path / "a.jsonl.zst", some_documents(30))
    root = pack(tmp_path, shard, encoder, small_config(corpus__packing=how))
    total = sum(
        len(encoder.tokenizer.encode(d.text).ids) + 1
        for d in DocumentReader(shard, "fail")
    )
    counts, dropped = root.attrs["counts"], root.attrs["dropped_tokens"]
    for split in packing.SPLITS:
        tokens = sum(domain["tokens"] for domain in counts[split].values())
        assert tokens == root[split]["tokens"].size + dropped[split]
        ends = 30 if how == "document" else 1
        assert 0 <= dropped[split] < 17 * ends
        rows = sum(domain["rows"] for domain in counts[split].values())
        assert rows == root[split]["tokens"].shape[0]
    tokens = [d["tokens"] for split in counts.values() for d in split.values()]
    assert sum(tokens) == total
    train = sum(domain["tokens"] for domain in counts["train"].values())
    assert root["token_counts"][...].sum() == train
    documents = [d["documents"] for split in counts.values() for d in split.values()]
    assert sum(documents) == 30
    assert root["token_counts"][0] == sum(
        d["documents"] for d in counts["train"].values()
    )


def test_text_that_spells_the_special_token_is_not_the_end(tmp_path):
    lines = [line("a <|endoftext|> b " * 20)]
    shard = write_shard(tmp_path / "a.jsonl.zst", lines)
    root = pack(tmp_path, shard, small_encoder())
    tokens = np.concatenate([root[split]["tokens"][...] for split in packing.SPLITS])
    assert tokens.size > 100
    assert (tokens == 0).sum() <= 1


@pytest.mark.parametrize("kind", ["trained", "pythia"])
def test_pieces_have_the_tokens_of_the_whole(kind):
    encoder = small_encoder() if kind == "trained" else Encoder(pythia_like(), 0)
    text = some_text(3, 30_000) + " " * 9_000 + "end " + "\n" * 5_000 + "."
    pieces = [text[start:stop] for start, stop in split_points(text)]
    assert "".join(pieces) == text
    assert len(pieces) > 20
    ids = [piece.ids for piece in encoder.encode(pieces)]
    assert np.concatenate(ids).tolist() == encoder.tokenizer.encode(text).ids


@pytest.mark.parametrize("text", ["", "a", "漢" * 200_000, "a" * 64_001, "\n" * 70_000])
def test_pieces_cover_text_without_spaces(text):
    points = list(split_points(text))
    assert "".join(text[start:stop] for start, stop in points) == text
    assert all(0 < stop - start <= 64_000 for start, stop in points)


def test_ten_megabyte_document_is_cut_into_small_pieces():
    text = "0123456789 " * 950_000
    points = np.array(list(split_points(text)))
    assert points[0, 0] == 0
    assert points[-1, 1] == len(text)
    assert (points[1:, 0] == points[:-1, 1]).all()
    assert (points[:, 1] - points[:, 0]).max() <= 4_000


def peak_memory(tmp_path, lines):
    shard = write_shard(tmp_path / "a.jsonl.zst", lines)
    tracemalloc.start()
    config = small_config(corpus__seq_len=512, corpus__held_out={"fraction": 0.01})
    root = pack(tmp_path, shard, ByteEncoder(), config)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = sum(root[split]["tokens"].size for split in packing.SPLITS)
    assert size > sum(map(len, lines)) - 513 * 2 - 100 * len(lines)
    return peak


def test_memory_does_not_grow_with_the_source(tmp_path, monkeypatch):
    """10 MB and 30 MB of text; then 20 MB of which half is one document.

    A writer holds one file, so files are small here.
    """
    monkeypatch.setattr(rowstore, "_FILE_TOKENS", 1 << 22)
    text = "lorem ipsum dolor sit amet " * 37_000
    small = peak_memory(tmp_path, [line(text)] * 10)
    assert peak_memory(tmp_path, [line(text)] * 30) < 1.15 * small
    # The long line is there as bytes and as text, never as tokens.
    long = peak_memory(tmp_path, [line(text * 10)] + [line(text)] * 10)
    assert long < small + 3 * len(text * 10)


def test_held_out_depends_on_seed_source_and_line_only():
    def chosen(seed, source, fraction=0.2):
        config = small_config(seed=seed, corpus__held_out={"fraction": fraction})
        lines = range(1, 5001)
        return [n for n in lines if packing.is_held_out(source, n, config)]

    first = chosen(0, "a")
    assert first == chosen(0, "a")
    assert len(first) == pytest.approx(1000, abs=100)
    assert first != chosen(1, "a")
    assert first != chosen(0, "b")
    assert set(chosen(0, "a", 0.1)) < set(first)


def test_too_many_domains(tmp_path):
    lines = [line("x", f"domain {i}") for i in range(256)]
    shard = write_shard(tmp_path / "a.jsonl.zst", lines)
    with pytest.raises(HeadwaterError) as error:
        pack(tmp_path, shard, small_encoder())
    assert str(error.value) == (
        f"{shard}: line 256: more than 255 domains; merge some of the names in "
        "meta.pile_set_name"
    )
    assert not (tmp_path / "packed.zarr").exists()


def test_skipped_lines_are_reported(tmp_path):
    lines = [b"{", line(""), *some_documents(20), b'{"text": "\\udfff"}', b"{"]
    shard = write_shard(tmp_path / "a.jsonl.zst", lines)
    config = small_config(corpus__on_bad_line="skip")
    root = pack(tmp_path, shard, small_encoder(), config)
    assert root.attrs["lines"] == {
        "documents": 21,
        "empty_documents": 1,
        "lone_surrogates": 1,
        "skipped": {"broken JSON": 2},
    }


def test_large_vocabulary_is_stored_in_32_bits(tmp_path):
    class Wide(ByteEncoder):
        vocabulary, end_of_document = 70_000, 69_999

    shard = write_shard(tmp_path / "a.jsonl.zst", [line("x" * 40) for _ in range(40)])
    root = pack(tmp_path, shard, Wide())
    assert root["train"]["tokens"].dtype == np.uint32
    assert root["train"]["tokens"][...].max() == 69_999


def test_blocks_do_not_change_the_rows(tmp_path, monkeypatch):
    shard = write_shard(tmp_path / "a.jsonl.zst", some_documents(80))
    whole = all_rows(pack(tmp_path, shard, small_encoder())["train"])
    monkeypatch.setattr(rowstore, "_BLOCK_ROWS", 7)
    monkeypatch.setattr(rowstore, "_SPANS_A_BLOCK", 5)
    cut = all_rows(pack(tmp_path, shard, small_encoder())["train"])
    for name, values in whole.items():
        np.testing.assert_array_equal(values, cut[name])


def test_gathering_keeps_each_rows_spans():
    random = np.random.Generator(np.random.PCG64(0))
    counts = random.integers(0, 4, 30)
    owners = np.repeat(np.arange(30), counts)
    spans = np.stack([owners, *random.integers(0, 9, (5, len(owners)))], axis=1)
    tokens = np.arange(30)[:, None].repeat(3, axis=1)
    block = rowstore.RowBlock(tokens, tokens[:, 0].astype(np.uint8), counts, spans)
    order = random.permutation(30)
    parts = [block.take(np.arange(30)[part]) for part in (slice(0, 11), slice(11, 30))]
    for result in (block.take(order), rowstore.RowBlock.join(parts).take(order)):
        assert result.tokens[:, 0].tolist() == order.tolist()
        assert result.domain.tolist() == order.tolist()
        ends = np.cumsum(result.span_counts)
        for row, end, count in zip(order, ends, result.span_counts, strict=True):
            expected = spans[owners == row]
            np.testing.assert_array_equal(result.spans[end - count : end], expected)
