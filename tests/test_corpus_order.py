"""Training order, held-out rows and `Rows`, through the scripts of their rules."""

import json
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from headwater.corpus import ordering, rowstore
from headwater.corpus import rows as reading
from headwater.corpus.collection import Collection
from headwater.corpus.encoding import Encoder
from headwater.corpus.holdout import token_counts
from headwater.corpus.ordering import RECORD, PackedOrder, training_order
from headwater.corpus.rows import Rows, Span
from headwater.errors import HeadwaterError, again
from headwater.identity import identity
from headwater.stores import open_group
from test_corpus_support import (
    SCRIPTS,
    build_held_out,
    build_packed,
    build_rows,
    folder_bytes,
    line,
    run_script,
    small_config,
    some_documents,
    some_text,
    write_shard,
)

CONFIG = small_config()
SOURCES = (("a", 60, 1), ("b", 100, 2), ("c", 3, 3))  # name, documents, seed
TEXTS = {
    (name, number): json.loads(document)["text"]
    for name, count, seed in SOURCES
    for number, document in enumerate(some_documents(count, seed), start=1)
}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    return [
        write_shard(folder / f"{name}.jsonl.zst", some_documents(count, seed))
        for name, count, seed in SOURCES
    ]


@pytest.fixture(scope="module")
def packed(tmp_path_factory, shards):
    return build_packed(tmp_path_factory.mktemp("packed"), CONFIG, shards)


@pytest.fixture(scope="module")
def row_paths(tmp_path_factory, packed):
    return build_rows(tmp_path_factory.mktemp("rows"), CONFIG, packed)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory, packed):
    return build_held_out(tmp_path_factory.mktemp("held_out"), CONFIG, packed)


def everything(rows):
    spans = [rows.spans(row) for row in range(len(rows))]
    tokens = rows.tokens(0, len(rows)).tolist()
    return tokens, rows.domains(0, len(rows)).tolist(), spans


def test_the_longest_span_of_every_row(row_paths):
    rows = Rows(row_paths, CONFIG)
    assert len({len(rows.spans(row)) for row in range(len(rows))}) > 1
    wanted = []
    for row in range(len(rows)):
        starts = [*(span.token for span in rows.spans(row)), rows.width]
        wanted.append(max(b - a for a, b in pairwise(starts)))
    for start, stop in ((0, len(rows)), (3, 4), (5, 61), (7, 7)):
        assert rows.longest_spans(start, stop).tolist() == wanted[start:stop]


HIDDEN = small_config(
    corpus__records__hidden=True,
    corpus__records__repeats=0.1,
    corpus__records__noise=0.15,
)


def test_hidden_rows_are_known_by_their_source_alone(tmp_path, shards):
    packed = build_packed(tmp_path, HIDDEN, shards)
    rows = Rows(build_rows(tmp_path, HIDDEN, packed), HIDDEN)
    assert rows.sources[-3:] == ["records", "repeats", "noise"]
    assert not {"records", "repeats", "noise"} & {*rows.domain_names}
    sources = np.array(rows.sources)[rows.first_sources(0, len(rows))]
    counts = Counter(sources.tolist())
    asked = HIDDEN["corpus"]["records"]
    assert counts["records"] == round(80 * asked["fraction"])
    assert (counts["repeats"], counts["noise"]) == (8, 12)
    tokens = rows.tokens(0, len(rows))
    for row in np.flatnonzero(sources == "noise"):
        assert len(set(tokens[row])) == rows.width
    natural = tokens[~np.isin(sources, ["records", "repeats", "noise"])]
    for row in tokens[sources == "repeats"]:
        lengths = range(asked["min_length"], asked["max_length"] + 1)
        assert any((row[n:] == row[:-n]).all() for n in lengths)
    domains = rows.domains(0, len(rows))
    for kind in ("records", "repeats", "noise"):
        assert len({*domains[sources == kind]}) > 1  # as natural rows have
        (span,) = rows.spans(int(np.flatnonzero(sources == kind)[0]))
        assert span.generated
        assert span.domain in rows.domain_names
        assert span.place == f"generated row {span.line:,} of {kind}"
    assert len(natural) == 80 - counts["records"] - 20
    kept = Rows([build_held_out(tmp_path, HIDDEN, packed)], HIDDEN)
    found = np.array(kept.sources)[kept.first_sources(0, len(kept))]
    assert not {"records", "repeats", "noise"} & {*found.tolist()}


