"""Scores of heads and their controls, and the sequences that they are measured on."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import HeadwaterError
from headwater.geometry import Head
from headwater.heads import scores as scoring
from headwater.heads import sequences as sequencing
from headwater.heads.scores import (
    SCORES,
    SHUFFLED_EVERY,
    head_scores,
    scores_table,
)
from headwater.heads.sequences import (
    CHOOSING,
    JUDGING,
    SCORING,
    draw_sequences,
    probe_vocabulary,
    repeated_sequences,
    shuffled,
)
from headwater.heads.targets import find_head
from headwater.probes import Repeats
from tiny import repeats, scattered, tiny_model

# Scores from hand-made attention. The model has 3 layers of 3 heads.

COUNT = 8
DATA = scattered(COUNT)
PLACES = list(
    zip(DATA.first.tolist(), DATA.second.tolist(), DATA.period.tolist(), strict=True)
)


def all_attention_to(key_of) -> torch.Tensor:
    """[count, heads, query, key]: query t looks at `key_of(t, *places)`."""
    length = DATA.tokens.shape[1]
    pattern = torch.zeros(COUNT, 3, length, length)
    for number, places in enumerate(PLACES):
        for query in range(length):
            key = key_of(query, *places)
            pattern[number, :, query, key if 0 <= key <= query else 0] = 1
    return pattern


def beside_match(shift: int):
    """To the key that lies so far after a token's first occurrence; else to itself."""

    def key_of(query: int, first: int, second: int, period: int) -> int:
        inside = second <= query < second + period
        return query - second + first + shift if inside else query

    return key_of


def scores_of(monkeypatch, *layers, shuffled=None) -> dict[str, dict[Head, float]]:
    """From these patterns; `shuffled` are those of the shuffled sequences."""
    control = [layer[::SHUFFLED_EVERY] for layer in shuffled or layers]
    answers = iter([list(layers), control])
    monkeypatch.setattr(scoring, "attention_patterns", lambda *_: next(answers))
    return head_scores(tiny_model(), DATA)


def test_each_score_is_one_for_the_head_that_does_it_alone(monkeypatch):
    kinds = {
        "prefix_matching": beside_match(1),
        "prefix_matching_before": beside_match(0),
        "prefix_matching_after": beside_match(2),
    }
    found = scores_of(monkeypatch, *map(all_attention_to, kinds.values()))
    assert set(found) == set(SCORES)
    for layer, kind in enumerate(kinds):
        for name in kinds:
            wanted = 1 if name == kind else 0
            if "after" in kind and name == "prefix_matching_before":
                continue  # of a span of 2 without filler between, the same keys
            assert found[name][Head(layer, 0)] == pytest.approx(wanted, abs=0.2)
            if wanted:
                assert found[name][Head(layer, 0)] == 1
    assert all(-1 <= value <= 1 for value in found["copying"].values())


def test_a_head_that_counts_positions_is_told_from_one_that_matches(monkeypatch):
    """It looks a fixed way back: on sequences of one period that would be enough."""
    period = round(float((DATA.second - DATA.first).double().median()))
    counter = all_attention_to(lambda t, *_: t - period + 1)
    found = scores_of(monkeypatch, counter, counter, counter)["prefix_matching"]
    distances = (DATA.second - DATA.first).tolist()
    assert found[Head(0, 0)] == pytest.approx(distances.count(period) / COUNT, abs=0.1)
    assert found[Head(0, 0)] < 0.5


def test_scores_are_means_over_sequences_and_belong_to_their_head(monkeypatch):
    induction = all_attention_to(beside_match(1))
    mixed, elsewhere = torch.zeros_like(induction), torch.zeros_like(induction)
    mixed[1, 2] = induction[1, 2]  # one of the sequences, head 2
    found = scores_of(monkeypatch, elsewhere, mixed, elsewhere)["prefix_matching"]
    assert found.pop(Head(1, 2)) == pytest.approx(1 / COUNT)
    assert not any(found.values())


def test_the_shuffled_control_has_the_same_keys_of_other_sequences(monkeypatch):
    match, nothing = (all_attention_to(beside_match(shift)) for shift in (1, -20))
    found = scores_of(monkeypatch, *[match] * 3, shuffled=[nothing] * 3)
    assert found["prefix_matching"][Head(0, 0)] == 1
    assert found["prefix_matching_shuffled"][Head(0, 0)] < 0.1
    found = scores_of(monkeypatch, *[nothing] * 3, shuffled=[match] * 3)
    assert found["prefix_matching"][Head(0, 0)] < 0.1
    assert found["prefix_matching_shuffled"][Head(0, 0)] == 1


