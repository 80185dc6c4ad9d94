"""Pythia's recipe against references written here from the formulas, in float64."""

import copy
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

from headwater.checkpoints.files import (
    OPTIMIZER_FILE,
    TrainerState,
    load_optimizer,
    save_checkpoint,
)
from headwater.checkpoints.needs import parameters, training_mb, training_minutes
from headwater.training.initial import initialise
from headwater.training.recipe import Recipe, cosine_rate, make_optimizer, make_scaler
from headwater.training.run import new_model
from headwater.training.trainer import add_gradient, train
from test_corpus_support import small_config
from tiny import random_rows, row_loss, tiny_model, weighted_loss

TRAINING = {"steps": 1600, "batch_size": 32}
PYTHIA = Recipe(
    learning_rate=1e-3,
    min_learning_rate=1e-4,
    warmup_steps=1430,
    schedule="cosine",
    decay_steps=143_000,
    betas=(0.9, 0.95),
    eps=1e-8,
    weight_decay=0.1,
    max_grad_norm=1.0,
)


def steps_of(model, recipe: Recipe, rows, weights, steps: range, scaler=None):
    """Train; the optimizer and the losses."""
    optimizer, losses = make_optimizer(model, recipe), []
    train(
        model,
        optimizer,
        recipe,
        lambda step: (rows, weights),
        steps,
        lambda _, loss: losses.append(loss),
        scaler,
    )
    return optimizer, losses


# The learning rate


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 0.0),  # the first update of Pythia changes nothing
        (1, 1e-3 / 1430),
        (715, 5e-4),
        (1000, 1e-3 * 1000 / 1430),
        (1430, 1e-3),
        (1431, 5e-4 * (math.cos(math.pi / 143_000) + 1)),
        (72_930, 5e-4),  # half of the period after the warm-up
        (141_570, 1e-4),  # the cosine is below the floor here
        (142_999, 1e-4),
    ],
)
def test_the_rate_is_that_of_gpt_neox(step, rate):
    assert PYTHIA.rate(step) == pytest.approx(rate, rel=1e-9, abs=1e-18)


def test_the_cosine_is_of_the_whole_training_and_is_never_restarted():
    """Without a floor: steps after (end - warmup) keep the rate of that step."""
    rates = [cosine_rate(step, 1.0, 0.0, 10, 100) for step in range(101)]
    assert rates[:11] == pytest.approx([step / 10 for step in range(11)])
    assert rates[90] == pytest.approx((math.cos(math.pi * 0.8) + 1) / 2)
    assert rates[91:] == [rates[90]] * 10
    assert sorted(rates[10:91], reverse=True) == rates[10:91]
    assert cosine_rate(0, 1.0, 0.0, 0, 100) == 1.0


# One step, by hand


def reference_gradient(model, rows: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """Of the mean over all tokens, row by row by plain autograd."""
    total = sum(
        w * row_loss(model, row, row[1:]) for w, row in zip(weights, rows, strict=True)
    ) / (len(rows) * (rows.shape[1] - 1))
    grads = torch.autograd.grad(total, list(model.parameters()))
    names = [name for name, _ in model.named_parameters()]
    return dict(zip(names, grads, strict=True))


class ReferenceAdam:
    """AdamW from its formulas, by parameter name.

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;
    w <- w - rate * (decay w + (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)).
    """

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self.weights = weights
        self.first = {name: torch.zeros_like(w) for name, w in weights.items()}
        self.second = {name: torch.zeros_like(w) for name, w in weights.items()}
        self.count = 0

    def step(self, gradient: dict[str, Tensor], rate: float) -> None:
        self.count += 1
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradient.values()))
        shrink = min(1.0, 1.0 / (norm + 1e-6))
        for name, weight in self.weights.items():
            own = gradient[name] * shrink
            self.first[name] = 0.9 * self.first[name] + 0.1 * own
            self.second[name] = 0.95 * self.second[name] + 0.05 * own**2
            mean = self.first[name] / (1 - 0.9**self.count)
            spread = (self.second[name] / (1 - 0.95**self.count)).sqrt()
            undecayed = name.endswith("bias") or "norm" in name
            decay = 0.0 if undecayed else 0.1
            move = decay * weight + mean / (spread + 1e-8)
            self.weights[name] = weight - rate * move


