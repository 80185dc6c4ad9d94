"""Per-row gradients, projections: equal to autograd over single rows."""

import numpy as np
import pytest
import torch
from torch import Tensor

from headwater.curvature.ekfac import Factors
from headwater.geometry import Geometry, Head
from headwater.gradients.blocks import (
    Block,
    blocks_of,
    direct_scores,
    rotate,
    row_gradients,
)
from headwater.gradients.coordinates import choose_coordinates, project
from headwater.gradients.passes import row_uniforms, sides_of_rows
from headwater.neox import geometry
from tiny import (
    attention_weights,
    head_slices,
    loop_gradients,
    random_rows,
    row_loss,
    tiny_model,
)


def batched_gradients(
    model, rows: Tensor, blocks: list[Block], batch_size: int
) -> dict[str, Tensor]:
    pieces: dict[str, list[Tensor]] = {str(block): [] for block in blocks}
    for _, sides, _ in sides_of_rows(model, rows, blocks, batch_size):
        for block in blocks:
            pieces[str(block)].append(row_gradients(sides, block))
    return {name: torch.cat(parts) for name, parts in pieces.items()}


@pytest.mark.parametrize("rotary_pct", [0.25, 0.5])
@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_gradients_of_every_head_and_block_equal_autograd(rotary_pct, batch_size):
    model = tiny_model(rotary_pct=rotary_pct)
    rows = random_rows(5)
    heads = geometry(model).all_heads()
    assert len(heads) == 9
    blocks = blocks_of(heads, "qkvo")
    found = batched_gradients(model, rows, blocks, batch_size)
    expected = loop_gradients(model, rows, rows[:, 1:], heads)
    for block in blocks:
        loop = torch.stack([row[block.head][block.name] for row in expected])
        assert loop.shape[1:] == block.shape(geometry(model))
        assert loop.abs().amax(dim=(1, 2)).min() > 1e-3, "a vanishing test case"
        torch.testing.assert_close(found[str(block)], loop, rtol=1e-9, atol=1e-11)


def test_gradients_do_not_equal_autograd_under_the_wrong_weight_layout():
    """Negative control: slices of a (q, k, v)-major layout must not match."""
    model = tiny_model()
    rows = random_rows(1)
    head = Head(1, 1)
    blocks = blocks_of([head], "qkvo")
    found = batched_gradients(model, rows, blocks, 1)
    model.requires_grad_(True)
    loss = row_loss(model, rows[0], rows[0, 1:])
    qkv, dense = torch.autograd.grad(loss, attention_weights(model, 1))
    width, hidden = 8, 24
    swapped = qkv.view(3, 3, width, hidden).transpose(0, 1).reshape(3 * hidden, hidden)
    right = head_slices(model, head, qkv, dense)
    wrong = head_slices(model, head, swapped, dense)
    for name in ("qk", "v"):
        gradient = found[f"{head}/{name}"][0]
        torch.testing.assert_close(gradient, right[name])
        assert (gradient - wrong[name]).norm() > 0.5 * gradient.norm()


def test_layers_below_the_hooked_one_and_head_order_do_not_matter():
    model = tiny_model()
    rows = random_rows(4)
    every = batched_gradients(
        model, rows, blocks_of(geometry(model).all_heads(), "qkvo"), 4
    )
    some = batched_gradients(
        model, rows, blocks_of([Head(2, 1), Head(1, 2), Head(1, 0)], "qkvo"), 3
    )
    for name, gradient in some.items():
        torch.testing.assert_close(gradient, every[name], rtol=1e-10, atol=1e-12)


def test_losses_of_a_pass_are_summed_next_token_losses():
    model = tiny_model()
    rows = random_rows(5)
    blocks = blocks_of([Head(2, 0)], "qk")
    parts = [losses for _, _, losses in sides_of_rows(model, rows, blocks, 2)]
    expected = [row_loss(model, row, row[1:]).item() for row in rows]
    np.testing.assert_allclose(torch.cat(parts).numpy(), expected, rtol=1e-12)


def test_slices_of_a_pass_cover_the_rows_in_order():
    model = tiny_model(layers=1)
    rows = random_rows(5)
    blocks = blocks_of([Head(0, 0)], "qk")
    slices = [which for which, _, _ in sides_of_rows(model, rows, blocks, 2)]
    assert [list(range(5))[which] for which in slices] == [[0, 1], [2, 3], [4]]


def test_hooks_are_gone_after_a_pass():
    model = tiny_model()
    blocks = blocks_of([Head(1, 0)], "qkvo")
    for _ in sides_of_rows(model, random_rows(2), blocks, 1):
        pass
    assert not any(module._forward_hooks for module in model.modules())


def test_qk_mode_is_the_first_block_of_qkvo_mode():
    heads = [Head(0, 0), Head(1, 2)]
    assert [str(b) for b in blocks_of(heads, "qk")] == ["L0H0/qk", "L1H2/qk"]
    assert [str(b) for b in blocks_of(heads, "qkvo")] == [
        *("L0H0/qk", "L0H0/v", "L0H0/o"),
        *("L1H2/qk", "L1H2/v", "L1H2/o"),
    ]


def test_direct_scores_equal_the_inner_product_with_the_gradient():
    model = tiny_model()
    rows = random_rows(4)
    generator = torch.Generator().manual_seed(3)
    blocks = blocks_of(geometry(model).all_heads(), "qkvo")
    for _, sides, _ in sides_of_rows(model, rows, blocks, 4):
        for block in blocks:
            shape = block.shape(geometry(model))
            vector = torch.randn(shape, generator=generator).double()
            expected = (row_gradients(sides, block) * vector).sum(dim=(1, 2))
            torch.testing.assert_close(direct_scores(sides, block, vector), expected)