def test_the_previous_token_score_does_not_count_the_second_copy(monkeypatch):
    found = scores_of(
        monkeypatch,
        all_attention_to(lambda t, _, second, __: t - 1 if t >= second else t),
        all_attention_to(lambda t, _, second, __: t - 1 if t < second else t),
        all_attention_to(lambda t, *_: t),
    )["previous_token"]
    assert [found[Head(layer, 0)] for layer in range(3)] == [0, 1, 0]


def test_scores_come_from_the_models_own_attention():
    model, control = tiny_model(), shuffled(DATA[::SHUFFLED_EVERY])
    found = head_scores(model, DATA)

    def mean(data: Repeats, head: Head, shift: int) -> float:
        patterns = model.gpt_neox(data.tokens, output_attentions=True).attentions
        pattern, values = patterns[head.layer][:, head.index].detach(), []
        for number in range(len(data)):
            first, second, period = PLACES[number * (len(DATA) // len(data))]
            places = range(period)
            own = [pattern[number, second + i, first + i + shift] for i in places]
            values.append(np.mean(own))
        return float(np.mean(values))

    for head in (Head(0, 0), Head(2, 1)):
        expected = {
            "prefix_matching": mean(DATA, head, 1),
            "prefix_matching_before": mean(DATA, head, 0),
            "prefix_matching_after": mean(DATA, head, 2),
            "prefix_matching_shuffled": mean(control, head, 1),
        }
        assert {n: found[n][head] for n in expected} == pytest.approx(expected)
        assert len({f"{value:.6f}" for value in expected.values()}) == 4


def counting_model(distance: int):
    """Head L0H1 attends so many tokens back, whatever they are.

    Its queries and keys are biases alone, so that only the rotary embedding counts.
    """
    model = tiny_model(rotary_pct=1.0)
    angles = distance * 10_000.0 ** (-torch.arange(4) / 4)
    turned = torch.cat([angles.cos() - angles.sin(), angles.sin() + angles.cos()])
    with torch.no_grad():
        qkv = model.gpt_neox.layers[0].attention.query_key_value
        qkv.weight[24:40] = 0
        qkv.bias[24:32], qkv.bias[32:40] = 8, 8 * turned
    return model


def test_counting_positions_passes_a_constant_period_and_no_other():
    """And not even that one unseen: it attends there, too, where nothing matches."""
    model = counting_model(7)
    table = scores_table(0, head_scores(model, repeats(8, half=8)))
    counter = table[table["head"] == "L0H1"].iloc[0]
    assert counter["prefix_matching"] > 0.95
    assert (
        max(counter["prefix_matching_before"], counter["prefix_matching_after"]) < 0.1
    )
    assert not find_head(table, "prefix_matching", ["L0H1"]).found
    shape = {"length": 32, "min_period": 4, "max_period": 12}
    drawn = repeated_sequences(64, shape, np.arange(31), seed=0)
    table = scores_table(0, head_scores(model, drawn))
    assert table[table["head"] == "L0H1"]["prefix_matching"].item() < 0.2


# Sequences

VOCABULARY = np.array([3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377])
SHAPE = {"length": 12, "min_period": 2, "max_period": 5}
SHAPES = st.tuples(st.integers(2, 9), st.integers(0, 5), st.integers(0, 9)).map(
    lambda n: {
        "min_period": n[0],
        "max_period": n[0] + n[1],
        "length": 2 * (n[0] + n[1]) + n[2],
    }
)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 99))
def test_a_span_stands_twice_and_everything_else_once(shape, seed):
    ids = np.arange(100, 140)
    found = repeated_sequences(5, shape, ids, seed)
    assert found.tokens.dtype == torch.int64
    assert found.tokens.shape == (5, shape["length"])
    assert set(found.tokens.flatten().tolist()) <= set(ids.tolist())
    for number, row in enumerate(found.tokens.tolist()):
        first, second = int(found.first[number]), int(found.second[number])
        period = int(found.period[number])
        assert shape["min_period"] <= period <= shape["max_period"]
        assert 0 <= first <= first + period <= second <= len(row) - period
        span = row[first : first + period]
        assert row[second : second + period] == span
        assert sorted(row) == sorted([*set(row), *span])


