"""Per-row gradients, projections: equal to autograd over single rows."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from headwater.curvature.ekfac import Factors
from headwater.errors import HeadwaterError
from headwater.geometry import Geometry, Head
from headwater.gradients.blocks import block_sides, blocks_of, token_products
from headwater.gradients.flat import gradients_of, split_blocks
from headwater.gradients.passes import PassOptions, row_uniforms, run_pass
from headwater.models.sites import geometry
from headwater.projection.coordinates import (
    Projection,
    all_coordinates,
    choose_coordinates,
)
from headwater.units import ATTENTION, Block, Mode
from tiny import (
    TINY,
    attention_weights,
    head_slices,
    loop_gradients,
    looped,
    random_rows,
    row_loss,
    tiny_model,
    unit,
)


def batched_gradients(
    model, rows: Tensor, heads: list[Head], batch_size: int, **options
) -> dict[str, Tensor]:
    pieces: dict[str, list[Tensor]] = {}
    units = [unit(head) for head in heads]
    for _, found in gradients_of(
        model, rows, units, PassOptions(batch_size, **options)
    ):
        for own, flat in found.items():
            for name, part in split_blocks(flat, own).items():
                pieces.setdefault(name, []).append(part)
    return {name: torch.cat(parts) for name, parts in pieces.items()}


def test_units_of_the_tiny_model_are_made_from_its_own_sizes():
    assert geometry(tiny_model()) == TINY


@pytest.mark.parametrize("rotary_pct", [0.25, 0.5])
@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_gradients_of_every_head_and_block_equal_autograd(rotary_pct, batch_size):
    model = tiny_model(rotary_pct=rotary_pct)
    rows = random_rows(5)
    heads = geometry(model).all_heads()
    assert len(heads) == 9
    blocks = blocks_of(unit(head) for head in heads)
    found = batched_gradients(model, rows, heads, batch_size)
    expected = loop_gradients(model, rows, rows[:, 1:], heads)
    for block in blocks:
        loop = torch.stack([looped(row, block) for row in expected])
        assert loop.shape[1:] == block.shape
        assert loop.abs().amax(dim=(1, 2)).min() > 1e-3, "a vanishing test case"
        torch.testing.assert_close(found[str(block)], loop, rtol=1e-9, atol=1e-11)


def test_gradients_do_not_equal_autograd_under_the_wrong_weight_layout():
    """Negative control: slices of a (q, k, v)-major layout must not match."""
    model = tiny_model()
    rows = random_rows(1)
    head = Head(1, 1)
    found = batched_gradients(model, rows, [head], 1)
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
    every = batched_gradients(model, rows, geometry(model).all_heads(), 4)
    some = batched_gradients(model, rows, [Head(2, 1), Head(1, 2), Head(1, 0)], 3)
    for name, gradient in some.items():
        torch.testing.assert_close(gradient, every[name], rtol=1e-10, atol=1e-12)


def test_losses_of_a_pass_are_summed_next_token_losses():
    model = tiny_model()
    rows = random_rows(5)
    passed = run_pass(model, rows, [(2, ATTENTION)], PassOptions(2))
    parts = [batch.losses for batch in passed]
    expected = [row_loss(model, row, row[1:]).item() for row in rows]
    np.testing.assert_allclose(torch.cat(parts).numpy(), expected, rtol=1e-12)


def test_slices_of_a_pass_cover_the_rows_in_order():
    model = tiny_model(layers=1)
    passed = run_pass(model, random_rows(5), [(0, ATTENTION)], PassOptions(2))
    assert [list(range(5))[batch.rows] for batch in passed] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("only_head", [None, 1])
def test_hooks_are_gone_after_a_pass(only_head):
    model = tiny_model()
    options = PassOptions(1, only_head=only_head)
    for _ in run_pass(model, random_rows(2), [(1, ATTENTION)], options):
        pass
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_rows_longer_than_the_models_positions_are_refused():
    model = tiny_model()
    with pytest.raises(HeadwaterError, match=r"rows of 65 tokens.* 64 positions"):
        list(run_pass(model, random_rows(1, 65), [(0, ATTENTION)], PassOptions(1)))


@pytest.mark.parametrize("numbers", [None, [70, 80, 90, 100]])
def test_a_row_that_is_not_finite_is_named(numbers):
    model, rows = tiny_model(), random_rows(4) % 30
    rows[2, 3] = 30
    with torch.no_grad():
        model.gpt_neox.embed_in.weight[30] = float("inf")
    wanted = "row 2" if numbers is None else "row 90"
    options = PassOptions(3, numbers=numbers)
    with pytest.raises(HeadwaterError, match=f"{wanted}: its loss is not finite"):
        list(run_pass(model, rows, [(0, ATTENTION)], options))


def released_twin(model, rows: Tensor, kept: int) -> list[dict[str, Tensor]]:
    """Per-row gradients with the other heads' outputs detached, by replacing modules.

    Apart from the library: an eager model whose attention function detaches.
    """
    from transformers.models.gpt_neox import modeling_gpt_neox as module

    original = module.eager_attention_forward

    def detaching(*args, **kwargs):
        output, weights = original(*args, **kwargs)  # [batch, length, heads, d_head]
        mask = torch.zeros(output.shape[2], dtype=torch.bool)
        mask[kept] = True
        return torch.where(mask[:, None], output, output.detach()), weights

    model.set_attn_implementation("eager")
    module.eager_attention_forward = detaching
    try:
        heads = [Head(layer, kept) for layer in range(3)]
        return loop_gradients(model, rows, rows[:, 1:], heads)
    finally:
        module.eager_attention_forward = original
        model.set_attn_implementation("sdpa")


@pytest.mark.parametrize("kept", [0, 2])
def test_detached_heads_are_those_of_the_released_code(kept):
    """The last layer is exact, those below are not: what is wrong there, and how much.

    Eager attention takes its softmax in float32, hence the tolerance.
    """
    model, rows = tiny_model(), random_rows(3)
    heads = [Head(layer, kept) for layer in range(3)]
    expected = released_twin(model, rows, kept)
    found = batched_gradients(model, rows, heads, 3, only_head=kept)
    right = batched_gradients(model, rows, heads, 3)
    for block in blocks_of(unit(head) for head in heads):
        loop = torch.stack([looped(row, block) for row in expected])
        torch.testing.assert_close(found[str(block)], loop, rtol=1e-4, atol=1e-5)
        error = (found[str(block)] - right[str(block)]).norm()
        if block.layer == 2:
            assert error < 1e-10 * right[str(block)].norm()
        else:
            assert error > 0.05 * right[str(block)].norm()


@pytest.mark.parametrize("length", [9, 40])
@pytest.mark.parametrize("mode", ["qk", "qkvo"])
@pytest.mark.parametrize(
    "heads", [TINY.all_heads(), [Head(2, 1), Head(0, 2), Head(0, 0)]]
)
def test_gradients_in_an_eigenbasis_are_turned_from_both_sides(length, mode, heads):
    """Rows shorter and longer than the layer is wide take different ways."""
    model, rows = tiny_model(), random_rows(2, length)
    units = [unit(head, mode) for head in heads]
    factors = random_factors(blocks_of(units))
    options = PassOptions(2)
    ((_, plain),) = gradients_of(model, rows, units, options)
    ((_, turned),) = gradients_of(model, rows, units, options, factors.bases)
    for one in units:
        own, found = split_blocks(plain[one], one), split_blocks(turned[one], one)
        for block in one.blocks:
            left, right = factors.bases[block.left], factors.bases[block.right]
            expected = left.T @ own[str(block)] @ right
            torch.testing.assert_close(found[str(block)], expected)


def test_qk_mode_is_the_first_block_of_qkvo_mode():
    def names(mode: Mode) -> list[str]:
        heads = Head(0, 0), Head(1, 2)
        return [str(block) for block in blocks_of(unit(h, mode) for h in heads)]

    assert names("qk") == ["L0H0/qk", "L1H2/qk"]
    assert names("qkvo") == [
        *("L0H0/qk", "L0H0/v", "L0H0/o"),
        *("L1H2/qk", "L1H2/v", "L1H2/o"),
    ]
    assert unit("L1H2", "qk").blocks == unit("L1H2").blocks[:1]


def test_token_products_sum_to_the_inner_product_with_the_gradient():
    model = tiny_model()
    rows, heads = random_rows(4), TINY.all_heads()
    generator = torch.Generator().manual_seed(3)
    blocks = blocks_of(unit(head) for head in heads)
    sites = [(layer, ATTENTION) for layer in range(3)]
    (batch,) = run_pass(model, rows, sites, PassOptions(4))
    sides = block_sides(batch.traces, blocks)
    whole = batched_gradients(model, rows, heads, 4)
    for block in blocks:
        vector = torch.randn(block.shape, generator=generator).double()
        tokens = token_products(sides, block, vector)
        assert tokens.shape == (4, 9)
        expected = (whole[str(block)] * vector).sum(dim=(1, 2))
        torch.testing.assert_close(tokens.sum(dim=1), expected)


def test_uniforms_depend_on_the_row_and_the_seed_not_on_the_batch():
    whole = row_uniforms(7, 0, 6, 5)
    parts = torch.cat([row_uniforms(7, 0, 4, 5), row_uniforms(7, 4, 2, 5)])
    assert torch.equal(whole, parts)
    assert len(whole.unique()) == whole.numel()
    assert not torch.equal(whole, row_uniforms(8, 0, 6, 5))
    assert 0 <= float(whole.min()) < float(whole.max()) < 1


def random_factors(blocks: Sequence[Block]) -> Factors:
    """Factors with random orthogonal bases and lambdas that differ by decades."""
    generator = torch.Generator().manual_seed(4)
    widths: dict[str, int] = {}
    for block in blocks:
        widths[block.left], widths[block.right] = block.shape
    bases = {
        name: torch.linalg.qr(torch.randn(w, w, generator=generator).double())[0]
        for name, w in widths.items()
    }
    lambdas = {
        str(b): 10 ** (4 * torch.rand(b.shape, generator=generator).double() - 3)
        for b in blocks
    }
    return Factors(bases, lambdas, 1)


def random_probe(blocks: Sequence[Block], seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {str(b): torch.randn(b.shape, generator=generator).double() for b in blocks}


@pytest.mark.parametrize("count", [200, 10**6])
def test_projection_codes_the_whitened_gradient_in_the_eigenbasis(count):
    """With 8 bits, decoded and rotated back: within a step of the naive coordinates."""
    model = tiny_model()
    rows, head = random_rows(3), Head(1, 1)
    own = unit(head)
    blocks = own.blocks
    factors = random_factors(blocks)
    probe = random_probe(blocks, 5)
    kept = choose_coordinates(factors, blocks, [probe], count)
    assert len(kept.index) == min(count, 768)
    if count > 768:
        everything = all_coordinates(factors, blocks)
        assert np.array_equal(everything.index, kept.index)
        assert np.array_equal(everything.scale, kept.scale)
    projection = Projection(kept, 8, 7)
    passed = gradients_of(model, rows, [own], PassOptions(3), factors.bases)
    ((_, gradients),) = passed
    codec = projection.codec
    found = codec.decode(*projection.encode(gradients[own]))
    loop = loop_gradients(model, rows, rows[:, 1:], [head])
    for i in range(3):
        flat, damped = [], []
        for block in blocks:
            left, right = factors.bases[block.left], factors.bases[block.right]
            flat.append((left.T @ loop[i][head][block.name] @ right).flatten())
            lam = factors.lambdas[str(block)]
            damped.append((lam + 0.1 * lam.mean()).flatten())
        whole = torch.cat(flat) / torch.cat(damped).sqrt()
        expected = codec.rotate(whole[torch.from_numpy(kept.index)]).float()
        error = (found[i] - expected).norm() / expected.norm()
        assert error < 0.012


def score_terms(
    factors: Factors, blocks: Sequence[Block], probe: dict[str, Tensor]
) -> np.ndarray:
    """Variance over rows of each coordinate's term of a score, by the dense product."""
    pieces = []
    for block in blocks:
        left, right = factors.bases[block.left], factors.bases[block.right]
        eigen = np.kron(left, right).T @ probe[str(block)].numpy().ravel()
        lambdas = factors.lambdas[str(block)].numpy().ravel()
        pieces.append(lambdas * (eigen / (lambdas + 0.1 * lambdas.mean())) ** 2)
    return np.concatenate(pieces)