@pytest.mark.parametrize("micro", [None, 1, 3])
def test_updates_equal_a_reference_implementation(micro):
    """Three updates of Pythia's recipe late in its warm-up, whole or accumulated."""
    model, rows = tiny_model(), random_rows(5)
    weights = torch.tensor([1.0, 0.0, 1.0, 2.0, 1.0])
    twin = copy.deepcopy(model)
    reference = ReferenceAdam({n: p.detach() for n, p in twin.named_parameters()})
    for step in range(1000, 1003):
        gradient = reference_gradient(twin, rows, weights)
        reference.step(gradient, 1e-3 * step / 1430)
        with torch.no_grad():
            for name, parameter in twin.named_parameters():
                parameter.copy_(reference.weights[name])
    recipe = replace(PYTHIA, micro_batch_size=micro)
    steps_of(model, recipe, rows, weights, range(1000, 1003))
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(
            parameter.detach(), reference.weights[name], rtol=1e-9, atol=1e-11
        )


# Accumulation


@pytest.mark.parametrize("divisor", ["fixed", "kept"])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_micro_batches_add_up_to_the_batch(divisor, size):
    rows, weights = random_rows(4), torch.tensor([1.0, 0.0, 0.5, 2.0])
    found = {}
    for micro in (None, size):
        model = tiny_model()
        recipe = replace(PYTHIA, divisor=divisor, micro_batch_size=micro)
        scaler = make_scaler(recipe, model.device)
        loss = add_gradient(model, recipe, rows, weights, scaler)
        found[micro] = [loss, *(p.grad for p in model.parameters())]
    expected = weighted_loss(tiny_model(), rows, weights, divisor)
    torch.testing.assert_close(found[size][0], expected.detach())
    for whole, parts in zip(found[None], found[size], strict=True):
        torch.testing.assert_close(whole, parts, rtol=1e-11, atol=1e-14)


# Precision


def small_model():
    """A model in float32 whose training is tame."""
    return tiny_model(spread=0.1).float()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_trains_nearly_alike_with_float32_weights(precision):
    rows, weights = random_rows(8), torch.ones(8)
    recipe = replace(PYTHIA, precision=precision)
    exact, low = small_model(), small_model()
    twin, expected = steps_of(exact, PYTHIA, rows, weights, range(1000, 1020))
    optimizer, losses = steps_of(low, recipe, rows, weights, range(1000, 1020))
    assert losses == pytest.approx(expected, rel=0.01)
    assert losses != expected
    assert losses[-1] < losses[0] - 0.1
    for parameter, other in zip(low.parameters(), exact.parameters(), strict=True):
        mean = optimizer.state[parameter]["exp_avg"]
        assert parameter.dtype == mean.dtype == torch.float32
        # Of the gradient itself: clipped after the loss scale is taken out.
        wanted = twin.state[other]["exp_avg"]
        assert mean.norm().item() == pytest.approx(wanted.norm().item(), rel=0.2)


def test_an_overflow_leaves_the_update_out_and_halves_the_scale():
    recipe = replace(PYTHIA, precision="fp16")
    model = small_model()
    before = [p.detach().clone() for p in model.parameters()]
    scaler = make_scaler(recipe, model.device)
    assert scaler.get_scale() == 4096
    scaler.load_state_dict({**scaler.state_dict(), "scale": 2.0**40})
    rows, weights = random_rows(4), torch.ones(4)
    _, losses = steps_of(model, recipe, rows, weights, range(1000, 1001), scaler)
    assert all(math.isfinite(loss) for loss in losses)
    assert scaler.get_scale() == 2.0**39
    for old, new in zip(before, model.parameters(), strict=True):
        assert torch.equal(old, new)
    scaler.load_state_dict({**scaler.state_dict(), "scale": 4096.0})
    steps_of(model, recipe, rows, weights, range(1000, 1001), scaler)
    assert scaler.get_scale() == 4096
    assert not torch.equal(before[0], next(model.parameters()))


