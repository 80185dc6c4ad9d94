"""Probes and their gradients against plain loops, autograd and finite differences."""

import logging
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from headwater.errors import HeadwaterError
from headwater.geometry import Head
from headwater.gradients.probe import probe_gradient, warn_if_zero
from headwater.heads.scores import head_scores
from headwater.models.sites import attention_patterns
from headwater.probes import PROBES, ProbeData, Repeats, find_probe
from headwater.probes.prefix_matching import matched_attention
from tiny import (
    OF_HEADS,
    ask,
    attention_weights,
    head_gradient,
    head_slices,
    probe_data,
    random_rows,
    repeated_rows,
    repeats,
    scattered,
    tiny_model,
    unit,
)

HEAD = Head(1, 2)
UNIT = unit(HEAD)


def spans(data: Repeats):
    """Tokens and places of each sequence: (row, first, second, period)."""
    places = torch.stack([data.first, data.second, data.period], dim=1).tolist()
    for row, (first, second, period) in zip(data.tokens, places, strict=True):
        copies = row[first : first + period], row[second : second + period]
        assert torch.equal(*copies)
        yield row, first, second, period


def induction_loop(model, data: Repeats, shift: int) -> list[float]:
    """Mean log-probability of each repeated token, read `shift` positions before it."""
    found = []
    for row, _, second, period in spans(data):
        with torch.no_grad():
            log_probability = model(input_ids=row[None]).logits[0].log_softmax(dim=-1)
        places = range(second + 1, second + period)
        values = [float(log_probability[t - shift, row[t]]) for t in places]
        found.append(sum(values) / len(values))
    return found


@pytest.mark.parametrize("data", [scattered(12), repeats(4)])
def test_induction_is_the_log_probability_of_the_right_continuation(data):
    model = tiny_model()
    found = ask("induction", model, HEAD, data).tolist()
    right = induction_loop(model, data, shift=1)
    early = induction_loop(model, data, shift=2)
    assert found == pytest.approx(right, rel=1e-10)
    assert all(abs(f - e) > 1e-3 for f, e in zip(found, early, strict=True))
    released = find_probe("induction", as_released=True).function(model, None, data)
    assert released.tolist() == pytest.approx(early, rel=1e-10)


@pytest.mark.parametrize("data", [scattered(12), repeats(4)])
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_prefix_matching_is_the_models_own_attention_place_by_place(data, shift):
    model = tiny_model()
    model.set_attn_implementation("eager")
    pattern = attention_patterns(model, data.tokens)[HEAD.layer].detach()
    found = matched_attention(pattern, data, shift)
    for number, (_, first, second, period) in enumerate(spans(data)):
        for head in range(3):
            expected = sum(
                float(pattern[number, head, second + i, first + i + shift])
                for i in range(period)
            )
            assert float(found[number, head]) == pytest.approx(expected / period)
    if shift == 1:
        probe = PROBES["prefix_matching"].function(model, HEAD, data)
        torch.testing.assert_close(probe.detach(), found[:, HEAD.index])


def test_data_is_cut_and_moved_with_its_places():
    data = scattered(7)
    part = data[2:5].to(torch.device("cpu"))
    assert type(part) is Repeats
    assert len(part) == 3
    for name in ("tokens", "first", "second", "period"):
        assert torch.equal(getattr(part, name), getattr(data, name)[2:5])
    wanted = probe_data("dataset", 4)
    assert torch.equal(wanted[1:3].weights, wanted.weights[1:3])


def test_only_the_induction_probe_differs_in_the_released_code():
    for name in PROBES:
        same = find_probe(name, as_released=True) is find_probe(name)
        assert same == (name != "induction")


