"""The copying score, copy gain, its natural twin, ablation, and tokens to copy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.evaluation.losses import HeldOut
from headwater.evaluation.natural_repeats import natural_repeats
from headwater.geometry import Head
from headwater.heads.copy_gain import ablation, copy_gain
from headwater.heads.scores import copying_score
from headwater.probes import PROBES, Repeats
from tiny import attention_weights, repeats, scattered, tiny_model

HEAD = Head(1, 2)


def held_out(tokens, domains=None, end: int = 9, planted=None) -> HeldOut:
    names = ["prose"] * len(tokens) if domains is None else domains
    rows = torch.tensor(np.array(tokens), dtype=torch.long)
    return HeldOut(rows, np.array(names, object), end, planted)


# The copying score


@torch.no_grad()
def copying(model, layer: int = 0, index: int = 0) -> float:
    return copying_score(model, Head(layer, index))


def copier(value: np.ndarray, output: np.ndarray):
    """Head L0H0 with these OV weights; tokens are the axes of the hidden space."""
    model = tiny_model(layers=1, hidden=8, heads=2)
    model.resize_token_embeddings(8)
    with torch.no_grad():
        model.gpt_neox.embed_in.weight.copy_(torch.eye(8))
        model.get_output_embeddings().weight.copy_(torch.eye(8))
        attention = model.gpt_neox.layers[0].attention
        attention.query_key_value.weight[8:12] = torch.tensor(value).double()
        attention.dense.weight[:, :4] = torch.tensor(output).double()
    return model


def test_a_copying_head_scores_one_and_an_anti_copying_head_minus_one():
    basis = np.random.default_rng(0).normal(size=(4, 8))
    assert copying(copier(basis, basis.T)) == pytest.approx(1)
    assert copying(copier(basis, -basis.T)) == pytest.approx(-1)


def test_a_head_that_turns_tokens_into_others_scores_zero():
    """Tokens 0, 1, 2, 3 become 1, 2, 3, 0: eigenvalues 1, i, -1, -i."""
    value, output = np.eye(4, 8), np.zeros((8, 4))
    for token in range(4):
        output[(token + 1) % 4, token] = 1
    assert copying(copier(value, output)) == pytest.approx(0)


def test_a_head_without_output_scores_zero():
    assert copying(copier(np.zeros((4, 8)), np.zeros((8, 4)))) == 0


@pytest.mark.parametrize("head", [Head(0, 0), Head(1, 2), Head(2, 1)])
def test_copying_equals_the_eigenvalues_of_the_full_circuit(head):
    model = tiny_model(seed=head.layer)
    attention, width = model.gpt_neox.layers[head.layer].attention, 8
    first = 3 * width * head.index + 2 * width
    value = attention.query_key_value.weight[first : first + width]
    output = attention.dense.weight[:, width * head.index : width * (head.index + 1)]
    embedding = model.get_input_embeddings().weight
    unembedding = model.get_output_embeddings().weight
    # Logits of every next token (columns) from every token attended to (rows).
    circuit = embedding @ value.T @ output.T @ unembedding.T
    assert circuit.shape == (31, 31)
    eigenvalues = np.linalg.eigvals(circuit.detach().numpy())
    expected = eigenvalues.sum().real / np.abs(eigenvalues).sum()
    assert abs(expected) > 0.01
    assert copying(model, head.layer, head.index) == pytest.approx(expected, abs=1e-9)


# Copy gain


def gain_loop(logits, data: Repeats) -> float:
    """Loss in the first copy minus in the second, token by token."""
    gains = []
    for number, row in enumerate(data.tokens):
        first, second = int(data.first[number]), int(data.second[number])
        own = []
        for i in range(1, int(data.period[number])):
            assert row[first + i] == row[second + i]
            log_probability = logits[number].log_softmax(dim=-1)
            once = -log_probability[first + i - 1, row[first + i]]
            again = -log_probability[second + i - 1, row[second + i]]
            own.append(float(once - again))
        gains.append(np.mean(own))
    return float(np.mean(gains))


@pytest.mark.parametrize("data", [scattered(9), repeats(3)])
@torch.no_grad()
def test_copy_gain_is_what_the_second_copy_costs_less(data):
    model = tiny_model()
    found = copy_gain(model, data)
    assert found == pytest.approx(gain_loop(model(data.tokens).logits, data))
    assert abs(found) > 1e-3


def test_a_model_without_context_gains_nothing():
    """Without attention and MLP a token's loss depends on the one before it only."""
    model = tiny_model()
    with torch.no_grad():
        for layer in model.gpt_neox.layers:
            layer.attention.dense.weight.zero_()
            layer.attention.dense.bias.zero_()
    assert copy_gain(model, scattered(9)) == pytest.approx(0, abs=1e-12)


# Ablation


