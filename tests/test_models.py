"""Units of every supported architecture: exact against autograd on single rows."""

import pytest
import torch

from headwater.errors import HeadwaterError
from headwater.geometry import Head
from headwater.gradients.blocks import block_sides, blocks_of, token_products
from headwater.gradients.flat import gradients_of, sites_of, split_blocks
from headwater.gradients.passes import PassOptions, run_pass
from headwater.heads.scores import copying_score, head_scores
from headwater.models.sites import attention_patterns, geometry
from headwater.units import parse
from headwater.units.head import NAMES as BLOCKS
from strangers import (
    NAMES,
    SHAPES,
    block_of,
    places,
    row_gradients,
    stranger,
    unit_places,
)
from tiny import random_rows, repeats

each = pytest.mark.parametrize("shape", SHAPES, ids=NAMES)


def units_of(model, labels, mode="qkvo"):
    return [parse(str(label), geometry(model), mode) for label in labels]


def some_labels(model) -> dict[str, list[str]]:
    """Units of every sort, not in order."""
    sizes = geometry(model)
    heads, last = list(map(str, sizes.all_heads())), sizes.layers - 1
    groups = [f"L{la}G{g}" for la in range(sizes.layers) for g in range(sizes.groups)]
    neurons = [f"L{last}N{n}" for n in range(sizes.wide)]
    return {
        "all heads": heads,
        "some heads": [heads[-1], heads[1], heads[0]],
        "groups": groups,
        "layers": [f"L{last}", "L0"],
        "all neurons": neurons,
        "some neurons": [neurons[-1], "L0N3", neurons[2], "L0N0"],
        "mlps": ["L0MLP", f"L{last}MLP"],
        "mixed": [heads[1], neurons[5], groups[-1], "L0MLP", heads[0], "L0"],
    }


def found_gradients(model, rows, units, batch_size):
    pieces = {}
    for _, found in gradients_of(model, rows, units, PassOptions(batch_size)):
        assert list(found) == units
        for unit, flat in found.items():
            assert flat.shape[1] == unit.size
            for name, part in split_blocks(flat, unit).items():
                pieces.setdefault(name, []).append(part)
    return {name: torch.cat(parts) for name, parts in pieces.items()}


@each
@pytest.mark.parametrize("mode", BLOCKS)
def test_gradients_equal_autograd(shape, mode) -> None:
    model, rows = stranger(shape), random_rows(3, 12)
    sorts = some_labels(model)
    every = list(dict.fromkeys(label for labels in sorts.values() for label in labels))
    expected = row_gradients(model, shape, rows, every)
    for number, labels in enumerate(sorts.values()):
        units = units_of(model, labels, mode)
        found = found_gradients(model, rows, units, 2 + number % 2)
        assert found.keys() == {str(block) for block in blocks_of(units)}
        for name, gradient in found.items():
            loop = torch.stack([row[name] for row in expected])
            assert loop.abs().amax(dim=(1, 2)).min() > 1e-6, "a vanishing test case"
            torch.testing.assert_close(gradient, loop, rtol=1e-8, atol=1e-10)


@each
def test_parts_of_tokens_add_up_to_the_gradients_products(shape) -> None:
    model, rows = stranger(shape), random_rows(2, 12)
    labels = some_labels(model)["mixed"]
    units = units_of(model, labels)
    expected = row_gradients(model, shape, rows, labels)
    (batch,) = run_pass(model, rows, sites_of(units), PassOptions(2))
    blocks = blocks_of(units)
    sides = block_sides(batch.traces, blocks)
    for block in blocks:
        vector = torch.randn(block.shape).double()
        parts = token_products(sides, block, vector).sum(dim=1)
        loop = torch.stack([(row[str(block)] * vector).sum() for row in expected])
        torch.testing.assert_close(parts, loop, rtol=1e-8, atol=1e-10)


@each
def test_gradients_in_an_eigenbasis_are_turned_from_both_sides(shape) -> None:
    model, rows = stranger(shape), random_rows(2, 12)
    for labels in some_labels(model).values():
        units = units_of(model, labels)
        blocks = blocks_of(units)
        widths = {}
        for block in blocks:
            widths[block.left], widths[block.right] = block.shape
        bases = {
            name: torch.linalg.qr(torch.randn(width, width).double())[0]
            for name, width in widths.items()
        }
        ((_, plain),) = gradients_of(model, rows, units, PassOptions(2))
        ((_, turned),) = gradients_of(model, rows, units, PassOptions(2), bases)
        for unit in units:
            own, found = (split_blocks(of[unit], unit) for of in (plain, turned))
            for block in unit.blocks:
                left, right = bases[block.left], bases[block.right]
                expected = left.T @ own[str(block)] @ right
                torch.testing.assert_close(found[str(block)], expected)


