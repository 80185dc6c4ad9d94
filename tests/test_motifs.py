"""Motifs: planted skeletons are found with their slots, and nothing in random rows."""

import itertools
import json
import random
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from headwater.catalysts.contrast import Sample
from headwater.catalysts.copies import longest_shared, sharing, spans
from headwater.catalysts.generator import Generator
from headwater.catalysts.growth import grow, unit
from headwater.catalysts.motiffile import Program, read_motifs, write_motifs
from headwater.catalysts.motifs import Motif, merged
from headwater.catalysts.repeats import repetition
from headwater.catalysts.search import find_motifs
from headwater.catalysts.skeleton import Fixed, Skeleton, Slot, as_text, joined
from headwater.corpus.documents import DocumentReader
from headwater.corpus.encoding import Encoder
from headwater.corpus.tokenizer import train
from headwater.errors import HeadwaterError
from skeletons import SLOTS, recovered, symbols

NATURAL = Path(__file__).parents[1] / "resources/natural/00.jsonl.zst"
WIDTH, ROWS, TOP = 129, 1500, 200
PIECES = {
    0: ['<li><a href="/', "A", '">', "A", "</a></li>"],
    1: ["name=", "A", "; size=", "B", "; again=", "A", ";"],
    2: ["\\begin{", "A", "}[", "B", "] \\end{", "A", "}"],
    3: ["assertEq(f(", "A", "), [", "B", "]) ~> ", "B", ";"],
    4: ["|- ", "A", " =:= ", "B", " <> ", "C", " ?! ", "A", " -|"],
}
KEYS = ("tokens", "owners", "masses")


# Skeletons


def test_a_slot_that_recurs_must_be_filled_alike():
    skeleton = Skeleton(joined([1, "A", 2, "A", 3]), {"A": (1, 3)})
    row = as_text([9, 1, 7, 8, 2, 7, 8, 3, 1, 7, 2, 8, 3, 1, 5, 2, 5, 3])
    found = [*skeleton.find(row)]
    assert [(one.start, one.stop) for one in found] == [(1, 8), (13, 18)]
    assert found[0].fills == {"A": (7, 8)}
    assert skeleton.spelled(found[0].fills) == [1, 7, 8, 2, 7, 8, 3]
    assert skeleton.recurring() == ["A"]
    assert (skeleton.fixed, skeleton.shortest) == (3, 5)


def test_token_ids_beyond_the_surrogates_are_found():
    skeleton = Skeleton((Fixed((55_295, 55_296, 57_343, 60_000)),))
    row = as_text([1, 55_295, 55_296, 57_343, 60_000])
    assert [one.start for one in skeleton.find(row)] == [1]


def test_growth_by_hand():
    """`5 6 {A} 7 {A} 8` in rows of noise; 6 is the seed."""
    stream = random.Random(0)
    rows, places = [], []
    for number in range(40):
        fill = [stream.randrange(100, 200) for _ in range(stream.choice([1, 2, 3]))]
        noise = [stream.randrange(200, 900) for _ in range(30)]
        rows.append([*noise[:12], 5, 6, *fill, 7, *fill, 8, *noise[12:]])
        places.append((number, 13))
    skeleton = grow(rows, places, [6], {})
    assert skeleton.elements == joined([5, 6, "A", 7, "A", 8])
    assert skeleton.lengths == {"A": (1, 3)}


def test_what_repeats_is_told_once_and_ends_with_the_line():
    """Rows of `{A} = {B} \\n` after `\\n`; 9 ends a line."""
    stream = random.Random(1)
    rows, places = [], []
    for number in range(30):
        row = []
        for _ in range(12):
            row += [stream.randrange(100, 999), 3, 4, stream.randrange(100, 999), 9]
        rows.append(row)
        places += [(number, at) for at in range(1, len(row), 5)]
    skeleton = grow(rows, places, [3, 4], {}, frozenset({9}))
    assert skeleton.elements == (Slot("A"), Fixed((3, 4)), Slot("B"), Fixed((9,)))


