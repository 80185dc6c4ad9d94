"""Attention by products: against torch's own, and within a whole training."""

import copy

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from headwater import causal_attention as own
from headwater.training.recipe import Recipe, make_optimizer
from headwater.training.trainer import train
from tiny import random_rows, tiny_model


def with_gradients(function, inputs, out):
    found = function(*inputs)
    return [found, *torch.autograd.grad(found, inputs, out)]


@pytest.mark.parametrize(
    ("kind", "close"), [(torch.float64, 1e-12), (torch.float32, 2e-6)]
)
def test_it_equals_torchs_with_its_gradients(kind, close):
    generator = torch.Generator().manual_seed(3)
    shape = (2, 3, 37, 8)
    *inputs, out = (torch.randn(shape, generator=generator).to(kind) for _ in range(4))
    inputs = [x.requires_grad_() for x in inputs]
    found = with_gradients(
        lambda *x: own.causal_attention(*x, compute=kind), inputs, out
    )
    expected = with_gradients(
        lambda *x: scaled_dot_product_attention(*x, is_causal=True), inputs, out
    )
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=close, atol=close)


def test_bf16_products_lose_no_more_than_bf16_does():
    generator = torch.Generator().manual_seed(4)
    *inputs, out = (torch.randn((2, 2, 64, 16), generator=generator) for _ in range(4))
    inputs = [x.requires_grad_() for x in inputs]
    exact = with_gradients(
        lambda *x: scaled_dot_product_attention(*x, is_causal=True), inputs, out
    )
    found = with_gradients(
        lambda *x: own.causal_attention(*x, compute=torch.bfloat16), inputs, out
    )
    for a, b in zip(found, exact, strict=True):
        assert (a - b).norm() < 2**-7 * b.norm()


def test_nothing_looks_ahead():
    generator = torch.Generator().manual_seed(5)
    q, k, v = (torch.randn((1, 1, 9, 4), generator=generator) for _ in range(3))
    before = own.causal_attention(q, k, v, torch.float32)
    k[..., 5:, :] += 1
    v[..., 5:, :] += 1
    after = own.causal_attention(q, k, v, torch.float32)
    assert torch.equal(before[..., :5, :], after[..., :5, :])
    assert not torch.equal(before[..., 5:, :], after[..., 5:, :])


def bf16_training(model):
    recipe = Recipe(0.01, 2, (0.9, 0.95), 1e-6, 0.0, 1.0, precision="bf16")
    rows, losses = random_rows(4), []
    train(
        model,
        make_optimizer(model, recipe),
        recipe,
        lambda step: (rows, torch.ones(4)),
        range(8),
        lambda step, loss: losses.append(loss),
    )
    return losses


def test_a_training_uses_it_and_leaves_the_model_as_it_was(monkeypatch):
    calls = []
    real = own.causal_attention
    monkeypatch.setattr(
        own, "causal_attention", lambda *x: (calls.append(1), real(*x))[1]
    )
    model = tiny_model().float()
    twin, before = copy.deepcopy(model), model.config._attn_implementation
    losses = bf16_training(model)
    assert len(calls) == 8 * model.config.num_hidden_layers
    assert model.config._attn_implementation == before
    monkeypatch.setattr(own, "LONGEST", 0)
    assert bf16_training(twin) == pytest.approx(losses, rel=0.02)
    assert len(calls) == 8 * model.config.num_hidden_layers
