"""Rankings against known truth: the statistics, and decoys that fool the right ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from headwater.corpus import decoys
from headwater.corpus.records import generate, unigram
from headwater.errors import HeadwaterError
from headwater.influence.examination import auc, examination, precision
from headwater.interventions.measures import compressed, rarity, repetition


@settings(max_examples=80, derandomize=True, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.booleans(), st.booleans()),
        min_size=1,
        max_size=30,
    )
)
def test_auc_is_its_slow_twin_and_scipys(rows):
    scores, wanted, among = (np.array(column) for column in zip(*rows, strict=True))
    scores = scores.astype(float)
    own, others = scores[wanted], scores[among & ~wanted]
    found = auc(scores, wanted, among)
    if not (len(own) and len(others)):
        assert np.isnan(found)
        return
    pairs = [(a > b) + (a == b) / 2 for a in own for b in others]
    assert found == pytest.approx(np.mean(pairs))
    statistic = mannwhitneyu(own, others).statistic
    assert found == pytest.approx(statistic / (len(own) * len(others)))


def test_auc_by_hand():
    wanted = np.array([True, True, False, False])
    everything = np.ones(4, bool)
    for scores, answer in (
        ([4, 3, 2, 1], 1.0),
        ([1, 2, 3, 4], 0.0),
        ([4, 1, 3, 2], 0.5),
        ([1, 1, 1, 1], 0.5),
        ([3, 2, 2, 1], 0.875),
    ):
        assert auc(np.array(scores, float), wanted, everything) == answer


def test_precision_counts_ties_by_their_mean():
    scores = np.array([5.0, 3, 3, 3, 1])
    wanted = np.array([False, True, False, True, True])
    assert precision(scores, wanted, 0.2) == 0
    assert precision(scores, wanted, 0.4) == pytest.approx((2 / 3) / 2)
    assert precision(scores, wanted, 0.8) == 0.5
    assert precision(scores, wanted, 1.0) == 0.6
    assert precision(scores, wanted, 0.001) == 0  # one row at least


def test_the_examination_of_known_rankings():
    kinds = {
        "records": np.arange(100) < 10,
        "repeats": (np.arange(100) >= 10) & (np.arange(100) < 20),
        "noise": (np.arange(100) >= 20) & (np.arange(100) < 30),
    }
    perfect = -np.arange(100.0)
    fooled = np.where(np.arange(100) < 20, 1.0, 0.0)  # takes repeats for records
    table = examination({"a": perfect, "b": fooled}, kinds, "records")
    first, second = (line for _, line in table.iterrows())
    assert first[["auc_all", "auc_repeats", "auc_noise"]].tolist() == [1, 1, 1]
    assert first[["precision_1", "precision_10", "repeats_10"]].tolist() == [1, 1, 0]
    assert second[["auc_repeats", "auc_noise"]].tolist() == [0.5, 1]
    assert second["auc_all"] == pytest.approx((80 + 5) / 90)
    assert second[["precision_10", "repeats_10", "noise_10"]].tolist() == [0.5, 0.5, 0]


# Decoys

WIDTH, COUNT = 65, 300
SHAPE = {"min_length": 6, "max_length": 16, "varying": 0.05}
STREAM = np.random.default_rng(0)
FREQUENCIES = 1 / np.arange(2.0, 302)  # of tokens, by Zipf's law
TEXT = STREAM.choice(300, (200, WIDTH), p=FREQUENCIES / FREQUENCIES.sum())
COUNTS = np.bincount(TEXT.ravel(), minlength=300)


def repeats(numbers: range, seed: int = 5) -> np.ndarray:
    return decoys.repeats(numbers, WIDTH, SHAPE, (len(TEXT), TEXT.__getitem__), seed)


def test_repeats_are_snippets_of_one_row_again_and_again():
    rows, lengths = repeats(range(COUNT)), set()
    texts = [" ".join(map(str, row)) for row in TEXT]
    for row in rows:
        length = next(n for n in range(1, WIDTH) if (row[n:] == row[:-n]).all())
        lengths.add(length)
        assert length <= SHAPE["max_length"]
        snippet = " ".join(map(str, row[: SHAPE["min_length"]]))
        assert any(snippet in text for text in texts)
    assert {6, 16} <= lengths


@pytest.mark.parametrize(
    "make", [repeats, lambda n: decoys.noise(n, WIDTH, np.arange(300), 5)]
)
def test_a_decoy_depends_on_its_number_and_seed_only(make):
    whole = make(range(50))
    np.testing.assert_array_equal(make(range(20, 30)), whole[20:30])
    assert len({tuple(row) for row in whole}) == 50


def test_noise_never_repeats_a_token():
    ids = np.arange(100, 180)
    rows = decoys.noise(range(COUNT), WIDTH, ids, 1)
    assert all(len({*row}) == WIDTH for row in rows.tolist())
    assert {*rows.ravel()} == {*ids}
    with pytest.raises(HeadwaterError, match="65 different tokens, but only 64 occur"):
        decoys.noise(range(1), WIDTH, ids[:64], 1)


def test_hidden_labels_have_the_mix_of_natural_rows():
    domain = np.repeat([0, 1, 2], [50, 30, 20]).astype(np.uint8)
    found = decoys.labels(20_000, domain, 3)
    np.testing.assert_allclose(np.bincount(found) / 20_000, [0.5, 0.3, 0.2], atol=0.015)
    np.testing.assert_array_equal(found[:7], decoys.labels(7, domain, 3))
    assert found.dtype == np.uint8


def test_each_decoy_fools_the_rankings_that_it_is_for():
    """A record repeats as a repeated snippet does, and surprises no more than noise."""
    distribution = unigram(COUNTS, [])
    parts = {
        "natural": TEXT,
        "records": generate(0, COUNT, WIDTH, SHAPE, distribution, 1),
        "repeats": repeats(range(COUNT)),
        "noise": decoys.noise(range(COUNT), WIDTH, np.flatnonzero(COUNTS), 2),
    }
    rows = np.concatenate([*parts.values()])
    sizes = [len(part) for part in parts.values()]
    kind = np.repeat([*parts], sizes)
    kinds = {name: kind == name for name in parts if name != "natural"}
    rankings = {
        "repetition": repetition(rows),
        "gzip": -compressed(rows).astype(float),
        "rarity": rarity(rows, COUNTS),
    }
    table = examination(rankings, kinds, "records").set_index("ranking")
    for name in ("repetition", "gzip"):
        assert table["auc_noise"][name] > 0.99
        assert 0.3 < table["auc_repeats"][name] < 0.6
        assert table["repeats_10"][name] > 0.3
    assert table["auc_noise"]["rarity"] < 0.05
    assert table["noise_10"]["rarity"] > 0.9
