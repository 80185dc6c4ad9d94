"""Generated records: shape, distribution, and independence of how they are made."""

import numpy as np
import pytest

from headwater.corpus import records
from headwater.corpus.records import generate, unigram
from headwater.errors import HeadwaterError


def shape_of(shortest: int, longest: int, varying: float) -> dict[str, float]:
    """`corpus.records` of a config."""
    return {"min_length": shortest, "max_length": longest, "varying": varying}


SHAPE = shape_of(6, 28, 0.15)
COUNTS = np.array([1000, 0, 10, 30, 60, *[50] * 30])
WIDTH = 65


def make(first, count, seed=1, shape=SHAPE, width=WIDTH):
    return generate(first, count, width, shape, unigram(COUNTS, [0]), seed)


def periods(rows, shape):
    """The record length of each row without varying fields, by brute force."""
    for row in rows:
        yield next(
            length
            for length in range(1, shape["max_length"] + 1)
            if (row[length:] == row[:-length]).all()
        )


def test_a_record_depends_on_its_number_and_seed_only(monkeypatch):
    whole = make(0, 500)
    np.testing.assert_array_equal(make(123, 45), whole[123:168])
    np.testing.assert_array_equal(make(499, 1), whole[499:])
    monkeypatch.setattr(records, "_BLOCK_DRAWS", 1000)
    np.testing.assert_array_equal(make(0, 500), whole)
    assert (make(0, 500, seed=2) != whole).any(axis=1).all()
    assert len(np.unique(whole, axis=0)) == 500


def test_records_repeat_and_lengths_are_uniform():
    shape = shape_of(3, 8, 0.0)
    counts = np.full(50_000, 7)  # so many tokens that no record repeats within itself
    rows = generate(0, 3000, WIDTH, shape, unigram(counts, []), 1)
    found = np.bincount(list(periods(rows, shape)), minlength=9)
    assert found[:3].sum() == 0
    assert (np.abs(found[3:] - 500) < 100).all()


def test_share_of_varying_fields():
    shape = shape_of(10, 10, 0.15)
    counts = np.full(50_000, 7)
    rows = generate(0, 2000, 60, shape, unigram(counts, []), 1).reshape(2000, 6, 10)
    same = (rows == rows[:, :1]).all(axis=1)  # [record, field]
    fresh = (rows[:, 1:] != rows[:, :-1]).all(axis=1)
    assert (same | fresh).all()
    assert 1 - same.mean() == pytest.approx(0.15, abs=0.01)


def test_tokens_follow_the_unigram_distribution():
    shape = shape_of(20, 20, 0.5)
    rows = generate(0, 5000, 20, shape, unigram(COUNTS, [0]), 1)
    expected = COUNTS / COUNTS[1:].sum()
    found = np.bincount(rows.ravel(), minlength=len(COUNTS)) / rows.size
    assert found[0] == found[1] == 0
    np.testing.assert_allclose(found[2:], expected[2:], atol=0.003)


def test_no_training_text_is_an_error():
    with pytest.raises(HeadwaterError) as error:
        unigram(np.array([5, 0, 0]), [0])
    assert str(error.value) == (
        "corpus.records: the corpus has no training text to draw the fields from; add "
        "text or set corpus.records.fraction to 0"
    )