def test_uniforms_depend_on_the_row_and_the_seed_not_on_the_batch():
    whole = row_uniforms(7, 0, 6, 5)
    parts = torch.cat([row_uniforms(7, 0, 4, 5), row_uniforms(7, 4, 2, 5)])
    assert torch.equal(whole, parts)
    assert len(whole.unique()) == whole.numel()
    assert not torch.equal(whole, row_uniforms(8, 0, 6, 5))
    assert 0 <= float(whole.min()) < float(whole.max()) < 1


def random_factors(sizes: Geometry, blocks: list[Block]) -> Factors:
    """Factors with random orthogonal bases and lambdas that differ by decades."""
    generator = torch.Generator().manual_seed(4)
    widths: dict[str, int] = {}
    for block in blocks:
        widths[block.left], widths[block.right] = block.shape(sizes)
    bases = {
        name: torch.linalg.qr(torch.randn(w, w, generator=generator).double())[0]
        for name, w in widths.items()
    }
    lambdas = {
        str(b): 10 ** (4 * torch.rand(b.shape(sizes), generator=generator).double() - 3)
        for b in blocks
    }
    return Factors({}, bases, lambdas, 1)


def random_probe(sizes: Geometry, blocks: list[Block], seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        b.name: torch.randn(b.shape(sizes), generator=generator).double()
        for b in blocks
    }


def test_projection_is_the_whitened_gradient_in_the_eigenbasis():
    model = tiny_model()
    rows, head = random_rows(3), Head(1, 1)
    sizes, blocks = geometry(model), blocks_of([head], "qkvo")
    factors = random_factors(sizes, blocks)
    kept = choose_coordinates(factors, blocks, [random_probe(sizes, blocks, 5)], 200)
    assert len(kept.index) == 200
    ((_, sides, _),) = sides_of_rows(model, rows, blocks, 3)
    found = project(rotate(sides, factors.bases), blocks, kept)
    loop = loop_gradients(model, rows, rows[:, 1:], [head])
    for i in range(3):
        flat, damped = [], []
        for block in blocks:
            left, right = factors.bases[block.left], factors.bases[block.right]
            flat.append((left.T @ loop[i][head][block.name] @ right).flatten())
            lam = factors.lambdas[str(block)]
            damped.append((lam + 0.1 * lam.mean()).flatten())
        expected = torch.cat(flat) / torch.cat(damped).sqrt()
        torch.testing.assert_close(found[i], expected[torch.from_numpy(kept.index)])


def score_terms(
    factors: Factors, blocks: list[Block], probe: dict[str, Tensor]
) -> np.ndarray:
    """Variance over rows of each coordinate's term of a score, by the dense product."""
    pieces = []
    for block in blocks:
        left, right = factors.bases[block.left], factors.bases[block.right]
        eigen = np.kron(left, right).T @ probe[block.name].numpy().ravel()
        lambdas = factors.lambdas[str(block)].numpy().ravel()
        pieces.append(lambdas * (eigen / (lambdas + 0.1 * lambdas.mean())) ** 2)
    return np.concatenate(pieces)


@pytest.mark.parametrize("probes", [1, 2])
def test_chosen_coordinates_carry_most_of_the_scores_variance(probes):
    """Probes count alike whatever their size: the second is a thousand times larger."""
    sizes = Geometry(layers=1, heads=3, hidden=24)
    blocks = blocks_of([Head(0, 2)], "qkvo")
    factors = random_factors(sizes, blocks)
    gradients = [random_probe(sizes, blocks, seed) for seed in range(probes)]
    gradients[-1] = {name: 1e3 * value for name, value in gradients[-1].items()}
    terms = [score_terms(factors, blocks, gradient) for gradient in gradients]
    share = sum(term / term.sum() for term in terms)
    kept = choose_coordinates(factors, blocks, gradients, 100)
    assert np.array_equal(kept.index, np.sort(kept.index))
    assert len(set(kept.index)) == 100
    left_out = np.setdiff1d(np.arange(len(share)), kept.index)
    assert share[kept.index].min() > share[left_out].max()
    everything = choose_coordinates(factors, blocks, gradients, 10**6)
    assert np.array_equal(everything.index, np.arange(24 * 16 + 24 * 8 + 8 * 24))


def test_a_block_without_curvature_projects_to_finite_values():
    """A block that never receives a gradient has lambda 0 and no direction."""
    model = tiny_model()
    sizes, blocks = geometry(model), blocks_of([Head(1, 1)], "qkvo")
    factors = random_factors(sizes, blocks)
    factors.lambdas["L1H1/v"].zero_()
    probe = random_probe(sizes, blocks, 5)
    kept = choose_coordinates(factors, blocks, [probe], 10**6)
    ((_, sides, _),) = sides_of_rows(model, random_rows(2), blocks, 2)
    sides = {name: side.float() for name, side in sides.items()}
    bases = {name: basis.float() for name, basis in factors.bases.items()}
    sides["L1H1/v"] = torch.zeros_like(sides["L1H1/v"])
    few = choose_coordinates(factors, blocks, [probe], 100).index
    assert not np.isin(few, np.arange(24 * 16, 24 * 24)).any()
    assert project(rotate(sides, bases), blocks, kept).isfinite().all()


def test_sides_shared_by_heads_are_computed_once():
    model = tiny_model()
    blocks = blocks_of([Head(0, 0), Head(0, 1)], "qkvo")
    ((_, sides, _),) = sides_of_rows(model, random_rows(2), blocks, 2)
    assert sorted(sides) == sorted(
        [
            *("L0/input", "L0/output"),
            *("L0H0/qk", "L0H0/v", "L0H0/z"),
            *("L0H1/qk", "L0H1/v", "L0H1/z"),
        ]
    )