def rotated(values: Tensor, dims: int) -> Tensor:
    """Rotary embedding of [length, width]: turns the pairs (i, i + dims / 2)."""
    result = values.clone()
    for position in range(len(values)):
        for i in range(dims // 2):
            angle = position * 10_000 ** (-2 * i / dims)
            cosine, sine = math.cos(angle), math.sin(angle)
            a, b = values[position, i], values[position, i + dims // 2]
            result[position, i] = a * cosine - b * sine
            result[position, i + dims // 2] = b * cosine + a * sine
    return result


def pattern_by_hand(model, head: Head, tokens: Tensor, dims: int) -> Tensor:
    """Attention pattern of one head on one sequence, from its q and k."""
    layer = model.gpt_neox.layers[head.layer]
    states = model(input_ids=tokens[None], output_hidden_states=True).hidden_states
    inputs = layer.input_layernorm(states[head.layer][0])
    weight, bias = layer.attention.query_key_value.parameters()
    rows = range(24 * head.index, 24 * head.index + 16)
    both = inputs @ weight[list(rows)].T + bias[list(rows)]
    query, key = rotated(both[:, :8], dims), rotated(both[:, 8:], dims)
    scores = query @ key.T / math.sqrt(8)
    causal = torch.ones_like(scores).tril().bool()
    return scores.masked_fill(~causal, -torch.inf).softmax(dim=-1)


@pytest.mark.parametrize(("rotary_pct", "dims"), [(0.25, 2), (0.5, 4)])
def test_previous_token_is_the_hand_made_attention_one_back(rotary_pct, dims):
    model, data = tiny_model(rotary_pct=rotary_pct).eval(), scattered(5)
    model.set_attn_implementation("eager")
    for head in (Head(0, 0), HEAD, Head(2, 1)):
        found = PROBES["previous_token"].function(model, head, data).detach()
        assert found.std() > 1e-3, "attention is uniform; the test says nothing"
        for value, (row, _, second, _) in zip(found, spans(data), strict=True):
            with torch.no_grad():
                pattern = pattern_by_hand(model, head, row[:second], dims)
            expected = sum(float(pattern[t, t - 1]) for t in range(1, second))
            assert float(value) == pytest.approx(expected / (second - 1), abs=1e-6)


def test_previous_token_looks_at_what_is_not_repeated_only():
    model, data = tiny_model(), scattered(5)
    model.set_attn_implementation("eager")
    tokens = data.tokens.clone()
    for row, second in zip(tokens, data.second.tolist(), strict=True):
        row[second:] = random_rows(1, len(row) - second - 1, seed=9)[0]
    function = PROBES["previous_token"].function
    found = [function(model, HEAD, d) for d in (data, replace(data, tokens=tokens))]
    torch.testing.assert_close(*found)


def test_attention_patterns_equal_the_models_own():
    model, tokens = tiny_model(), repeated_rows(2)
    model.set_attn_implementation("eager")
    expected = model(input_ids=tokens, output_attentions=True).attentions
    found = attention_patterns(model, tokens)
    assert len(found) == 3
    for a, b in zip(found, expected, strict=True):
        assert a.shape == (2, 3, 12, 12)
        assert torch.equal(a, b)


def eager_value(model, name: str, head: Head, data: ProbeData) -> Tensor:
    model.set_attn_implementation("eager")
    return ask(name, model, head, data).mean()


@pytest.mark.parametrize("name", OF_HEADS)
@pytest.mark.parametrize("head", [Head(0, 1), HEAD, Head(2, 0)])
def test_probe_gradient_equals_autograd(name, head):
    model, data = tiny_model(), probe_data(name, 5)
    found, mean = probe_gradient(model, PROBES[name], unit(head), data, 2)
    model.requires_grad_(True)
    value = eager_value(model, name, head, data)
    expected = head_gradient(model, head, value)
    assert mean == pytest.approx(value.item(), rel=1e-6)
    assert found.keys() == {f"{head}/{block}" for block in expected}
    assert found[f"{head}/qk"].norm() > 1e-3
    for block, gradient in expected.items():
        torch.testing.assert_close(
            found[f"{head}/{block}"], gradient, rtol=1e-5, atol=1e-7
        )


@pytest.mark.parametrize("name", OF_HEADS)
def test_probe_gradient_equals_finite_differences(name):
    """Along random directions of the head's parameters, by a five-point stencil.

    Eager attention takes its softmax in float32, hence the large step and tolerance.
    """
    model, data = tiny_model(), probe_data(name, 3)
    found, _ = probe_gradient(model, PROBES[name], UNIT, data)
    generator = torch.Generator().manual_seed(8)
    weights = attention_weights(model, HEAD.layer)
    for block in ("qk", "v", "o"):
        moves = [torch.randn(w.shape, generator=generator).double() for w in weights]
        only = one_block(model, moves, block)
        predicted = sum((found[f"{HEAD}/{part}"] * only[part]).sum() for part in only)
        measured = stencil(model, name, data, weights, moves)
        assert measured == pytest.approx(float(predicted), rel=1e-3, abs=1e-5)
        if name not in ("previous_token", "prefix_matching") or block == "qk":
            assert abs(measured) > 1e-3, "a vanishing test case"


def one_block(model, moves: list[Tensor], block: str) -> dict[str, Tensor]:
    """Zero `moves` outside one block of HEAD, in place; return its slices."""
    masks = [torch.zeros_like(move) for move in moves]
    start = 24 * HEAD.index
    rows = {"qk": slice(start, start + 16), "v": slice(start + 16, start + 24)}
    if block == "o":
        masks[1][:, 8 * HEAD.index : 8 * HEAD.index + 8] = 1
    else:
        masks[0][rows[block]] = 1
    for move, mask in zip(moves, masks, strict=True):
        move.mul_(mask / (move * mask).norm().clamp(min=1e-9))
    assert sum(int(mask.sum()) for mask in masks) == (384 if block == "qk" else 192)
    return head_slices(model, HEAD, *moves)


def stencil(model, name: str, data: ProbeData, weights, moves, step: float = 0.02):
    """Fourth-order central difference of the probe along `moves`."""

    def value(scale: float) -> float:
        for weight, move in zip(weights, moves, strict=True):
            weight.add_(move, alpha=scale * step)
        result = float(eager_value(model, name, HEAD, data))
        for weight, move in zip(weights, moves, strict=True):
            weight.sub_(move, alpha=scale * step)
        return result

    with torch.no_grad():
        outer, inner = value(2) - value(-2), value(1) - value(-1)
    return (8 * inner - outer) / (12 * step)


def test_prefix_matching_is_the_head_score_of_that_name():
    model, data = tiny_model(), scattered(4)
    expected = head_scores(model, data)["prefix_matching"]
    for head in (Head(0, 0), HEAD):
        found = PROBES["prefix_matching"].function(model, head, data)
        assert float(found.detach().mean()) == pytest.approx(expected[head], rel=1e-9)


@pytest.mark.parametrize("name", ["previous_token", "prefix_matching"])
def test_values_and_output_do_not_enter_a_probe_of_attention(name):
    model, data = tiny_model(), probe_data(name, 3)
    probe = PROBES[name]
    found, _ = probe_gradient(model, probe, UNIT, data)
    assert found["L1H2/v"].count_nonzero() == 0
    assert found["L1H2/o"].count_nonzero() == 0
    assert found["L1H2/qk"].norm() > 1e-3


@pytest.mark.parametrize("name", OF_HEADS)
def test_probe_gradient_does_not_depend_on_the_batch_size(name):
    model, data = tiny_model(), probe_data(name, 8)
    results = [
        probe_gradient(model, PROBES[name], UNIT, data, size) for size in (1, 3, 8)
    ]
    for gradient, mean in results[1:]:
        assert mean == pytest.approx(results[0][1], rel=1e-6)
        for block, value in gradient.items():
            torch.testing.assert_close(
                value, results[0][0][block], rtol=1e-5, atol=1e-7
            )


def test_probe_gradient_restores_the_attention_implementation():
    model, data = tiny_model(), probe_data("induction", 2)
    before = model.config._attn_implementation
    assert before != "eager"
    probe_gradient(model, PROBES["induction"], unit(HEAD, "qk"), data)
    assert model.config._attn_implementation == before


def test_copying_is_the_heads_own_part_of_the_right_logit():
    """By hand: the head's output through W_O and the unembedding, token by token."""
    model, data = tiny_model(), scattered(4)
    model.set_attn_implementation("eager")
    unembedding = model.get_output_embeddings().weight
    for head in (Head(0, 1), HEAD):
        found = PROBES["copying"].function(model, head, data)
        layer = model.gpt_neox.layers[head.layer]
        mine = slice(8 * head.index, 8 * head.index + 8)
        for value, (row, _, second, period) in zip(found, spans(data), strict=True):
            pattern = pattern_by_hand(model, head, row[:-1], 2)
            states = model(input_ids=row[None, :-1], output_hidden_states=True)
            inputs = layer.input_layernorm(states.hidden_states[head.layer][0])
            weight, bias = layer.attention.query_key_value.parameters()
            rows = range(24 * head.index + 16, 24 * head.index + 24)
            z = pattern @ (inputs @ weight[list(rows)].T + bias[list(rows)])
            logits = z @ layer.attention.dense.weight[:, mine].T @ unembedding.T
            logits = logits.detach()
            gains = [
                float(logits[t, row[t + 1]] - logits[t].mean())
                for t in range(second, second + period - 1)
            ]
            expected = sum(gains) / (period - 1)
            assert float(value.detach()) == pytest.approx(expected, abs=1e-5)
        assert found.abs().min() > 1e-3, "a vanishing test case"


def test_copying_depends_on_its_own_head_only():
    model, data = tiny_model(), probe_data("copying", 3)
    function = PROBES["copying"].function
    before = function(model, HEAD, data).detach()
    other = function(model, Head(1, 0), data).detach()
    with torch.no_grad():
        dense = model.gpt_neox.layers[1].attention.dense
        dense.weight[:, :8] *= 2  # head 0 of the same layer
        dense.bias += 1
    torch.testing.assert_close(function(model, HEAD, data).detach(), before)
    torch.testing.assert_close(function(model, Head(1, 0), data).detach(), 2 * other)


def test_a_zero_gradient_is_warned_of_with_target_and_head(caplog, monkeypatch):
    """A head without output: what it attends to changes no prediction."""
    monkeypatch.setattr(logging.getLogger("headwater"), "propagate", True)
    model, data = tiny_model(), probe_data("induction", 3)
    with torch.no_grad():
        qkv, dense = attention_weights(model, HEAD.layer)
        dense[:, 16:24] = 0
        qkv[24 * HEAD.index + 16 : 24 * HEAD.index + 24] = 0
        attention = model.gpt_neox.layers[HEAD.layer].attention
        attention.query_key_value.bias[24 * HEAD.index + 16 :] = 0
    gradient, _ = probe_gradient(model, PROBES["induction"], UNIT, data)
    warn_if_zero(gradient, "mine", UNIT)
    assert "target mine" in caplog.text
    assert "L1H2" in caplog.text
    assert "ranking means nothing" in caplog.text
    caplog.clear()
    whole, _ = probe_gradient(tiny_model(), PROBES["induction"], UNIT, data)
    warn_if_zero(whole, "mine", UNIT)
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["induction", "copying", "dataset", "direct_logits"])
def test_a_probe_that_is_not_finite_is_refused(name):
    """Finite weights and hidden states; the logits overflow."""
    model, data = tiny_model(), probe_data(name, 3)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(1e307)
    with pytest.raises(HeadwaterError, match=rf"^probe {name} of L1H2: its value or"):
        probe_gradient(model, PROBES[name], UNIT, data)
