"""The chunked training loss against full logits in float64."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from headwater import cross_entropy as module
from headwater.cross_entropy import weighted_token_loss
from tiny import random_rows, tiny_model, weighted_loss

ROWS, LENGTH, WIDTH, VOCABULARY = 3, 7, 5, 40


def inputs(dtype=torch.float64, spread: float = 1.0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(ROWS, LENGTH, WIDTH, generator=generator).to(dtype) * spread
    table = torch.randn(VOCABULARY, WIDTH, generator=generator).to(dtype)
    labels = torch.randint(0, VOCABULARY, (ROWS, LENGTH), generator=generator)
    weights = torch.tensor([1.0, 0.0, 2.0])
    return hidden.requires_grad_(), table.requires_grad_(), labels, weights


def full(hidden: Tensor, table: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """The slow twin: all logits at once, and autograd."""
    logits = (hidden @ table.T).flatten(0, 1)
    losses = cross_entropy(logits, labels.flatten(), reduction="none")
    return (losses.view(labels.shape).sum(dim=1) * weights).sum()


def values(loss: Tensor, *leaves: Tensor) -> list[Tensor]:
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("chunk", [1, 4, 7, 20, 21, 1000, None])
def test_loss_and_gradients_equal_those_of_full_logits(chunk):
    hidden, table, labels, weights = inputs()
    found = weighted_token_loss(hidden, table, labels, weights, chunk_tokens=chunk)
    expected = full(hidden, table, labels, weights)
    pairs = zip(
        values(3.5 * found, hidden, table),
        values(3.5 * expected, hidden, table),
        strict=True,
    )
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)


def test_gradients_pass_a_finite_difference_check():
    hidden, table, labels, weights = inputs()
    torch.autograd.gradcheck(
        lambda h, w: weighted_token_loss(h, w, labels, weights, chunk_tokens=6),
        (hidden, table),
    )


def test_only_one_chunk_of_logits_is_alive(monkeypatch):
    widths = []
    product = module._product

    def watch(left: Tensor, right: Tensor, out: Tensor) -> None:
        if out.shape[1] == VOCABULARY:
            widths.append((len(out), out.untyped_storage().data_ptr()))
        product(left, right, out)

    monkeypatch.setattr(module, "_product", watch)
    hidden, table, labels, weights = inputs()
    weighted_token_loss(hidden, table, labels, weights, chunk_tokens=8)
    assert [tokens for tokens, _ in widths] == [7, 7, 7]
    assert len({place for _, place in widths}) == 1, "a new buffer for each chunk"


def test_default_chunk_shrinks_with_the_vocabulary(monkeypatch):
    monkeypatch.setattr(module, "CHUNK_NUMBERS", 4 * VOCABULARY + 1)
    sizes = []
    softmax = torch.softmax
    monkeypatch.setattr(
        torch, "softmax", lambda x, *a, **k: sizes.append(len(x)) or softmax(x, *a, **k)
    )
    weighted_token_loss(*inputs())
    assert sizes == [4, 4, 4, 4, 4, 1]


def test_an_underflowing_probability_is_finite_and_its_gradient_exact():
    hidden, table, labels, weights = inputs(torch.float32, spread=300.0)
    doubles = [t.detach().double().requires_grad_() for t in (hidden, table)]
    found = values(weighted_token_loss(hidden, table, labels, weights), hidden, table)
    expected = values(full(*doubles, labels, weights), *doubles)
    assert torch.isfinite(found[0])
    assert found[0] < expected[0]
    for one, other in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-3, atol=1e-2)


def test_a_nan_is_not_hidden():
    hidden, table, labels, weights = inputs()
    with torch.no_grad():
        hidden[0, 0, 0] = float("nan")
    assert weighted_token_loss(hidden, table, labels, weights).isnan()


@pytest.mark.parametrize("compute", [torch.bfloat16, torch.float16])
def test_lower_precision_stays_near(compute):
    hidden, table, labels, weights = inputs(torch.float32)
    low = weighted_token_loss(hidden, table, labels, weights, compute, chunk_tokens=6)
    exact = full(hidden, table, labels, weights)
    bound = 8 * torch.finfo(compute).eps
    pairs = zip(values(low, hidden, table), values(exact, hidden, table), strict=True)
    for found, expected in pairs:
        assert found.dtype == torch.float32
        assert (found - expected).norm() < bound * expected.norm()
        assert not torch.equal(found, expected), "not computed in lower precision"


@pytest.mark.parametrize("chunk_numbers", [31, 400])
def test_a_models_loss_does_not_depend_on_the_chunks(monkeypatch, chunk_numbers):
    model, rows = tiny_model(), random_rows(4)
    weights = torch.tensor([1.0, 0.0, 1.0, 2.0])
    parameters = list(model.parameters())
    whole = values(weighted_loss(model, rows, weights, "fixed"), *parameters)
    monkeypatch.setattr(module, "CHUNK_NUMBERS", chunk_numbers)
    parts = values(weighted_loss(model, rows, weights, "fixed"), *parameters)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-14)