def test_order_holds_each_row_once_and_the_share_of_records():
    order = training_order(100, 80, [20], 0)
    natural = order[order != RECORD]
    assert len(order) == 80
    assert len(natural) == 60 == len(set(natural.tolist()))
    assert 0 <= natural.min() <= natural.max() < 100
    assert (order == training_order(100, 80, [20], 0)).all()
    other = training_order(100, 80, [20], 1)
    assert (order != other).any()
    assert set(natural.tolist()) != set(other.tolist()) - {RECORD}


def test_order_without_records_and_with_every_row():
    order = training_order(80, 80, [], 0)
    assert sorted(order.tolist()) == list(range(80))
    assert order.tolist() != list(range(80))


def test_too_few_rows_say_what_to_change():
    with pytest.raises(HeadwaterError) as error:
        training_order(1999, 4000, [1500, 500], 0)
    assert str(error.value) == (
        "corpus.shards: 1,999 rows of natural text, but training needs 2,000 (4,000 "
        "rows less 2,000 generated records); add text, lower training.steps or raise "
        "corpus.records.fraction"
    )


@pytest.mark.parametrize("count", [1, 3, 7])
def test_row_shards_do_not_change_the_rows(tmp_path, packed, row_paths, count):
    """Through the library: with another config, every store would be made anew."""
    collection = Collection(packed["packed"], CONFIG, "train")
    encoder = Encoder.open(packed["tokenizer"], CONFIG)
    order, stamp = PackedOrder(collection, encoder, CONFIG), identity("corpus", CONFIG)
    paths = [tmp_path / f"{shard}.zarr" for shard in range(count)]
    for shard, path in enumerate(paths):
        ordering.order_rows(path, shard, count, order, encoder.vocabulary, stamp)
    rows = Rows(paths, CONFIG)
    assert len(rows) == 80
    assert everything(rows) == everything(Rows(row_paths, CONFIG))


def test_small_blocks_do_not_change_the_rows(tmp_path, monkeypatch, packed, row_paths):
    expected = everything(Rows(row_paths, CONFIG))
    monkeypatch.setattr(rowstore, "_BLOCK_ROWS", 7)
    monkeypatch.setattr(rowstore, "_SPANS_A_BLOCK", 5)
    assert everything(Rows(build_rows(tmp_path, CONFIG, packed), CONFIG)) == expected


def test_rows_assembled_in_parts_are_the_same(tmp_path, monkeypatch, packed, row_paths):
    monkeypatch.setattr(ordering, "_ASSEMBLED_TOKENS", 17 * 7)
    again = build_rows(tmp_path, CONFIG, packed)
    assert [folder_bytes(p) for p in again] == [folder_bytes(p) for p in row_paths]


def test_every_row_is_its_packed_row_or_a_record(packed, row_paths):
    collection = Collection(packed["packed"], CONFIG, "train")
    encoder = Encoder.open(packed["tokenizer"], CONFIG)
    order = PackedOrder(collection, encoder, CONFIG)
    rows = Rows(row_paths, CONFIG)
    assert (order.order == RECORD).sum() == 20
    generated = order.generate(0, 20)
    number = 0
    for row, source_row in enumerate(order.order.tolist()):
        tokens = rows.tokens(row, row + 1)[0]
        if source_row == RECORD:
            assert tokens.tolist() == generated.tokens[number].tolist()
            number += 1
            length = len(encoder.decode(tokens))
            expected = [
                Span("records", number, 0, length, 0, "records", generated=True)
            ]
            assert rows.spans(row) == expected
            assert rows.domain_names[rows.domains(row, row + 1)[0]] == "records"
        else:
            index = int(np.searchsorted(collection.starts, source_row, "right")) - 1
            root = open_group(packed["packed"][index], CONFIG)
            local = source_row - collection.starts[index]
            assert tokens.tolist() == root["train"]["tokens"][local].tolist()
            first, last = root["train"]["span_offsets"][local : local + 2]
            spans = root["train"]["spans"][first:last].tolist()
            assert rows.spans(row) == [
                Span("abc"[index], *span[1:5], root.attrs["domains"][span[5]])
                for span in spans
            ]


