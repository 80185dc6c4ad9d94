"""Tokens that an arm masks: which they are, on data with known answers."""

import numpy as np
import pytest

from headwater.errors import HeadwaterError
from headwater.interventions.arms import ACTIONS, rows_label
from headwater.interventions.facts import fact_files
from headwater.interventions.kinds import KINDS, facts_of, is_compared
from headwater.interventions.tokens import (
    LOSS,
    MASKS,
    SCORE,
    again,
    masked_rows,
    pick_tokens,
    taught,
)

STREAM = np.random.default_rng(0)
TOKENS = STREAM.integers(1, 5, (50, 13))
TOKENS[:, -1] = 9  # no run of one token ends a row
FACTS = {name: STREAM.normal(size=(50, 12)) for name in (SCORE, LOSS)}


def pick(kind: str, fraction: float = 0.1, seed: int = 0, **facts) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return pick_tokens(kind, fraction, FACTS | facts, TOKENS, generator)


@pytest.mark.parametrize(
    ("kind", "fact", "sign"),
    [("top", SCORE, 1), ("bottom", SCORE, -1), ("loss", LOSS, 1)],
)
def test_the_highest_or_lowest_tokens_are_picked(kind, fact, sign) -> None:
    found, numbers = pick(kind), sign * FACTS[fact]
    assert found.sum() == round(0.1 * taught(TOKENS).sum())
    assert numbers[found].min() > numbers[~found & taught(TOKENS)].max()
    assert (pick(kind, seed=1) == found).all()  # nothing is left to chance


def test_random_tokens_are_drawn_from_all_and_follow_their_seed() -> None:
    found = pick("random")
    assert (pick("random") == found).all()
    assert (pick("random", seed=1) != found).any()
    often = sum(pick("random", seed=seed).astype(int) for seed in range(300))
    assert (often > 0).all()
    assert often.max() < 70


def test_what_stood_earlier_after_the_same_token_can_be_copied() -> None:
    rows = STREAM.integers(0, 6, (40, 30))
    expected = [
        [tuple(row[i : i + 2]) in {tuple(row[j : j + 2]) for j in range(i)}
         for i in range(len(row) - 1)]
        for row in rows
    ]  # fmt: skip
    assert (again(rows) == np.array(expected)).all()
    assert 0.2 < np.mean(expected) < 0.8
    assert (again(TOKENS) | ~pick("repetition")).all()


def test_padding_is_never_picked() -> None:
    padded = TOKENS.copy()
    padded[:, 8:] = 0
    found = pick_tokens("random", 0.99, {}, padded, np.random.default_rng(0))
    assert not found[:, 8:].any()  # the first of the run ends the row's text
    assert found.sum() == round(0.99 * 50 * 8)


def test_ties_are_broken_by_chance() -> None:
    draws = [pick("loss", seed=seed, **{LOSS: np.zeros((50, 12))}) for seed in (0, 1)]
    assert (draws[0] != draws[1]).any()
    assert np.ptp(np.nonzero(draws[0])[0]) > 30  # not the first rows


@pytest.mark.parametrize(
    ("kind", "fraction", "said"),
    [
        ("random", 1e-4, "0 tokens wanted, and 600 to pick from; raise"),
        ("repetition", 0.99, "594 tokens wanted, and [0-9]+ to pick from; lower"),
    ],
)
def test_too_few_or_too_many_are_one_line(kind, fraction, said) -> None:
    with pytest.raises(HeadwaterError, match=said):
        pick(kind, fraction)


def test_an_arm_of_tokens_trains_on_every_row_in_its_order() -> None:
    found = pick("top")
    arm = masked_rows(found)
    assert arm.rows.tolist() == [*range(50)]
    assert ((arm.weights == 0) == found).all()
    assert arm.weights.max() == 1
    assert arm.picked.tolist() == [i for i in range(50) if found[i].any()]


def test_the_kinds_that_can_be_masked_have_words_colours_and_files() -> None:
    assert {*MASKS} == {name for name, kind in KINDS.items() if "mask" in kind.colours}
    assert ACTIONS["mask"].change is None
    for kind in MASKS:
        arm = {"action": "mask", "rows": kind, "fraction": 0.1, "target": "own"}
        assert "tokens" in rows_label(arm)
        assert not is_compared(arm)
        files = fact_files(facts_of(arm), "own")
        measured = kind in ("top", "bottom", "loss")
        assert files == ["interventions/facts/own.tokens.h5"] * measured