@pytest.mark.parametrize(
    ("symbols", "once"),
    [
        ([1, 2, 3, "A", 4, "B", 1, 2, 3], [1, 2, 3, "A", 4]),
        ([1, 2, "A", 4, "B", 1, 2], [1, 2, "A", 4, "B", 1, 2]),
        ([9, 5, "A", 6, "A", 7, "B", 5, "C", 6, "C", 7, "D"], [5, "A", 6, "A", 7]),
        (["A", 7, "B", 5, "C", 6, "C", 7, "D", 5, "E", 6], [5, "C", 6, "C", 7]),
    ],
    ids=["begun again", "too little", "not from its beginning", "in its middle"],
)
def test_what_repeats_is_told_once_wherever_it_begins(symbols, once):
    assert unit(symbols, frozenset()) == once


def test_slots_that_always_stand_together_are_one():
    """`<{a}{b}>{c}<{a}{b}>`: a and b are one slot; c, alone, is another."""
    names = [None, "a", "b", None, "c", None, "a", "b", None]
    elements = [Slot(name) if name else Fixed((n,)) for n, name in enumerate(names)]
    numbers = [found for _, found in merged(elements, names)]
    assert numbers == [[0], [1, 2], [3], [4], [5], [6, 7], [8]]
    names[7] = "c"  # a is not always before b now
    assert [1] in [found for _, found in merged(elements, names)]


# Planted truth


@cache
def natural() -> tuple[Encoder, list[list[int]]]:
    """A small tokenizer, and the tokens of some documents of natural text."""
    documents = itertools.islice(DocumentReader(NATURAL, "fail"), 260)
    texts = [document.text[:6000] for document in documents]
    encoder = Encoder(train(iter(texts), 512, split_digits=True), 0)
    return encoder, [piece.ids.tolist() for piece in encoder.encode(texts)]


@cache
def planted(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[list]]:
    """Rows, documents, which rows hold a skeleton, and the skeletons as symbols."""
    encoder, documents = natural()
    stream = random.Random(seed)
    text = " ".join(encoder.decode_many([np.array(d) for d in documents[:40]]))
    words = sorted({w for w in text.split() if w.isalnum() and len(w) > 3})

    def tokens(text: str) -> list[int]:
        return encoder.encode([text])[0].ids.tolist()

    fills = [tokens(word) for word in words]
    between = [tokens(mark) for mark in (".", ", ", "\n", " ", ") ", "\n\n", "'")]
    skeletons = [symbols(pieces, tokens) for pieces in PIECES.values()]
    rows, owners = [], []
    for number, document in enumerate(documents):
        for begin in range(0, len(document) - WIDTH, WIDTH):
            rows.append(document[begin : begin + WIDTH])
            owners.append(number)
    order = stream.sample(range(len(rows)), ROWS)
    rows, owners = [rows[n] for n in order], [owners[n] for n in order]
    holds = np.zeros(ROWS, bool)
    for number in range(0, TOP):
        holds[number] = True
        owners[number] = 10_000 + number
        skeleton, row = skeletons[number % len(skeletons)], rows[number]
        out: list[int] = []
        while len(out) < WIDTH:
            own = {name: stream.choice(fills) for name in SLOTS}
            start = stream.randrange(WIDTH - 20)
            out += row[start : start + stream.randrange(4, 16)]
            out += stream.choice(between)
            for symbol in skeleton:
                out += own[symbol] if isinstance(symbol, str) else [symbol]
            out += stream.choice(between)
        rows[number] = out[:WIDTH]
    return np.array(rows), np.array(owners), holds, skeletons


def sample_of(scores: np.ndarray, seed: int) -> tuple[Sample, list[str]]:
    """The planted rows as these scores rank them, and the texts of all tokens."""
    tokens, owners, _, _ = planted(seed)
    encoder, _ = natural()
    order = np.argsort(-scores, kind="stable")
    masses = np.maximum(scores[order], 0)
    sample = Sample(tokens[order], owners[order], masses, np.arange(ROWS) < TOP)
    return sample, encoder.decode_many(list(np.arange(encoder.vocabulary)[:, None]))