def test_spans_lead_back_to_the_text(row_paths, packed):
    """A row says the characters of its spans, but for characters cut at its ends."""
    encoder = Encoder.open(packed["tokenizer"], CONFIG)
    rows, natural, exact = Rows(row_paths, CONFIG), 0, 0
    for row in range(len(rows)):
        spans = rows.spans(row)
        if spans[0].source == "records":
            continue
        kept = "".join(TEXTS[s.source, s.line][s.start : s.stop] for s in spans)
        tokens = rows.tokens(row, row + 1)[0]
        said = encoder.decode(tokens[tokens != 0])
        assert said.strip("\ufffd") in kept
        assert abs(len(said) - len(kept)) <= 6
        natural, exact = natural + 1, exact + (said == kept)
    assert natural == 60
    assert exact > 30


def test_rows_are_read_alike_by_range_and_by_index(monkeypatch, packed, tmp_path):
    monkeypatch.setattr(rowstore, "_BLOCK_ROWS", 7)
    monkeypatch.setattr(reading, "_CACHE_BYTES", 2 * 7 * 17 * 2)  # two blocks
    rows = Rows(build_rows(tmp_path, CONFIG, packed), CONFIG)
    whole = rows.tokens(0, 80)
    assert whole.dtype == np.int64
    assert whole.shape == (80, 17)
    for start in range(0, 80, 9):
        stop = min(start + 13, 80)
        np.testing.assert_array_equal(rows.tokens(start, stop), whole[start:stop])
    random = np.random.Generator(np.random.PCG64(0))
    for count in (0, 1, 5, 300):
        indices = random.integers(0, 80, count)
        np.testing.assert_array_equal(rows.take(indices), whole[indices])
    assert len(rows._blocks) == 2
    assert rows.tokens(80, 80).shape == (0, 17)


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (79, 81), (5, 4)])
def test_rows_outside_are_an_error(row_paths, start, stop):
    with pytest.raises(IndexError):
        Rows(row_paths, CONFIG).tokens(start, stop)


@pytest.mark.parametrize("index", [-1, 80])
def test_indices_outside_are_an_error(row_paths, index):
    rows = Rows(row_paths, CONFIG)
    with pytest.raises(IndexError):
        rows.take(np.array([3, index]))
    with pytest.raises(IndexError):
        rows.spans(index)


def test_text_of_a_row_shows_ends(row_paths, packed):
    rows = Rows(row_paths, CONFIG)
    encoder = Encoder.open(packed["tokenizer"], CONFIG)
    row = int(np.flatnonzero((rows.tokens(0, 80) == 0).any(axis=1))[0])
    assert "<|endoftext|>" in encoder.decode(rows.tokens(row, row + 1)[0])


def test_missing_or_doubled_shards_are_refused(row_paths):
    with pytest.raises(HeadwaterError) as error:
        Rows(row_paths[:1], CONFIG)
    assert str(error.value) == (
        f"{row_paths[0]}: begins at row 0 of 80, expected row 0 of 40; the shards are "
        f"not one whole training order; {again(row_paths[0])}"
    )
    with pytest.raises(HeadwaterError, match="begins at row 40 of 80, expected row 0"):
        Rows(row_paths[::-1], CONFIG)