@pytest.mark.parametrize("probes", [1, 2])
def test_chosen_coordinates_carry_most_of_the_scores_variance(probes):
    """Probes count alike whatever their size: the second is a thousand times larger."""
    sizes = Geometry(layers=1, heads=3, hidden=24)
    blocks = unit(Head(0, 2), sizes=sizes).blocks
    factors = random_factors(blocks)
    gradients = [random_probe(blocks, seed) for seed in range(probes)]
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
    blocks = unit(Head(1, 1)).blocks
    factors = random_factors(blocks)
    factors.lambdas["L1H1/v"].zero_()
    probe = random_probe(blocks, 5)
    few = choose_coordinates(factors, blocks, [probe], 100).index
    assert not np.isin(few, np.arange(24 * 16, 24 * 24)).any()
    flat = torch.randn(2, 768, generator=torch.Generator().manual_seed(1))
    flat[:, 24 * 16 : 24 * 24] = 0
    _, scale = Projection(all_coordinates(factors, blocks), 4, 0).encode(flat)
    assert scale.isfinite().all()


def test_sides_shared_by_heads_are_computed_once():
    model = tiny_model()
    blocks = blocks_of([unit(Head(0, 0)), unit(Head(0, 1))])
    (batch,) = run_pass(model, random_rows(2), [(0, ATTENTION)], PassOptions(2))
    sides = block_sides(batch.traces, blocks)
    assert sorted(sides) == sorted(
        [
            *("L0/input", "L0/output"),
            *("L0H0/qk", "L0H0/v", "L0H0/z"),
            *("L0H1/qk", "L0H1/v", "L0H1/z"),
        ]
    )
