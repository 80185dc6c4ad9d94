"""The row-weighted trainer: weights, divisors, schedule, decay, resumption."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from headwater.checkpoints.files import TrainerState, load_optimizer, save_checkpoint
from headwater.training.recipe import Recipe, make_optimizer
from headwater.training.trainer import train
from tiny import random_rows, row_loss, tiny_model, weighted_loss

RECIPE = Recipe(
    learning_rate=0.01,
    warmup_steps=4,
    betas=(0.9, 0.95),
    eps=1e-8,
    weight_decay=0.1,
    max_grad_norm=1.0,
)


def no_hook(step: int, loss: float) -> None:
    pass


def gradients(model, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(model.parameters())))


def assert_all_close(found: list[Tensor], expected: list[Tensor]) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-13)


def row_by_row(model, rows: Tensor, weights: list[float], divisor: float) -> Tensor:
    """Weighted sum of the rows' own mean losses, over `divisor`."""
    length = rows.shape[1] - 1
    losses = [row_loss(model, row, row[1:]) / length for row in rows]
    return sum(w * loss for w, loss in zip(weights, losses, strict=True)) / divisor


@pytest.mark.parametrize(
    ("weights", "divisor", "count"),
    [
        ([1.0, 1.0, 1.0, 1.0], "fixed", 4),
        ([1.0, 0.0, 1.0, 2.0], "fixed", 4),
        ([1.0, 0.0, 1.0, 2.0], "kept", 4),
        ([1.0, 0.0, 1.0, 1.0], "kept", 3),
        ([0.0, 0.0, 0.5, 1.0], "kept", 1.5),
        ([1.0, 0.0, 1.0, 1.0], "fixed", 4),
    ],
)
def test_weighted_loss_and_gradient_equal_a_loop_over_rows(weights, divisor, count):
    model, rows = tiny_model(), random_rows(4)
    loss = weighted_loss(model, rows, torch.tensor(weights), divisor)
    expected = row_by_row(model, rows, weights, count)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    assert_all_close(gradients(model, loss), gradients(model, expected))


def test_a_removed_row_leaves_the_others_as_they_were():
    model, rows = tiny_model(), random_rows(4)
    weights = torch.tensor([1.0, 0.0, 1.0, 1.0])
    removed = gradients(model, weighted_loss(model, rows, weights, "fixed"))
    others = rows[[0, 2, 3]]
    alone = gradients(model, weighted_loss(model, others, torch.ones(3), "fixed"))
    assert_all_close(removed, [gradient * 3 / 4 for gradient in alone])
    whole = gradients(model, weighted_loss(model, rows, torch.ones(4), "fixed"))
    dropped = gradients(model, row_by_row(model, rows[1:2], [1.0], 4))
    assert_all_close(removed, [a - b for a, b in zip(whole, dropped, strict=True)])


def test_a_row_of_weight_two_counts_as_the_row_twice():
    model, rows = tiny_model(), random_rows(4)
    weights = torch.tensor([1.0, 2.0, 1.0, 1.0])
    twice = rows[[0, 1, 1, 2, 3]]
    found = gradients(model, weighted_loss(model, rows, weights, "fixed"))
    expected = gradients(model, weighted_loss(model, twice, torch.ones(5), "fixed"))
    assert_all_close(found, [gradient * 5 / 4 for gradient in expected])
    kept = gradients(model, weighted_loss(model, rows, weights, "kept"))
    assert_all_close(kept, expected)


@pytest.mark.parametrize("divisor", ["fixed", "kept"])
def test_a_batch_of_removed_rows_only_has_no_loss_and_no_gradient(divisor):
    model, rows = tiny_model(), random_rows(3)
    loss = weighted_loss(model, rows, torch.zeros(3), divisor)
    assert loss.item() == 0
    assert all(not gradient.any() for gradient in gradients(model, loss))


def test_the_learning_rate_warms_up_linearly_and_is_then_kept():
    found = [RECIPE.rate(step) for step in range(6)]
    assert found == pytest.approx([0.0025, 0.005, 0.0075, 0.01, 0.01, 0.01])
    assert replace(RECIPE, warmup_steps=0).rate(0) == 0.01


def test_each_update_uses_its_own_learning_rate():
    model = tiny_model()
    optimizer = make_optimizer(model, RECIPE)
    rates = []
    train(
        model,
        optimizer,
        RECIPE,
        lambda step: (random_rows(2), torch.ones(2)),
        range(2, 5),
        lambda step, loss: rates.append((step, optimizer.param_groups[0]["lr"])),
    )
    assert rates == [(3, pytest.approx(0.0075)), (4, 0.01), (5, 0.01)]


