"""Heads of every supported architecture: exact against autograd on single rows."""

import pytest
import torch

from headwater.geometry import Geometry, Head
from headwater.gradients.blocks import BLOCKS, block_sides, blocks_of, token_products
from headwater.gradients.heads import gradients_of, split_blocks
from headwater.gradients.passes import PassOptions, run_pass
from headwater.heads.scores import copying_score, head_scores
from headwater.models.sites import attention_patterns, geometry
from strangers import NAMES, SHAPES, block_of, places, row_gradients, stranger
from tiny import random_rows, repeats

each = pytest.mark.parametrize("shape", SHAPES, ids=NAMES)


def found_gradients(model, rows, heads, mode, batch_size):
    pieces = {}
    for _, found in gradients_of(model, rows, heads, mode, PassOptions(batch_size)):
        for head, flat in found.items():
            for name, part in split_blocks(flat, head, mode, geometry(model)).items():
                pieces.setdefault(name, []).append(part)
    return {name: torch.cat(parts) for name, parts in pieces.items()}


@each
@pytest.mark.parametrize("mode", BLOCKS)
def test_gradients_equal_autograd(shape, mode) -> None:
    model, rows = stranger(shape), random_rows(3, 12)
    heads = geometry(model).all_heads()
    some = [heads[-1], heads[1], heads[0]]
    expected = row_gradients(model, shape, rows, heads)
    for asked, size in ((heads, 2), (some, 3)):
        found = found_gradients(model, rows, asked, mode, size)
        assert found.keys() == {str(block) for block in blocks_of(asked, mode)}
        for name, gradient in found.items():
            loop = torch.stack([row[name] for row in expected])
            assert loop.abs().amax(dim=(1, 2)).min() > 1e-4, "a vanishing test case"
            torch.testing.assert_close(gradient, loop, rtol=1e-8, atol=1e-10)


@each
def test_parts_of_tokens_add_up_to_the_gradients_products(shape) -> None:
    model, rows = stranger(shape), random_rows(2, 12)
    sizes = geometry(model)
    heads = [Head(1, sizes.heads - 1), Head(0, 0)]
    blocks = [*blocks_of(heads, "qkvo"), *blocks_of(heads, "qo")]
    expected = row_gradients(model, shape, rows, heads)
    (batch,) = run_pass(model, rows, [0, 1], PassOptions(2))
    sides = block_sides(batch.traces, blocks, sizes)
    for block in blocks:
        vector = torch.randn(block.shape(sizes)).double()
        parts = token_products(sides, block, vector).sum(dim=1)
        loop = torch.stack([(row[str(block)] * vector).sum() for row in expected])
        torch.testing.assert_close(parts, loop, rtol=1e-8, atol=1e-10)


@each
def test_another_layout_is_not_equal(shape) -> None:
    """Heads in another order, or Q, K and V in the order of another architecture."""
    model, rows = stranger(shape), random_rows(1, 12)
    heads = geometry(model).all_heads()
    found = found_gradients(model, rows, heads, "qkvo", 1)
    (right,) = row_gradients(model, shape, rows, heads)
    sizes = geometry(model)
    for block in blocks_of(heads, "qkvo"):
        others = [
            right[f"{other}/{block.name}"]
            for other in heads
            if other.layer == block.head.layer
            and other != block.head
            and (block.name != "v" or group(sizes, other) != group(sizes, block.head))
        ]
        gradient = found[str(block)][0]
        for other in others:
            assert (gradient - other).norm() > 0.1 * gradient.norm()


def group(sizes: Geometry, head: Head) -> int:
    return sizes.group_of(head.index)


@each
def test_what_heads_own_and_groups_share_adds_up_to_the_whole_modules(shape) -> None:
    """K and V once for each group, however many heads read them."""
    model, rows = stranger(shape), random_rows(1, 12)
    sizes = geometry(model)
    layer = [Head(1, index) for index in range(sizes.heads)]
    found = found_gradients(model, rows, layer, "qkvo", 1)
    (_,) = row_gradients(model, shape, rows, layer)  # leaves parameters to be asked
    loss = model(rows[:, :-1], labels=None, use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(loss[0], rows[0, 1:], reduction="sum")
    parts = {head: places(shape, head) for head in layer}
    names = sorted(
        {name for of in parts.values() for b in of.values() for name, *_ in b}
    )
    weights = [model.get_parameter(name) for name in names]
    whole = torch.autograd.grad(loss, weights)
    vectors = {n: torch.randn_like(g) for n, g in zip(names, whole, strict=True)}
    total = sum((g * vectors[n]).sum() for n, g in zip(names, whole, strict=True))
    added, seen = torch.zeros(()).double(), set()
    for head in layer:
        own, d = parts[head], sizes.d_head
        q, k = found[f"{head}/qk"][0].split(d, dim=1)
        added += (q * block_of(own["q"], vectors, False)).sum()
        added += (found[f"{head}/o"][0] * block_of(own["o"], vectors, True)).sum()
        if group(sizes, head) not in seen:
            seen.add(group(sizes, head))
            added += (k * block_of(own["qk"][1:], vectors, False)).sum()
            v = found[f"{head}/v"][0]
            added += (v * block_of(own["v"], vectors, False)).sum()
    assert len(seen) == sizes.groups
    torch.testing.assert_close(added, total, rtol=1e-9, atol=1e-9)


@each
def test_patterns_and_scores_are_those_of_the_models_heads(shape) -> None:
    model, data = stranger(shape).requires_grad_(False), repeats(4)
    model.set_attn_implementation("eager")
    sizes = geometry(model)
    patterns = attention_patterns(model, data.tokens)
    assert len(patterns) == sizes.layers
    for pattern in patterns:
        assert pattern.shape[1] == sizes.heads
        sums = pattern.sum(dim=3)
        torch.testing.assert_close(sums, torch.ones_like(sums), rtol=0, atol=1e-6)
    scores = head_scores(model, data)
    assert all(len(of) == sizes.layers * sizes.heads for of in scores.values())
    head = Head(1, sizes.heads - 1)
    weights = dict(model.named_parameters())
    value = block_of(places(shape, head)["v"], weights, False).detach()
    output = block_of(places(shape, head)["o"], weights, True).detach()
    read = model.get_input_embeddings().weight.detach()
    write = model.get_output_embeddings().weight.detach()
    eigenvalues = torch.linalg.eigvals(read @ value @ output @ write.T)
    expected = eigenvalues.real.sum() / eigenvalues.abs().sum()
    assert copying_score(model, head) == pytest.approx(float(expected), abs=1e-6)