def test_a_half_precision_run_resumes_with_its_loss_scale(tmp_path: Path):
    recipe = replace(PYTHIA, precision="fp16", micro_batch_size=2)
    rows, weights = random_rows(4), torch.ones(4)
    whole, scale = small_model(), {"scale": 2.0**40}  # overflows in the first steps
    scaler = make_scaler(recipe, whole.device)
    scaler.load_state_dict({**scaler.state_dict(), **scale})
    optimizer, _ = steps_of(whole, recipe, rows, weights, range(1000, 1015), scaler)
    folder = tmp_path / "step1015"
    state = TrainerState(1015, None, {})
    save_checkpoint(folder, whole, optimizer, state, scaler)
    resumed = copy.deepcopy(whole)

    def finish(model, optimizer, scaler) -> float:
        train(
            model,
            optimizer,
            recipe,
            lambda step: (random_rows(4, seed=step), weights),
            range(1015, 1025),
            lambda *_: None,
            scaler,
        )
        return scaler.get_scale()

    end = finish(whole, optimizer, scaler)
    fresh = make_optimizer(resumed, recipe)
    loaded = make_scaler(recipe, resumed.device)
    load_optimizer(folder, resumed, fresh, loaded)
    assert 4096 < loaded.get_scale() < 2.0**40
    assert finish(resumed, fresh, loaded) == end
    assert loaded.state_dict() == scaler.state_dict()
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_full_precision_stores_no_loss_scale(tmp_path: Path):
    from safetensors import safe_open

    model = small_model()
    optimizer, _ = steps_of(model, PYTHIA, random_rows(2), torch.ones(2), range(3, 4))
    scaler = make_scaler(PYTHIA, model.device)
    save_checkpoint(tmp_path / "s", model, optimizer, TrainerState(4, 1.0, {}), scaler)
    with safe_open(tmp_path / "s" / OPTIMIZER_FILE, "pt") as file:
        assert "scale" not in file.keys()  # noqa: SIM118 (no mapping)


# Initial weights


def pythia_like(**model) -> dict:
    shape = {
        "hidden_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 256,
        "rotary_pct": 0.25,
        "vocab_size": 512,
    }
    return small_config(model={**shape, **model})


def test_initial_weights_are_those_of_gpt_neox():
    model = new_model(pythia_like(init="neox"), 500, seed=1)
    small, wang = math.sqrt(2 / (5 * 64)), 2 / 4 / math.sqrt(64)
    kinds = {"small": 0, "wang": 0}
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        elif parameter.ndim == 1:
            assert (parameter == 1).all()
        else:
            into = "attention.dense." in name or "dense_4h_to_h" in name
            kinds["wang" if into else "small"] += 1
            wanted = wang if into else small
            assert parameter.std().item() == pytest.approx(wanted, rel=0.05), name
            assert abs(parameter.mean().item()) < 0.05 * wanted, name
    assert kinds == {"small": 2 * 4 + 2, "wang": 2 * 4}


def test_initial_weights_follow_their_seed():
    one, same, other = (new_model(pythia_like(init="neox"), 9, s) for s in (1, 1, 2))
    weight = one.lm_head.weight
    assert torch.equal(weight, same.lm_head.weight)
    assert not torch.equal(weight, other.lm_head.weight)
    plain = new_model(pythia_like(init="normal", initializer_range=0.5), 9, 1)
    assert plain.lm_head.weight.std().item() == pytest.approx(0.5, rel=0.05)
    initialise(plain, 1)
    assert torch.equal(weight, plain.lm_head.weight)


# What a job asks for


@pytest.mark.parametrize(
    ("size", "million", "hours"), [("14m", 14, 6), ("70m", 70, 9), ("160m", 162, 13)]
)
def test_a_job_asks_for_what_the_model_needs(size, million, hours):
    path = Path(__file__).parents[1] / f"config/pythia-{size}.yaml"
    config = yaml.safe_load(path.read_text())
    assert parameters(config) / 1e6 == pytest.approx(million, rel=0.02)
    assert training_mb(config) == pytest.approx(4000 + 24 * million, rel=0.02)
    assert training_minutes(config) / 60 == pytest.approx(hours, rel=0.15)


def test_a_small_job_asks_for_little():
    assert training_minutes(pythia_like() | {"training": TRAINING}) == 240
    assert training_mb(pythia_like()) < 4010