def test_periods_and_places_vary_over_all_that_fits():
    found = repeated_sequences(3000, SHAPE, VOCABULARY, 0)
    gaps = found.second - found.first - found.period
    after = SHAPE["length"] - found.second - found.period
    assert set(found.period.tolist()) == {2, 3, 4, 5}
    for filler in (found.first, gaps, after):
        assert set(filler[found.period == 2].tolist()) == set(range(9))
        assert set(filler[found.period == 5].tolist()) == {0, 1, 2}
    assert len({tuple(row) for row in found.tokens.tolist()}) == 3000


def test_the_classical_sequence_has_no_room_for_filler():
    shape = {"length": 12, "min_period": 6, "max_period": 6}
    found = repeated_sequences(50, shape, VOCABULARY, seed=0)
    assert torch.equal(found.tokens[:, :6], found.tokens[:, 6:])
    places = torch.stack([found.first, found.second, found.period])
    assert places.T.unique(dim=0).tolist() == [[0, 6, 6]]


def test_sequences_do_not_depend_on_their_number_but_on_the_seed():
    few, many = (repeated_sequences(n, SHAPE, VOCABULARY, seed=7) for n in (3, 20))
    for part, whole in zip(vars(few).values(), vars(many[:3]).values(), strict=True):
        assert torch.equal(part, whole)
    other = repeated_sequences(3, SHAPE, VOCABULARY, seed=8)
    assert not torch.equal(few.tokens, other.tokens)
    assert len(repeated_sequences(3, SHAPE, VOCABULARY, seed=(1 << 63) - 1)) == 3


def test_a_shuffled_copy_has_its_tokens_in_other_places():
    data = repeated_sequences(200, SHAPE, VOCABULARY, 0)
    found = shuffled(data)
    assert torch.equal(found.tokens, shuffled(data).tokens)
    for number, (before, row) in enumerate(zip(data.tokens, found.tokens, strict=True)):
        start, period = int(data.second[number]), int(data.period[number])
        copy = slice(start, start + period)
        assert (before[copy] != row[copy]).all()
        assert sorted(before[copy].tolist()) == sorted(row[copy].tolist())
        rest = torch.ones(len(row), dtype=torch.bool)
        rest[copy] = False
        assert torch.equal(before[rest], row[rest])


def test_untrained_and_special_tokens_are_not_drawn():
    counts = np.array([9, 0, 4, 1, 0, 7])
    assert probe_vocabulary(counts, [0]).tolist() == [2, 3, 5]
    assert probe_vocabulary(counts, [5, 4]).tolist() == [0, 2, 3]


@pytest.fixture
def drawn(monkeypatch):
    """Draws from a corpus of as many tokens as asked for."""
    encoder = SimpleNamespace(special_ids=[0])
    monkeypatch.setattr(sequencing.Encoder, "open", lambda *_: encoder)

    def draw(name: str, tokens: int, count: int = 3, **shape: int) -> Repeats:
        counts = np.ones(tokens + 1, int)
        monkeypatch.setattr(sequencing, "token_counts", lambda *_: counts)
        config = {"seed": 0, "heads": {**SHAPE, **shape}}
        return draw_sequences(name, count, Path(), Path(), config)

    return draw


def test_a_vocabulary_too_small_for_a_sequence_says_what_to_change(drawn):
    assert drawn(CHOOSING, 10).tokens.min() == 1
    with pytest.raises(HeadwaterError, match=r"heads\.length: 10 .* only 9 occur"):
        drawn(CHOOSING, 9)


def test_choosing_scoring_and_judging_share_no_sequence(drawn):
    shape = {"length": 64, "min_period": 8, "max_period": 24}
    draws = [drawn(name, 300, 200, **shape) for name in (CHOOSING, SCORING, JUDGING)]
    rows = {tuple(row) for data in draws for row in data.tokens.tolist()}
    assert len(rows) == 600
    spans = {
        tuple(row[first : first + 8])
        for data in draws
        for row, first in zip(data.tokens.tolist(), data.first.tolist(), strict=True)
    }
    assert len(spans) == 600
    again = drawn(JUDGING, 300, 200, **shape)
    assert torch.equal(again.tokens, draws[2].tokens)