def test_stale_shards_are_refused(row_paths):
    with pytest.raises(HeadwaterError, match=r"corpus\.records\.varying is 0\.2 there"):
        Rows(row_paths, small_config(corpus__records__varying=0.3))
    longer = small_config(training__steps=11)
    with pytest.raises(HeadwaterError) as error:
        Rows(row_paths, longer)
    assert str(error.value) == (
        f"{row_paths[0]}: made for 80 training rows, the config now asks for 88 "
        f"(training.steps x training.batch_size); {again(row_paths[0])}"
    )


def test_held_out_rows_are_of_held_out_documents(shards, row_paths, held_out):
    training, kept = Rows(row_paths, CONFIG), Rows([held_out], CONFIG)
    names = [kept.domain_names[d] for d in kept.domains(0, len(kept))]
    assert names == sorted(names[:-5]) + ["records"] * 5
    assert Counter(names) == dict.fromkeys(("code", "prose", "xml", "records"), 5)

    def documents(rows):
        spans = [span for row in range(len(rows)) for span in rows.spans(row)]
        return {(span.source, span.line) for span in spans}

    assert not documents(training) & documents(kept)
    assert {line for source, line in documents(kept) if source == "records"} == {
        *range(21, 26)
    }


def test_token_counts_are_those_of_the_training_documents(held_out, packed):
    counts = token_counts(held_out, CONFIG)
    groups = [open_group(path, CONFIG)["train"] for path in packed["packed"]]
    rows = sum(np.bincount(g["tokens"][...].ravel(), minlength=300) for g in groups)
    assert counts.shape == (300,)
    assert (counts >= rows).all()
    assert counts.sum() - rows.sum() < 3 * 17
    attributes = open_group(held_out, CONFIG).attrs
    assert attributes["end_of_document"] == 0
    assert attributes["special_ids"] == [0]


def test_summary_adds_up(row_paths, held_out):
    summary = json.loads((held_out.parent / "summary.json").read_text())
    rows = Rows(row_paths, CONFIG)
    used = np.bincount(rows.domains(0, 80), minlength=4)
    domains = summary["domains"]
    assert list(domains) == rows.domain_names == ["code", "prose", "xml", "records"]
    assert [domains[name]["training"]["rows"] for name in domains] == used.tolist()
    assert [domains[name]["held_out"]["rows"] for name in domains] == [5] * 4
    assert domains["records"]["generated"] is True
    splits = [
        domains[name][split]
        for name in ("code", "prose", "xml")
        for split in ("training", "held_out")
    ]
    assert sum(split["documents"] for split in splits) == len(TEXTS)
    assert sum(split["characters"] for split in splits) == sum(map(len, TEXTS.values()))
    assert list(summary["sources"]) == ["a", "b", "c"]
    assert summary["vocabulary"] == 300


def test_no_records(tmp_path, shards):
    config = small_config(corpus__records__fraction=0.0)
    inputs = build_packed(tmp_path, config, shards)
    rows = Rows(build_rows(tmp_path, config, inputs), config)
    assert rows.domain_names == ["code", "prose", "xml"]
    assert rows.sources == ["a", "b", "c"]
    kept = Rows([build_held_out(tmp_path, config, inputs)], config)
    assert len(kept) == 15
    assert kept.domain_names == rows.domain_names


def test_where_nothing_is_generated_records_is_a_name_like_any(tmp_path):
    config = small_config(corpus__records__fraction=0.0)
    lines = [line(f"{i} text " * 9, "records") for i in range(120)]
    shard = write_shard(tmp_path / "records.jsonl.zst", lines)
    inputs = build_packed(tmp_path, config, [shard])
    rows = Rows(build_rows(tmp_path, config, inputs), config)
    (span, *_) = rows.spans(0)
    assert (span.source, span.domain, span.generated) == ("records", "records", False)
    assert span.place.startswith("records.jsonl.zst, line ")
    held_out = build_held_out(tmp_path, config, inputs)
    summary = json.loads((held_out.parent / "summary.json").read_text())
    assert summary["domains"]["records"]["generated"] is False
    assert "documents" in summary["domains"]["records"]["training"]


