"""The metagradient against finite differences and autograd, on a toy in float64."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from headwater.errors import HeadwaterError
from headwater.metagradient.backward import Backward, WayBack
from headwater.metagradient.metric import Metric
from headwater.metagradient.products import curvature
from headwater.metagradient.replay import Replay, check_known
from headwater.metagradient.storage import cut, plan_space
from headwater.probes import PROBES
from headwater.training.recipe import Recipe, make_optimizer
from headwater.training.trainer import divisor_of, train
from strangers import NAMES, SHAPES, stranger
from tiny import RowsLoss, random_rows, repeats, tiny_model, unit

START, STEPS, ROWS = 3, range(3, 9), 3
MEASURED = [5, 7, 9]
RECIPE = Recipe(
    learning_rate=0.01,
    warmup_steps=2,
    betas=(0.9, 0.95),
    eps=1e-6,
    weight_decay=0.0,
    max_grad_norm=1e9,
)


def rows_of(step: int):
    """Rows of few tokens; one is not seen before step 7, and others never are."""
    return random_rows(ROWS, 7, seed=step) % (13 if step > 6 else 12)


def weights_of(seed: int = 0):
    """Weights 0, 1 and 2 of all rows of the window, and some between."""
    generator = torch.Generator().manual_seed(seed)
    whole = torch.randint(0, 3, (len(STEPS), ROWS), generator=generator).double()
    whole[::2] += 0.3 * torch.rand(whole[::2].shape, generator=generator).double()
    whole[4] = 1  # of step 7: a token first seen in a row without weight has a jump
    return whole


METRIC = Metric(PROBES["induction"], unit("L1H0"), repeats(4, 5))


class Asked(torch.nn.Module):
    """The same in float64 throughout, from full logits, differentiable twice.

    Patterns, which `METRIC` asks for, are softmaxes in float32 in `transformers`.
    """

    def __init__(self, model=None) -> None:
        super().__init__()
        self.model = model

    def forward(self):
        data = METRIC.data
        logits = self.model(input_ids=data.tokens[:, :-1], use_cache=False).logits
        log = logits.log_softmax(-1).gather(2, data.tokens[:, 1:, None])[..., 0]
        return log[:, int(data.period[0]) :].mean()

    def value_and_gradient(self, model):
        value = Asked(model)()
        found = torch.autograd.grad(value, list(model.parameters()))
        return float(value), torch.cat([x.flatten() for x in found])


@torch.no_grad()
def value_of(model) -> float:
    return float(Asked(model)())


def test_the_metric_is_the_probes_mean_and_its_gradient_that_of_all_weights() -> None:
    model = tiny_model(layers=2, hidden=12, heads=2)
    value, gradient = METRIC.value_and_gradient(model)
    wanted, expected = Asked().value_and_gradient(model)
    assert value == METRIC.value(model) == pytest.approx(wanted, rel=1e-6)
    assert (gradient - expected).norm() < 1e-6 * expected.norm()


class Toy:
    """A model that has made three steps, and the window after them."""

    def __init__(self, recipe: Recipe, measured=MEASURED) -> None:
        self.recipe, self.measured = recipe, measured
        self.model = tiny_model(layers=2, hidden=12, heads=2, spread=0.4)
        self.optimizer = make_optimizer(self.model, recipe)
        ones = torch.ones(ROWS).double()
        self._train(lambda step: (rows_of(step), ones), range(START))

    def _train(self, batch, steps, after=lambda step, loss: None):
        train(self.model, self.optimizer, self.recipe, batch, steps, after)

    def copy(self) -> "Toy":
        other = copy.copy(self)
        other.model = copy.deepcopy(self.model)
        other.optimizer = make_optimizer(other.model, self.recipe)
        other.optimizer.load_state_dict(copy.deepcopy(self.optimizer.state_dict()))
        return other

    def value(self, weights) -> float:
        """F after a training of the window with these weights."""
        return self.value_of_training(batches(weights))

    def value_of_training(self, batch) -> float:
        """F after a training of the window on these batches."""
        toy, found = self.copy(), []

        def after(step, _):
            if step in self.measured:
                found.append(value_of(toy.model))

        toy._train(batch, STEPS, after)
        assert len(found) == len(self.measured)
        return sum(found) / len(found)

    def replay(self, weights) -> Replay:
        return self.replay_of(batches(weights))

    def replay_of(self, batch) -> Replay:
        toy = self.copy()
        return Replay(toy.model, toy.optimizer, self.recipe, batch)


def batches(weights):
    return lambda step: (rows_of(step), weights[step - STEPS.start])


def derivative(toy: Toy, weights, segments=(STEPS,), anew=False) -> WayBack:
    return there_and_back(toy.replay(weights), toy.measured, segments, anew)


def there_and_back(replay: Replay, measured, segments=(STEPS,), anew=False) -> WayBack:
    back = Backward(replay, [Asked()], STEPS, measured, anew)
    states = []
    for segment in segments:
        states.append(replay.state())
        list(replay.steps(segment))
    end = replay.state().weights
    way = WayBack.begin(end, 1, len(STEPS), ROWS, len(measured))
    for state, segment in reversed([*zip(states, segments, strict=True)]):
        replay.put(state)
        steps = list(replay.steps(segment))
        way = back.through(steps, replay.state().weights, way)
    return way


def clipping(toy: Toy, weights) -> str:
    steps = list(toy.replay(weights).steps(STEPS))
    clipped = sum(step.update.norm > toy.recipe.max_grad_norm for step in steps)
    return {0: "never", len(steps): "always"}.get(clipped, "sometimes")


SOMETIMES = {"max_grad_norm": 2.0}
SETTINGS = {
    "never clipped": ({}, "never"),
    "always clipped": ({"max_grad_norm": 0.3}, "always"),
    "sometimes clipped": (SOMETIMES, "sometimes"),
    "decay": ({"weight_decay": 0.3, **SOMETIMES}, "sometimes"),
    "warm-up in the window": ({"warmup_steps": 7}, "never"),
    "cosine": ({"schedule": "cosine", "decay_steps": 20, "warmup_steps": 5}, "never"),
    "divisor kept": ({"divisor": "kept", **SOMETIMES}, "sometimes"),
    "small eps": ({"eps": 1e-8}, "never"),
    "micro-batches": ({"micro_batch_size": 2, **SOMETIMES}, "sometimes"),
}
each = pytest.mark.parametrize(("changes", "clipped"), SETTINGS.values(), ids=SETTINGS)
# Together, since every row's difference takes two trainings.
TOGETHER = {
    "never clipped, warm-up, decay": (
        "warm-up in the window",
        "decay",
        "never clipped",
    ),
    "always clipped, small eps": ("small eps", "always clipped"),
    "sometimes clipped, decay, micro-batches": ("decay", "micro-batches"),
    "sometimes clipped, divisor kept": ("sometimes clipped", "divisor kept"),
}


@pytest.mark.parametrize("names", TOGETHER.values(), ids=TOGETHER)
def test_every_rows_derivative_is_the_central_difference(names) -> None:
    changes: dict = {"max_grad_norm": 1e9}
    for name in names:
        changes |= SETTINGS[name][0]
    if "never clipped" in names:
        changes["max_grad_norm"] = 1e9
    toy, weights = Toy(replace(RECIPE, **changes)), weights_of()
    assert clipping(toy, weights) == SETTINGS[names[-1]][1]
    found = derivative(toy, weights).scores[0].view_as(weights)
    step, expected = 1e-5, torch.zeros_like(weights)
    for place in torch.cartesian_prod(*map(torch.arange, weights.shape)).tolist():
        moved = torch.zeros_like(weights)
        moved[tuple(place)] = step
        ends = (toy.value(weights + moved), toy.value(weights - moved))
        expected[tuple(place)] = (ends[0] - ends[1]) / (2 * step)
    size = expected.abs().max()
    assert size > 1e-4
    # All rows; the difference's own error is about 1e-7 of the largest.
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6 * float(size))


def unrolled(toy: Toy, weights):
    """dF / d weights by autograd through the whole training, written out."""
    recipe, (b1, b2) = toy.recipe, toy.recipe.betas
    loss, state = RowsLoss(toy.model), toy.optimizer.state
    leaves = weights.clone().requires_grad_()
    names = [f"model.{name}" for name, _ in toy.model.named_parameters()]
    own = list(toy.model.parameters())
    theta = [p.detach().clone().requires_grad_() for p in own]
    m, v = ([state[p][k] for p in own] for k in ("exp_avg", "exp_avg_sq"))
    total = 0
    for step in STEPS:
        rows, w = rows_of(step), leaves[step - STEPS.start]
        count = divisor_of(w, recipe.divisor) * (rows.shape[1] - 1)
        found = functional_call(loss, dict(zip(names, theta, strict=True)), (rows, w))
        g = torch.autograd.grad(found * ROWS / count, theta, create_graph=True)
        norm = torch.stack([x.norm() for x in g]).norm()
        scale = torch.clamp(recipe.max_grad_norm / (norm + 1e-6), max=1.0)
        rate, t = recipe.rate(step), step + 1
        for i, (p, x) in enumerate(zip(own, g, strict=True)):
            m[i] = b1 * m[i] + (1 - b1) * scale * x
            v[i] = b2 * v[i] + (1 - b2) * (scale * x) ** 2
            grown = v[i] / (1 - b2**t)
            root = torch.where(grown > 0, grown, 1.0).sqrt() * (grown > 0)
            decay = recipe.weight_decay * (p.ndim > 1)
            moved = m[i] / (1 - b1**t) / (root + recipe.eps)
            theta[i] = (1 - rate * decay) * theta[i] - rate * moved
        if t in toy.measured:
            by_name = dict(zip(names, theta, strict=True))
            total = total + functional_call(Asked(toy.model), by_name, ())
    return torch.autograd.grad(total / len(toy.measured), leaves)[0]


@each
def test_it_is_autograd_through_the_unrolled_training(changes, clipped) -> None:
    toy, weights = Toy(replace(RECIPE, **changes)), weights_of()
    assert clipping(toy, weights) == clipped
    found = derivative(toy, weights).scores[0].view_as(weights)
    with sdpa_kernel(SDPBackend.MATH):
        expected = unrolled(toy, weights)
    assert ((found - expected).norm() / expected.norm()) < 1e-10


def test_at_the_end_alone_it_is_autograd_as_well() -> None:
    toy, weights = Toy(RECIPE, [STEPS.stop]), weights_of(2)
    found = derivative(toy, weights)
    with sdpa_kernel(SDPBackend.MATH):
        expected = unrolled(toy, weights)
    error = (found.scores[0].view_as(weights) - expected).norm() / expected.norm()
    assert error < 1e-10
    assert found.values[0].tolist() == [pytest.approx(toy.value(weights), rel=1e-12)]


@pytest.mark.parametrize("length", [1, 4, 6])
def test_segments_change_no_bit(length) -> None:
    toy, weights = Toy(replace(RECIPE, max_grad_norm=2.0)), weights_of()
    pieces = [STEPS[i : i + length] for i in range(0, len(STEPS), length)]
    whole, cut = derivative(toy, weights), derivative(toy, weights, pieces)
    for name, value in whole.tensors().items():
        assert torch.equal(value, cut.tensors()[name]), name


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kept", [False, True])
def test_replayed_steps_are_the_trainers_bit_by_bit(precision, kept, tmp_path) -> None:
    from safetensors.torch import save

    recipe = replace(RECIPE, max_grad_norm=2.0, precision=precision, weight_decay=0.1)
    toy, weights = Toy(RECIPE), weights_of()
    toy.model, toy.recipe = toy.model.float(), recipe
    toy.optimizer = make_optimizer(toy.model, recipe)
    toy._train(lambda step: (rows_of(step), torch.ones(ROWS)), range(START))
    replay = toy.replay(weights)
    begin = replay.state()
    if kept:
        gradients = torch.stack([s.update.gradient for s in replay.steps(STEPS)])
        replay.put(begin)
        found = list(replay.steps(STEPS, gradients))
    else:
        found = list(replay.steps(STEPS))
    bytes_of = []

    def after(step, _):
        bytes_of.append(save({"w": flat(toy.model)}))

    toy._train(batches(weights), STEPS, after)
    states = [*(s.weights for s in found[1:]), replay.state().weights]
    assert [save({"w": w}) for w in states] == bytes_of
    moments = [toy.optimizer.state[p]["exp_avg_sq"] for p in toy.model.parameters()]
    assert torch.equal(torch.cat([x.flatten() for x in moments]), replay.state().second)


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_products_with_the_hessian_are_autograds(shape, monkeypatch) -> None:
    monkeypatch.setattr("headwater.metagradient.attention.BLOCK", 4)
    model, rows = stranger(shape).requires_grad_(True), random_rows(3)
    weights = torch.tensor([1.0, 0.0, 2.0]).double()
    own = list(model.parameters())
    size = sum(p.numel() for p in own)
    u = torch.randn(size, generator=torch.Generator().manual_seed(0)).double()
    leaves = weights.clone().requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):
        value = RowsLoss(model)(rows, leaves) / (rows.shape[1] - 1)
        g = torch.autograd.grad(value, own, create_graph=True)
        slope = torch.cat([x.flatten() for x in g]) @ u
        *product, by_weight = torch.autograd.grad(slope, [*own, leaves])
    found = curvature(model, RECIPE, rows, weights, u)
    expected = torch.cat([x.flatten() for x in product])
    # RMSNorm of `transformers` and its gradient are in float32, whatever the weights.
    error = (found.product - expected).norm() / expected.norm()
    assert error < (1e-12 if shape[0] in ("gpt_neox", "gpt2") else 1e-5)
    torch.testing.assert_close(
        found.scores(weights, "fixed"), by_weight, rtol=1e-4, atol=1e-5
    )


def test_unknown_updates_are_refused() -> None:
    model = tiny_model()
    for optimizer, name in (
        (torch.optim.SGD(model.parameters(), lr=0.1), "SGD"),
        (torch.optim.AdamW(model.parameters(), amsgrad=True), "AdamW amsgrad"),
    ):
        with pytest.raises(HeadwaterError, match=f"the optimizer {name} cannot"):
            check_known(optimizer, RECIPE)
    with pytest.raises(HeadwaterError, match=r"training\.precision: fp16"):
        check_known(make_optimizer(model, RECIPE), replace(RECIPE, precision="fp16"))


def test_space_saves_time() -> None:
    steps, size, checkpoints = range(100, 1100), 1_000_000, range(100, 1101, 100)
    plans = [plan_space(steps, checkpoints, size, 2, gb * 1e9) for gb in (1, 1.5, 2, 4)]
    times = [plan.trained for plan in plans]
    assert times == sorted(times, reverse=True)
    assert 2 > times[0] > times[-1] == 1
    assert not plans[-1].there
    alone = [plan_space(steps, [100], size, 2, gb * 1e9) for gb in (1.2, 2, 5, 20)]
    for plan in plans + alone:
        assert [s for part in plan.segments for s in part] == list(steps)
    assert [plan.trained for plan in alone][::3] == [pytest.approx(1.95, abs=0.05), 1]
    assert alone[2].kept
    with pytest.raises(
        HeadwaterError, match=r"space_gb: 0\.1 GB .* set it to 0\.\d+ or"
    ):
        plan_space(steps, checkpoints, size, 2, 0.1e9)


def test_segments_go_over_no_checkpoint() -> None:
    plan = cut(range(10, 30), [10, 16, 20, 40], 4)
    assert [(s.start, s.stop) for s in plan.segments] == [
        *((10, 14), (14, 16), (16, 20), (20, 24), (24, 28), (28, 30)),
    ]
    assert plan.there == (0, 3, 4)
    assert cut(range(10, 30), [10], 20).there == ()
