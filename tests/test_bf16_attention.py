"""A training in bf16 attends in float32, and is near the one in float32."""

import copy

import pytest
import torch

from headwater import attention
from headwater.training.recipe import Recipe, make_optimizer
from headwater.training.trainer import train, weighted_loss
from tiny import random_rows, tiny_model


def trained(model, precision):
    recipe = Recipe(0.01, 2, (0.9, 0.95), 1e-6, 0.0, 1.0, precision=precision)
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
    kinds = []
    real = attention.scaled_dot_product_attention

    def watched(query, *others, **settings):
        found = real(query, *others, **settings)
        kinds.append((query.dtype, found.dtype))
        return found

    monkeypatch.setattr(attention, "scaled_dot_product_attention", watched)
    model = tiny_model().float()
    twin, before = copy.deepcopy(model), model.config._attn_implementation
    losses = trained(model, "bf16")
    assert kinds == [(torch.float32, torch.float32)] * len(kinds)
    assert len(kinds) == 8 * model.config.num_hidden_layers
    assert model.config._attn_implementation == before
    assert trained(twin, "fp32") == pytest.approx(losses, rel=0.02)
    assert len(kinds) == 8 * model.config.num_hidden_layers  # none in float32


def test_gradients_of_queries_and_keys_are_nearer_to_exact_ones():
    """Than with attention in bf16 itself, as autocast alone would have it."""
    model = tiny_model().float()
    with torch.no_grad():  # scores of trained heads are larger than those of new ones
        for layer in model.gpt_neox.layers:
            layer.attention.query_key_value.weight.mul_(6)
    rows, weights = random_rows(6), torch.ones(6)
    names = [n for n, _ in model.named_parameters() if "query_key_value.weight" in n]

    def gradients(loss):
        parameters = [model.get_parameter(name) for name in names]
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])

    exact = gradients(weighted_loss(model, rows, weights, 6))
    own = gradients(weighted_loss(model, rows, weights, 6, torch.bfloat16))
    model.set_attn_implementation("eager")
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(rows[:, :-1], use_cache=False).logits.float()
    plain = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), rows[:, 1:].flatten()
    )
    rounded = gradients(plain)
    assert (own - exact).norm() < (rounded - exact).norm()
