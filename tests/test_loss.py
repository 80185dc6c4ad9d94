"""Token losses and sampled labels against torch's own."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from headwater import cross_entropy as loss
from headwater.cross_entropy import token_losses
from headwater.models.sites import final_hidden
from tiny import random_rows, sample_labels, tiny_model


def random_case(batch: int = 3, length: int = 7, width: int = 5, vocabulary: int = 11):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(batch, length, width, generator=generator).double()
    unembedding = torch.randn(vocabulary, width, generator=generator).double()
    labels = torch.randint(0, vocabulary, (batch, length), generator=generator)
    return hidden, unembedding, labels


@pytest.mark.parametrize("block", [1, 4, 20, 21, 1024])
def test_token_losses_and_their_gradient_equal_cross_entropy(monkeypatch, block):
    """21 tokens: blocks of 4 and 20 leave a ragged last block."""
    monkeypatch.setattr(loss, "CHUNK_TOKENS", block)
    hidden, unembedding, labels = random_case()
    hidden.requires_grad_(True)
    weights = torch.linspace(-1, 2, labels.numel()).double().view(labels.shape)
    expected = cross_entropy(
        (hidden @ unembedding.T).flatten(0, 1), labels.flatten(), reduction="none"
    ).view(labels.shape)
    (slope,) = torch.autograd.grad((expected * weights).sum(), hidden)
    found = token_losses(hidden, unembedding, labels)
    (found_slope,) = torch.autograd.grad((found * weights).sum(), hidden)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found_slope, slope, rtol=1e-12, atol=1e-12)


def test_token_losses_pass_gradcheck():
    hidden, unembedding, labels = random_case(batch=1, length=3)
    hidden.requires_grad_(True)
    assert torch.autograd.gradcheck(
        lambda h: token_losses(h, unembedding, labels), hidden
    )


def test_token_losses_survive_large_scores():
    hidden, unembedding, labels = random_case()
    losses = token_losses(hidden * 1e4, unembedding, labels)
    assert losses.isfinite().all()
    assert losses.min() >= 0


def test_token_losses_of_a_model_equal_its_logits(monkeypatch):
    monkeypatch.setattr(loss, "CHUNK_TOKENS", 7)
    model, rows = tiny_model(), random_rows(4)
    logits = model(input_ids=rows[:, :-1]).logits
    expected = cross_entropy(logits.mT, rows[:, 1:], reduction="none")
    hidden = final_hidden(model, rows[:, :-1])
    unembedding = model.get_output_embeddings().weight
    found = token_losses(hidden, unembedding, rows[:, 1:])
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def test_sampled_labels_follow_the_softmax():
    """Pearson's statistic of 20,000 draws stays under its 99.9 % quantile."""
    hidden, unembedding, _ = random_case(batch=1, length=1)
    unembedding *= 0.5
    count = 20_000
    generator = torch.Generator().manual_seed(5)
    uniforms = torch.rand(1, count, generator=generator, dtype=torch.float64)
    drawn = sample_labels(hidden.expand(1, count, -1), unembedding, uniforms)
    expected = (hidden[0, 0] @ unembedding.T).softmax(dim=0) * count
    observed = torch.bincount(drawn[0], minlength=11)
    assert expected.min() > 5, "too rare for the statistic"
    assert float(((observed - expected).square() / expected).sum()) < 29.6  # 10 df
    shifted = expected.roll(1)  # negative control: labels off by one
    assert float(((observed - shifted).square() / shifted).sum()) > 1000


def test_sampled_labels_invert_the_cumulative_distribution():
    hidden = torch.ones(1, 5, 1)
    unembedding = torch.tensor([0.2, 0.3, 0.5]).log()[:, None]
    uniforms = torch.tensor([[0.0, 0.19, 0.21, 0.49, 0.9999]])
    drawn = sample_labels(hidden, unembedding, uniforms)
    assert drawn.tolist() == [[0, 0, 1, 1, 2]]


@pytest.mark.parametrize("block", [1, 5, 1024])
def test_sampled_labels_do_not_depend_on_batch_or_block(monkeypatch, block):
    monkeypatch.setattr(loss, "CHUNK_TOKENS", block)
    hidden, unembedding, _ = random_case(batch=6)
    generator = torch.Generator().manual_seed(6)
    uniforms = torch.rand(6, 7, generator=generator)
    whole = sample_labels(hidden, unembedding, uniforms)
    parts = [
        sample_labels(hidden[i : i + size], unembedding, uniforms[i : i + size])
        for i, size in ((0, 1), (1, 3), (4, 2))
    ]
    assert torch.equal(whole, torch.cat(parts))
    assert len(whole.unique()) > 3