def mined(scores: np.ndarray, seed: int) -> list[Motif]:
    return find_motifs(*sample_of(scores, seed), seed)


def test_planted_skeletons_are_found_with_their_slots():
    """In rows ranked by a score that favours them, but not them alone; three times."""
    found = 0
    for seed in range(3):
        _, _, holds, skeletons = planted(seed)
        noise = np.random.default_rng(seed).normal(size=ROWS)
        motifs = mined(holds * 3 + noise, seed)
        found += recovered(skeletons, [motif.skeleton.elements for motif in motifs])
    assert found >= 0.9 * 3 * len(PIECES)


def test_random_rows_have_no_motif():
    """They hold the same skeletons, as often as all rows do."""
    for seed in range(2):
        scores = np.random.default_rng(seed).normal(size=ROWS)
        assert mined(scores, seed) == []


# Repetition


def copied(again: bool, count: int, first: int) -> Sample:
    """Rows of noise, a fifth of which say a span of 12 tokens twice if they should."""
    stream = np.random.default_rng(first)
    rows = stream.integers(1, 5000, (count, 64))
    if again:
        rows[: count // 5, 40:52] = rows[: count // 5, 10:22]
    owners = first + np.arange(count)
    return Sample(rows, owners, np.ones(count), np.ones(count, bool))


def test_spans_that_come_again_are_a_motif_where_top_rows_have_more_of_them():
    one, other = copied(True, 100, 0), copied(False, 300, 1000)
    both = [np.concatenate([getattr(one, k), getattr(other, k)]) for k in KEYS]
    top = np.arange(400) < 100
    motif = repetition(Sample(*both, top))
    assert motif is not None
    assert sorted(motif.found) == [*range(20)]
    place = motif.found[0][0]
    assert (place.start, place.stop) == (10, 52)
    assert [len(fill) for fill in place.fills.values()] == [12, 18]
    assert repetition(Sample(*both, np.arange(400) % 4 == 0)) is None


# Files and rows


def program(**changes) -> dict:
    """A motif file of one motif: `<{A}>={B};{A}` in a vocabulary of 300 ids."""
    motif = {
        "name": "one",
        "elements": [
            *({"fixed": [60]}, {"slot": "A"}, {"fixed": [62, 61]}),
            *({"slot": "B"}, {"text": ";"}, {"slot": "A"}),
        ],
        "slots": {
            "A": {"length": [1, 3]},
            "B": {"length": [2, 2], "from": "words", "again": 0.5},
        },
        "gap": [0, 4],
        "domain": "code",
        **changes,
    }
    words = {"code": {"plain": [[101], [102, 103]], "spaced": [[104, 105]]}}
    return {"format": 1, "words": words, "motifs": [motif]}


def read(folder: Path, value: dict) -> list[Program]:
    path = folder / "motifs.json"
    path.write_text(json.dumps(value))
    text = "".join(map(chr, range(300)))
    return read_motifs(path, lambda t: [ord(x) for x in t], lambda t: text[t[0]], 300)


def generator(programs: list[Program], width: int = 65, seed: int = 0) -> Generator:
    return Generator(programs, width, np.arange(1, 301) / 300, seed)


def test_rows_are_the_motif_over_and_over(tmp_path):
    programs = read(tmp_path, program(gap=[0, 0]))
    rows, motifs = generator(programs).rows(0, 50)
    assert rows.shape == (50, 65)
    assert not motifs.any()
    skeleton, own = programs[0].skeleton, programs[0].words
    again = []
    for row in rows:
        found = [*skeleton.find(as_text(row))]
        assert found[0].start == 0
        assert len(found) >= 65 // 12
        for one, after in itertools.pairwise(found):
            assert one.stop == after.start
            again.append(one.fills["B"] == after.fills["B"])
        words = {(101, 102), (102, 103), (101, 104)}
        assert {one.fills["B"] for one in found} <= words
    assert own["plain"] == [[101], [102, 103]]
    assert 0.5 < np.mean(again) < 0.95  # half are drawn anew, of three


def test_a_row_depends_on_its_number_and_the_seed_alone(tmp_path):
    programs = read(tmp_path, program())
    many, _ = generator(programs).rows(0, 300)
    some, _ = generator(programs).rows(120, 30)
    assert many[120:150].tobytes() == some.tobytes()
    other, _ = generator(programs, seed=1).rows(120, 30)
    assert (other != some).any()
    assert len({row.tobytes() for row in many}) == 300


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"elements": []}, "motifs.0.elements: \\[\\] should be non-empty"),
        ({"elements": [{"slot": "C"}]}, "slot C stands in its elements, but not"),
        ({"elements": [{"fixed": [300]}]}, "token id 300, but corpus.tokenizer has"),
        ({"elements": [{"fixed": [65], "text": "b"}]}, "the text 'b' is not that of"),
        ({"gap": [4, 1]}, "gap: is 4 to 1"),
        ({"slots": {"A": {"length": [0, 3]}, "B": {"length": [1, 1]}}}, "0 to 3"),
        ({"weight": 0}, "no motif with a weight above 0"),
        ({"code": "import os"}, "'code' was unexpected"),
    ],
)
def test_a_file_that_says_something_else_is_refused_in_one_line(
    tmp_path, changes, message
):
    with pytest.raises(HeadwaterError, match=message) as found:
        read(tmp_path, program(**changes))
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 500