@pytest.mark.parametrize(("name", "domain"), [("records", "x"), ("a", "records")])
def test_source_or_domain_named_records_is_refused(tmp_path, name, domain):
    lines = [line("x", domain), *some_documents(40)]
    shard = write_shard(tmp_path / f"{name}.jsonl.zst", lines)
    inputs = build_packed(tmp_path, CONFIG, [shard])
    kind = "source" if name == "records" else "domain"
    with pytest.raises(HeadwaterError) as error:
        Collection(inputs["packed"], CONFIG, "train")
    assert str(error.value) == (
        f"corpus.shards: a {kind} of the corpus is called 'records', which is the name "
        "of the generated rows; rename it, or set corpus.records.fraction to 0"
    )


def test_nothing_held_out_is_an_error(tmp_path):
    shard = write_shard(tmp_path / "a.jsonl.zst", [line(some_text(0, 2000))])
    inputs = build_packed(tmp_path, CONFIG, [shard])
    with pytest.raises(SystemExit):
        build_held_out(tmp_path, CONFIG, inputs)
    message = (
        "corpus.held_out.fraction: no row of natural text was held out; raise it, or "
        "add documents"
    )
    assert (tmp_path / "log").read_text().rstrip().endswith(message)
    assert not (tmp_path / "held_out.zarr").exists()


DIE_IN_THE_MIDDLE = """
import os, runpy, sys
sys.path[:0] = {paths!r}
from headwater.corpus import rowstore
import test_corpus_support as support
rowstore._BLOCK_ROWS = 7
append, calls = rowstore._Column.append, []
def dying(self, values):
    calls.append(1)
    if len(calls) > {after}:
        os._exit(9)
    append(self, values)
rowstore._Column.append = dying
config = support.small_config()
support.run_script({rule!r}, config, {inputs!r}, {outputs!r}, {log!r}, **{wildcards!r})
"""


@pytest.mark.parametrize(
    ("rule", "wildcards", "after"),
    [("tokenize_source", {"source": "b"}, 7), ("order_rows", {"shard": "0001"}, 4)],
)
def test_killed_and_run_again_gives_the_same_bytes(
    tmp_path, shards, packed, row_paths, rule, wildcards, after
):
    store = tmp_path / "store.zarr"
    if rule == "order_rows":
        inputs = {"packed": [str(p) for p in packed["packed"]]}
        undisturbed = row_paths[1]
    else:
        inputs = {"text": str(shards[1])}
        undisturbed = packed["packed"][1]
    inputs["tokenizer"] = str(packed["tokenizer"])
    outputs, log = {"store": str(store)}, str(tmp_path / "log")
    script = DIE_IN_THE_MIDDLE.format(
        paths=[str(SCRIPTS), os.path.dirname(__file__)],
        after=after,
        rule=rule,
        inputs=inputs,
        outputs=outputs,
        log=log,
        wildcards=wildcards,
    )
    dead = subprocess.run([sys.executable, "-c", script], check=False)
    assert dead.returncode == 9
    assert not store.exists()
    assert (tmp_path / "store.zarr.part").exists()
    run_script(rule, CONFIG, inputs, outputs, tmp_path / "log", **wildcards)
    assert folder_bytes(store) == folder_bytes(undisturbed)
    assert not (tmp_path / "store.zarr.part").exists()


def test_another_arrangement_trains_on_the_same_rows():
    plain = training_order(100, 80, [20], 3)
    assert (plain == training_order(100, 80, [20], 3, 3)).all()
    other = training_order(100, 80, [20], 3, 7)
    assert (other != plain).any()
    assert sorted(other) == sorted(plain)
    assert (other == training_order(100, 80, [20], 3, 7)).all()
    assert (other != training_order(100, 80, [20], 3, 8)).any()