@pytest.mark.parametrize("head", [Head(0, 1), HEAD])
@torch.no_grad()
def test_ablation_is_the_gain_lost_with_the_heads_output_at_its_mean(head):
    """By hand: the head's z, read off the model, averaged, and written back."""
    model, data = tiny_model(), scattered(9)
    gain, dense = copy_gain(model, data), model.gpt_neox.layers[head.layer].attention
    kept = []
    handle = dense.dense.register_forward_pre_hook(lambda _, x: kept.append(x[0]))
    model(data.tokens)
    handle.remove()
    mine = slice(8 * head.index, 8 * head.index + 8)
    mean = kept[0].clone()
    mean[..., mine] = sum(row[..., mine] for row in kept[0]) / len(data)
    handle = dense.dense.register_forward_pre_hook(lambda *_: (mean,))
    expected = gain - gain_loop(model(data.tokens).logits, data)
    handle.remove()
    assert ablation(model, head, data, gain) == pytest.approx(expected)
    assert abs(expected) > 1e-3
    assert copy_gain(model, data) == gain, "the model is left as it was"


def test_a_head_that_says_the_same_of_every_sequence_is_not_missed():
    model, data = tiny_model(), scattered(5)
    with torch.no_grad():
        qkv, _ = attention_weights(model, HEAD.layer)
        qkv[24 * HEAD.index + 16 : 24 * HEAD.index + 24] = 0  # v is its bias alone
    lost = ablation(model, HEAD, data, copy_gain(model, data))
    assert lost == pytest.approx(0, abs=1e-6)


# Natural repetitions


def documents(rows: int = 12, width: int = 33) -> np.ndarray:
    """Rows of rising numbers, each with an end somewhere in its first third."""
    tokens = 10 + np.arange(rows * width).reshape(rows, width)
    tokens[np.arange(rows), np.arange(rows) % 11] = 9
    return tokens


SHAPE = {"length": 16, "min_period": 3, "max_period": 6}


def test_a_natural_repetition_is_one_documents_text_but_for_the_copy():
    tokens = documents()
    found = natural_repeats(held_out(tokens), 99, SHAPE, seed=3)
    assert len(found) == 12
    assert len(set(found.period.tolist())) > 1
    for number, row in enumerate(found.tokens.tolist()):
        first, second = int(found.first[number]), int(found.second[number])
        period = int(found.period[number])
        assert first + period <= second <= 16 - period
        assert row[second : second + period] == row[first : first + period]
        begin = row[0] if second else None
        others = [t for t in range(16) if not second <= t < second + period]
        assert [row[t] for t in others] == [begin + t for t in others]
        assert 9 not in row


def test_only_natural_documents_that_are_long_enough_are_used():
    tokens = documents(4)
    tokens[0, 16] = 9  # two documents of at most 16 and 16 tokens
    tokens[1, [12, 24]] = 9
    held = held_out(tokens, ["a", "a", "records", "b"], planted="records")
    found = natural_repeats(held, 99, SHAPE, seed=0)
    rows = {int((row[0] - 10) // 33) for row in found.tokens}
    assert rows == {0, 3}
    assert natural_repeats(held, 99, {**SHAPE, "length": 31}, seed=0) is None


def test_natural_repetitions_are_drawn_by_their_seed():
    held = held_out(documents(40))
    few, again, other = (natural_repeats(held, 5, SHAPE, seed) for seed in (0, 0, 1))
    assert len(few) == 5
    assert torch.equal(few.tokens, again.tokens)
    assert not torch.equal(few.tokens, other.tokens)


def test_probes_and_gain_take_natural_repetitions_as_they_are():
    held = held_out(documents() % 31, end=30)
    data = natural_repeats(held, 5, SHAPE, seed=0)
    assert data is not None
    values = PROBES["induction"].function(tiny_model(), None, data)
    assert values.isfinite().all()


# Tokens that can be copied

END = 9


def copyable_loop(row: list[int]) -> list[bool]:
    """Look back from each token to the last occurrence of the one before it."""
    found = []
    for i in range(len(row) - 1):
        begin = max([p + 1 for p in range(i + 1) if row[p] == END], default=0)
        earlier = [j for j in range(begin, i) if row[j] == row[i]]
        found.append(bool(earlier) and row[earlier[-1] + 1] == row[i + 1])
    return found


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ([1, 2, 3, 1, 2, 3], [0, 0, 0, 1, 1]),
        ([1, 2, 1, 3, 1, 2], [0, 0, 0, 0, 0]),  # the last occurrence, not any
        ([1, 1, 1, 1], [0, 1, 1]),
        ([1, 2, END, 1, 2, 3], [0, 0, 0, 0, 0]),  # not from another document
        ([1, 2, 1, END, 1, END], [0, 0, 0, 0, 0]),
        ([END, END, END, END], [0, 0, 0]),
    ],
)
def test_a_token_can_be_copied_if_it_followed_the_last_time(row, found):
    assert held_out([row]).copyable.astype(int).tolist() == [found]
    assert copyable_loop(row) == [bool(value) for value in found]


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.integers(2, 12).flatmap(
        lambda width: st.lists(
            st.lists(st.sampled_from([1, 2, 3, END]), min_size=width, max_size=width),
            min_size=1,
            max_size=4,
        )
    )
)
def test_copyable_tokens_equal_those_found_by_looking_back(rows):
    assert held_out(rows).copyable.tolist() == [copyable_loop(row) for row in rows]