@each
def test_another_layout_is_not_equal(shape) -> None:
    """Heads in another order, or Q, K and V in the order of another architecture."""
    model, rows = stranger(shape), random_rows(1, 12)
    sizes = geometry(model)
    heads = sizes.all_heads()
    found = found_gradients(model, rows, units_of(model, heads), 1)
    (right,) = row_gradients(model, shape, rows, heads)
    for head in heads:
        for name in BLOCKS["qkvo"]:
            gradient = found[f"{head}/{name}"][0]
            for other in heads:
                same_group = sizes.group_of(other.index) == sizes.group_of(head.index)
                if other.layer != head.layer or other == head:
                    continue
                if name == "v" and same_group:
                    continue
                wrong = right[f"{other}/{name}"]
                assert (gradient - wrong).norm() > 0.1 * gradient.norm()


@each
@pytest.mark.parametrize("sort", ["G", "", "N", "MLP"])
def test_sums_over_units_are_the_whole_modules(shape, sort) -> None:
    """K and V once for each group, however many heads read them."""
    model, rows = stranger(shape), random_rows(1, 12)
    sizes = geometry(model)
    count = {"G": sizes.groups, "N": sizes.wide}.get(sort)
    labels = [f"L1{sort}{i}" for i in range(count)] if count else [f"L1{sort}"]
    units = units_of(model, labels)
    found = found_gradients(model, rows, units, 1)
    model.requires_grad_(True)
    loss = model(rows[:, :-1], use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(loss[0], rows[0, 1:], reduction="sum")
    parts = {n: p for label in labels for n, p in unit_places(shape, label).items()}
    names = sorted({name for block in parts.values() for name, *_ in block})
    whole = torch.autograd.grad(loss, [model.get_parameter(name) for name in names])
    vectors = {n: torch.randn_like(g) for n, g in zip(names, whole, strict=True)}
    total = sum((g * vectors[n]).sum() for n, g in zip(names, whole, strict=True))
    added = sum(
        (
            gradient[0] * block_of(parts[name], vectors, name.endswith(("/o", "/out")))
        ).sum()
        for name, gradient in found.items()
    )
    torch.testing.assert_close(added, total, rtol=1e-9, atol=1e-9)


@each
def test_a_circuit_is_its_members_one_after_the_other(shape) -> None:
    model, rows = stranger(shape), random_rows(2, 12)
    members = units_of(model, ["L1H1", "L0H0", "L1N2"])
    (circuit,) = units_of(model, ["L1H1+L0H0+L1N2"])
    ((_, own),) = gradients_of(model, rows, members, PassOptions(2))
    ((_, found),) = gradients_of(model, rows, [circuit], PassOptions(2))
    together = torch.cat([own[member] for member in members], dim=1)
    torch.testing.assert_close(found[circuit], together, rtol=1e-12, atol=1e-13)
    assert circuit.head == Head(1, 1)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("L9H0", "L9H0: the model has layers 0..2"),
        ("L1H6", "L1H6: the model has heads 0..5 in each layer"),
        ("L1G2", "L1G2: the model has groups 0..1 in each layer"),
        ("L1N36", "L1N36: the model has neurons 0..35 in each layer"),
        ("H3", "'H3' is no unit; write L1H3 (a head), L1G0"),
        ("L1H1+", "'' is no unit; write L1H3"),
        ("L1H1+L1H1", "L1H1+L1H1: its members share parameters"),
        ("L1G0+L1", "L1G0+L1: its members share parameters"),
        ("L1H0+L1H1", "L1H0+L1H1: its members share parameters"),
        ("L1N3+L1MLP", "L1N3+L1MLP: its members share parameters"),
        ("L01H1", "'L01H1' is no unit; write L1H3"),
    ],
)
def test_what_is_no_unit_is_refused(label, message) -> None:
    with pytest.raises(HeadwaterError) as caught:
        parse(label, geometry(stranger(SHAPES[5])), "qkvo")
    assert str(caught.value).startswith(message)


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