def test_slots_of_words_need_words(tmp_path):
    programs = read(tmp_path, program(domain="prose"))
    with pytest.raises(HeadwaterError, match="none of its domain under words"):
        generator(programs)


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "motifs.json"
    write_motifs(path, program())
    assert "[101]" in path.read_text()
    assert json.loads(path.read_text()) == program()


# Copies


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 13, 40])
def test_equal_spans_and_no_others_have_one_number(length):
    rows = np.random.default_rng(length).integers(0, 3, (4, 40))
    found = spans(rows, length).ravel().tolist()
    wanted = [tuple(r[i : i + length]) for r in rows for i in range(41 - length)]
    assert len({*zip(found, wanted, strict=True)}) == len({*found}) == len({*wanted})


@pytest.mark.parametrize("size", [0, 2, 5, 24, 50])
def test_the_longest_shared_span(size):
    stream = np.random.default_rng(size)
    rows, others = (
        stream.integers(0, 1000, (9, 60)),
        stream.integers(1000, 2000, (40, 60)),
    )
    others[17, 3 : 3 + size] = rows[4, 8 : 8 + size]

    def training():
        yield others[:30]
        yield others[30:]

    assert longest_shared(rows, training, 61) == size
    if size:
        assert np.flatnonzero(sharing(rows, training, size)).tolist() == [4]
    assert not sharing(rows, training, size + 1).any()


def slow_longest(rows: np.ndarray, others: np.ndarray) -> int:
    """Tokens of the longest span in common, by comparing all."""
    most = 0
    for one in rows.tolist():
        for other in others.tolist():
            above = [0] * (len(other) + 1)
            for token in one:
                own = [0] * (len(other) + 1)
                for place, theirs in enumerate(other, 1):
                    own[place] = above[place - 1] + 1 if token == theirs else 0
                most = max(most, *own)
                above = own
    return most


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("dtype", [np.uint16, np.int64])
def test_the_longest_shared_span_is_that_of_the_slow_twin(seed, dtype):
    stream = np.random.default_rng(seed)
    size = int(stream.integers(2, 9))
    rows, others = (stream.integers(0, size, (n, 30)) for n in (5, 8))
    wanted = slow_longest(rows, others)
    assert 2 <= wanted < 30
    found = longest_shared(rows.astype(dtype), lambda: iter([others]), 31)
    assert found == wanted
    again = longest_shared(rows, lambda: iter([others[:3], others[3:]]), 31)
    assert again == wanted
