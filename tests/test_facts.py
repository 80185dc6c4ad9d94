"""Facts of rows: what is measured, by hand and against slow twins; files of rows."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import HeadwaterError
from headwater.interventions import measures
from headwater.interventions.lexical import K1, LENGTHS, Question, bm25
from headwater.interventions.measures import (
    compressed,
    ngrams,
    own_tokens,
    rarity,
    repetition,
)
from headwater.interventions.rowfile import file_digest, read_rows

# Tokens


def test_repetition_by_hand():
    rows = np.array(
        [
            [1, 2, 3, 4, 5, 6, 7, 8],  # nothing comes again
            [1, 2, 3, 4, 1, 2, 3, 4],  # one of five 4-grams is there before
            [7, 7, 7, 7, 7, 7, 7, 7],  # all but the first
            [1, 2, 3, 9, 1, 2, 3, 8],  # only 3-grams
        ]
    )
    assert repetition(rows).tolist() == [0, 0.2, 0.8, 0]
    assert repetition(rows[:, :3]).tolist() == [0, 0, 0, 0]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=9, max_size=9), st.integers(1, 9))
def test_ngrams_have_one_number_each(row, length):
    found = ngrams(np.array([row]), length)[0]
    wanted = [tuple(row[i : i + length]) for i in range(9 - length + 1)]
    assert len(found) == len(wanted)
    pairs = set(zip(found.tolist(), wanted, strict=True))
    assert len(pairs) == len(set(wanted)) == len(set(found.tolist()))


def test_ngrams_of_unlike_tokens_and_lengths_do_not_meet():
    tokens = np.arange(60_000).reshape(1, -1)
    every = np.concatenate([ngrams(tokens, length)[0] for length in (1, 2, 3, 4)])
    assert len(np.unique(every)) == len(every)


def test_padding_is_no_part_of_a_rows_document():
    rows = np.array([[5, 6, 7, 8, 9, 9], [5, 0, 0, 0, 0, 0], [4, 4, 4, 4, 4, 4]])
    assert own_tokens(rows, np.array([6, 6, 6])).tolist() == [5, 2, 1]
    assert own_tokens(rows, np.array([3, 1, 6])).tolist() == [3, 1, 1]


def test_what_repeats_is_small_when_compressed():
    stream = np.random.default_rng(0)
    noise, once = stream.integers(0, 60_000, 256), stream.integers(0, 60_000, 32)
    sizes = compressed(np.stack([noise, np.tile(once, 8), np.full(256, 7)]))
    assert sizes[0] > 2 * sizes[1] > 2 * sizes[2]


def test_rarity_is_the_mean_surprise():
    counts = np.array([6, 3, 1, 0])
    found = rarity(np.array([[0, 0], [1, 2], [3, 2]]), counts)
    wanted = [-math.log(0.6), -(math.log(0.3) + math.log(0.1)) / 2, -math.log(0.1)]
    np.testing.assert_allclose(found, wanted)


# BM25


def test_bm25_by_hand(monkeypatch):
    """Two rows of a word that three rows have; one row twice of a word of its own."""
    monkeypatch.setattr("headwater.interventions.lexical.LENGTHS", (1,))
    rows = np.array([[1, 9, 8, 7], [1, 6, 5, 4], [2, 2, 1, 3]])
    found = bm25(Question([np.array([1, 2])]), lambda part: rows[part], 3, 4)
    common, own = math.log(1 + 0.5 / 3.5), math.log(1 + 2.5 / 1.5)
    twice = own * 2 * (K1 + 1) / (2 + K1)
    np.testing.assert_allclose(found, [common, common, common + twice])


def slow_bm25(question, rows):
    def terms(row):
        return Counter(
            tuple(row[i : i + n]) for n in LENGTHS for i in range(len(row) - n + 1)
        )

    asked = sum((terms(row) for row in question), Counter())
    held, found = [terms(row) for row in rows], []
    for own in held:
        total = 0.0
        for term, often in asked.items():
            df = sum(term in other for other in held)
            idf = math.log(1 + (len(rows) - df + 0.5) / (df + 0.5))
            gain = own[term] * (K1 + 1) / (own[term] + K1)
            total += often / len(question) * idf * gain
        found.append(total)
    return found


def test_bm25_is_its_slow_twin_in_any_parts(monkeypatch):
    stream = np.random.default_rng(3)
    rows = stream.integers(0, 6, (23, 12))
    question = [stream.integers(0, 6, length) for length in (5, 9, 3)]
    wanted = slow_bm25([q.tolist() for q in question], rows.tolist())
    for size in (1 << 20, 60):
        whole = measures.batches
        parts = [slice(i, min(i + size // 12, 23)) for i in range(0, 23, size // 12)]
        monkeypatch.setattr(
            "headwater.interventions.lexical.batches", lambda *_, p=parts: iter(p)
        )
        found = bm25(Question(question), lambda part: rows[part], 23, 12)
        np.testing.assert_allclose(found, wanted)
        assert list(whole(23, 12)) == [slice(0, 23)]


def test_rows_without_any_word_of_the_question_have_no_score():
    rows = np.array([[1, 2, 3], [7, 8, 9]])
    found = bm25(Question([np.array([7, 8])]), lambda part: rows[part], 2, 3)
    assert found[0] == 0 < found[1]


# A file of rows

WINDOW = range(100, 110)


def read(path: Path, text: str, window: range = WINDOW) -> np.ndarray:
    path.write_bytes(text.encode())
    return read_rows(path, window, file_digest(path))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "rows.tsv"


def test_a_file_of_scores_is_read_by_row(table):
    found = read(table, "rank\trow\tscore\tdomain\n1\t105\t2.5\tx\n2\t100\t-1e3\ty\n")
    assert found[5] == 2.5
    assert found[0] == -1000
    assert np.isneginf(np.delete(found, [0, 5])).all()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_file_without_scores_is_a_ranking(table, end, mark):
    found = read(table, mark + end.join(["row", "107", "101", "109", ""]))
    assert np.argsort(-found, kind="stable")[:3].tolist() == [7, 1, 9]
    assert np.isfinite(found).sum() == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected a header"),
        ("105\n106\n", "line 1: expected a header"),
        ("row\trow\n1\t2\n", "line 1: expected a header"),
        ("row\n105\n105\n", "line 3: row 105 stands there for the second time"),
        ("row\n110\n", "line 2: row 110 is not in the window, rows 100 to 109"),
        ("row\n5\n", "line 2: row 5 is not in the window, rows 100 to 109"),
        ("row\n1e2\n", "line 2: row '1e2' is no row number"),
        ("row\n-105\n", "line 2: row '-105' is no row number"),
        ("row\n\u0661\u0660\u0665\n", "is no row number"),
        ("row\n105\n\n106\n", "line 3: row '' is no row number"),
        ("row\tscore\n105\tnan\n", "line 2: score 'nan' is no finite number"),
        ("row\tscore\n105\tinf\n", "line 2: score 'inf' is no finite number"),
        ("row\tscore\n105\t\n106\t1\n", "line 2: score '' is no finite number"),
        ("row\tscore\n105\n", "line 2: 1 columns, its header has 2"),
        ("row\n" + "9" * 5000 + "\n", "is no row number"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(table, text, message):
    with pytest.raises(HeadwaterError) as caught:
        read(table, text)
    assert str(caught.value).startswith(f"{table}: line ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_file_that_changed_since_or_is_no_text_is_refused(table):
    table.write_text("row\n105\n")
    digest = file_digest(table)
    table.write_text("row\n106\n")
    with pytest.raises(HeadwaterError, match="changed since the config was read"):
        read_rows(table, WINDOW, digest)
    table.write_bytes(b"row\n\xff\n")
    with pytest.raises(HeadwaterError, match="not UTF-8"):
        read_rows(table, WINDOW, file_digest(table))
    with pytest.raises(HeadwaterError):
        read_rows(table.with_name("none.tsv"), WINDOW, digest)