def test_biases_and_norms_have_no_weight_decay():
    """With an all-zero gradient, AdamW moves a parameter by its weight decay alone."""
    model = tiny_model()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    train(
        model,
        make_optimizer(model, RECIPE),
        RECIPE,
        lambda step: (random_rows(2), torch.zeros(2)),
        range(10, 11),
        no_hook,
    )
    kinds = {True: 0, False: 0}
    for name, parameter in model.named_parameters():
        undecayed = name.endswith("bias") or "norm" in name
        factor = 1.0 if undecayed else 1 - 0.01 * 0.1
        torch.testing.assert_close(parameter.detach(), before[name] * factor)
        kinds[undecayed] += 1
    assert kinds == {True: 3 * 8 + 2, False: 3 * 4 + 2}


def test_an_update_equals_adamw_by_hand():
    """First step: clipped gradient g, so m/(1 - b1) = g and v/(1 - b2) = g^2."""
    model, rows = tiny_model(), random_rows(4)
    weights = torch.tensor([1.0, 0.0, 2.0, 1.0])
    slopes = gradients(model, weighted_loss(model, rows, weights, "fixed"))
    norm = torch.stack([g.norm() for g in slopes]).norm()
    assert norm > RECIPE.max_grad_norm, "clipping is not tested"
    expected = []
    for parameter, slope in zip(model.parameters(), slopes, strict=True):
        clipped = slope / (norm + 1e-6) * RECIPE.max_grad_norm
        decay = 0.1 if parameter.ndim == 2 else 0.0
        move = clipped / (clipped.abs() + 1e-8)
        expected.append(parameter.detach() * (1 - 0.0025 * decay) - 0.0025 * move)
    optimizer = make_optimizer(model, RECIPE)
    train(model, optimizer, RECIPE, lambda step: (rows, weights), range(1), no_hook)
    for parameter, value in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), value, rtol=1e-9, atol=1e-12)


def batch_of(step: int) -> tuple[Tensor, Tensor]:
    weights = torch.tensor([1.0, 1.0, 0.0, 2.0])
    return random_rows(4, seed=100 + step), weights


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_halves_with_a_checkpoint_between_equal_one_run(tmp_path: Path, dtype):
    whole = tiny_model().to(dtype)
    first = copy.deepcopy(whole)
    optimizer = make_optimizer(whole, RECIPE)
    train(whole, optimizer, RECIPE, batch_of, range(6), no_hook)

    optimizer = make_optimizer(first, RECIPE)
    train(first, optimizer, RECIPE, batch_of, range(3), no_hook)
    save_checkpoint(tmp_path / "step3", first, optimizer, TrainerState(3, 0.0, {}))
    second = copy.deepcopy(first)
    optimizer = make_optimizer(second, RECIPE)
    load_optimizer(tmp_path / "step3", second, optimizer)
    train(second, optimizer, RECIPE, batch_of, range(3, 6), no_hook)
    for a, b in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)

    forgetful = copy.deepcopy(first)  # negative control: no optimizer state
    optimizer = make_optimizer(forgetful, RECIPE)
    train(forgetful, optimizer, RECIPE, batch_of, range(3, 6), no_hook)
    pairs = zip(whole.parameters(), forgetful.parameters(), strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)


def test_training_lowers_the_loss_and_reports_every_step():
    model, rows = tiny_model(), random_rows(4)
    seen: list[tuple[int, float]] = []
    train(
        model,
        make_optimizer(model, RECIPE),
        RECIPE,
        lambda step: (rows, torch.ones(4)),
        range(20),
        lambda step, loss: seen.append((step, loss)),
    )
    assert [step for step, _ in seen] == list(range(1, 21))
    assert seen[-1][1] < 0.7 * seen[0][1]


@pytest.mark.parametrize("divisor", ["fixed", "kept"])
def test_weights_of_tokens_equal_a_loop_over_tokens(divisor):
    model, rows = tiny_model(), random_rows(4)
    weights = torch.ones(4, rows.shape[1] - 1).double()
    weights[0, 2:5], weights[2], weights[3, 0] = 0, 0, 2
    loss = weighted_loss(model, rows, weights, divisor)
    logits = model(rows[:, :-1]).logits
    tokens = cross_entropy(logits.mT, rows[:, 1:], reduction="none")
    count = weights.sum() if divisor == "kept" else weights.numel()
    expected = (tokens * weights).sum() / count
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    assert_all_close(gradients(model, loss), gradients(model, expected))


def test_the_same_weight_for_all_tokens_of_a_row_is_the_rows():
    model, rows = tiny_model().float(), random_rows(4)
    weights = torch.tensor([1.0, 0.0, 2.0, 1.0])
    each = weights[:, None].expand(-1, rows.shape[1] - 1).contiguous()
    for divisor in ("fixed", "kept"):
        found = [
            gradients(model, weighted_loss(model, rows, own, divisor))
            for own in (weights, each)
        ]
        assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
