"""EK-FAC factors against a naive, dense EK-FAC, and where EK-FAC is exact."""

from itertools import product as every_combination

import numpy as np
import pytest
import torch
from torch import Tensor

from headwater.curvature.ekfac import (
    Factors,
    eigenbases,
    fit_covariances,
    fit_factors,
    fit_lambdas,
)
from headwater.geometry import Geometry, Head
from headwater.gradients.blocks import blocks_of
from headwater.gradients.capture import Trace, Traces
from headwater.gradients.flat import (
    _turns,
    flat_gradients,
    gradients_of,
    sites_of,
    stacks_of,
)
from headwater.gradients.passes import PassOptions, row_uniforms, run_pass
from headwater.influence.inverse import solve
from headwater.influence.scores import standard_basis
from headwater.models.sites import final_hidden
from headwater.seeds import stable_seed
from headwater.units import ATTENTION, Unit
from tiny import (
    loop_gradients,
    looped,
    random_rows,
    sample_labels,
    tiny_model,
    unit,
)

HEADS = [Head(0, 1), Head(1, 0), Head(1, 2)]
UNITS = [unit(head) for head in HEADS]
BLOCKS = blocks_of(UNITS)
ROWS, SEED = 10, 17


@pytest.fixture(scope="module")
def fitted() -> Factors:
    model = tiny_model()
    return fit(model, HEADS)


@pytest.fixture(scope="module")
def covariances() -> dict[str, Tensor]:
    """Those of the fit's first pass, which it does not keep."""
    model = tiny_model()
    options = PassOptions(4, stable_seed(SEED, "covariances"))
    passed = run_pass(model, random_rows(ROWS), sites_of(UNITS), options)
    return fit_covariances((batch.traces for batch in passed), BLOCKS)


def fit(model, heads: list[Head], batch_size: int = 4, **more) -> Factors:
    options = PassOptions(batch_size, SEED)
    units = [unit(head) for head in heads]
    return fit_factors(model, random_rows(ROWS), units, options, **more)


# --- The naive EK-FAC: one row and one token at a time.


def naive_labels(model, rows: Tensor, seed: int) -> Tensor:
    """Labels drawn from the model by walking its cumulative distribution."""
    uniforms = row_uniforms(seed, 0, len(rows), rows.shape[1] - 1)
    labels = torch.empty_like(rows[:, 1:])
    for i, row in enumerate(rows):
        with torch.no_grad():
            probabilities = model(input_ids=row[None, :-1]).logits[0].softmax(dim=-1)
        for t, probability in enumerate(probabilities.tolist()):
            total, token = probability[0], 0
            while total < float(uniforms[i, t]):
                token += 1
                total += probability[token]
            labels[i, t] = token
    return labels


def naive_tokens(model, row: Tensor, labels: Tensor, head: Head) -> dict[str, list]:
    """Inputs and output gradients of the head's maps, token by token, in numpy.

    Gradients are taken at zero offsets added to the outputs of the maps: apart from the
    library's hooks, which make the output itself the root.
    """
    attention = model.gpt_neox.layers[head.layer].attention
    offsets, inputs = {}, {}

    def add_offset(module, args, output):
        name = "qkv" if module is attention.query_key_value else "dense"
        offsets[name] = torch.zeros_like(output, requires_grad=True)
        inputs[name] = args[0][0].detach().numpy()
        return output + offsets[name]

    handles = [
        m.register_forward_hook(add_offset)
        for m in (attention.query_key_value, attention.dense)
    ]
    logits = model(input_ids=row[None, :-1]).logits[0]
    for handle in handles:
        handle.remove()
    loss = -logits.log_softmax(dim=-1)[torch.arange(len(labels)), labels].sum()
    slopes = torch.autograd.grad(loss, [offsets["qkv"], offsets["dense"]])
    per_head = slopes[0][0].numpy()[:, 24 * head.index : 24 * head.index + 24]
    mine = slice(8 * head.index, 8 * head.index + 8)
    return {
        "qk": list(zip(inputs["qkv"], per_head[:, :16], strict=True)),
        "v": list(zip(inputs["qkv"], per_head[:, 16:], strict=True)),
        "o": list(zip(inputs["dense"][:, mine], slopes[1][0].numpy(), strict=True)),
    }


def naive_covariances(model, rows: Tensor, head: Head, seed: int) -> dict[str, tuple]:
    labels = naive_labels(model, rows, seed)
    sums: dict[str, list] = {name: [0.0, 0.0, 0] for name in ("qk", "v", "o")}
    for row, label in zip(rows, labels, strict=True):
        for name, tokens in naive_tokens(model, row, label, head).items():
            for left, right in tokens:
                sums[name][0] = sums[name][0] + np.outer(left, left)
                sums[name][1] = sums[name][1] + np.outer(right, right)
                sums[name][2] += 1
    return {name: (a / n, s / n) for name, (a, s, n) in sums.items()}


def naive_lambdas(model, rows: Tensor, head: Head, bases, seed: int) -> dict:
    """mean over rows of (Q^T vec G)^2, with the dense Kronecker product Q."""
    labels = naive_labels(model, rows, seed)
    sums: dict = {}
    for gradients in loop_gradients(model, rows, labels, [head]):
        for name, gradient in gradients[head].items():
            whole = np.kron(*bases[name])
            squares = (whole.T @ gradient.numpy().ravel()) ** 2
            sums[name] = sums.get(name, 0) + squares / len(rows)
    return sums


@pytest.mark.parametrize("head", HEADS)
def test_covariances_equal_the_naive_loop(covariances, head):
    seed = stable_seed(SEED, "covariances")
    expected = naive_covariances(tiny_model(), random_rows(ROWS), head, seed)
    for block in unit(head).blocks:
        for side, matrix in zip(
            (block.left, block.right), expected[block.name], strict=True
        ):
            found = covariances[side].numpy()
            np.testing.assert_allclose(found, matrix, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("head", HEADS)
def test_lambdas_equal_the_dense_kronecker_product(fitted, head):
    blocks = unit(head).blocks
    bases = {
        b.name: (fitted.bases[b.left].numpy(), fitted.bases[b.right].numpy())
        for b in blocks
    }
    seed = stable_seed(SEED, "lambdas")
    expected = naive_lambdas(tiny_model(), random_rows(ROWS), head, bases, seed)
    for block in blocks:
        found = fitted.lambdas[str(block)].numpy().ravel()
        scale = expected[block.name].max()
        np.testing.assert_allclose(
            found, expected[block.name], rtol=1e-8, atol=1e-12 * scale
        )
    assert fitted.rows == ROWS


def test_labels_are_drawn_from_the_model_and_afresh_for_each_pass(fitted):
    """Negative controls: true labels, or one draw for both passes, differ."""
    model, rows = tiny_model(), random_rows(ROWS)

    def lambdas_of(seed: int | None) -> dict[str, Tensor]:
        options = PassOptions(4, seed)
        passed = gradients_of(model, rows, UNITS, options, fitted.bases)
        return fit_lambdas(found for _, found in passed)[0]

    lambdas, again = lambdas_of(None), lambdas_of(stable_seed(SEED, "covariances"))
    for name, value in fitted.lambdas.items():
        assert (lambdas[name] - value).norm() > 0.05 * value.norm()
        assert (again[name] - value).norm() > 0.05 * value.norm()


def test_eigenbases_are_orthonormal_and_diagonalise_in_ascending_order(
    fitted, covariances
):
    assert set(fitted.bases) == set(covariances)
    for name, basis in fitted.bases.items():
        width = len(basis)
        torch.testing.assert_close(basis.T @ basis, torch.eye(width).double())
        inner = basis.T @ covariances[name] @ basis
        values = inner.diagonal()
        assert (inner - values.diag()).abs().max() < 1e-10 * values.max()
        assert (values.diff() > -1e-10 * values.max()).all()


def test_eigenvector_signs_do_not_depend_on_the_solver():
    """A sign-flipped matrix of the same eigenvectors gives the same bytes of signs."""
    generator = torch.Generator().manual_seed(1)
    basis = torch.linalg.qr(torch.randn(6, 6, generator=generator).double())[0]
    matrix = basis @ torch.arange(1.0, 7).double().diag() @ basis.T
    found = eigenbases({"a": matrix})["a"]
    largest = found.gather(0, found.abs().argmax(dim=0, keepdim=True))
    assert (largest > 0).all()
    torch.testing.assert_close(found.abs(), basis.abs())


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_the_fit_does_not_depend_on_the_batch_size(fitted, batch_size):
    other = fit(tiny_model(), HEADS, batch_size)
    assert other.rows == fitted.rows
    for group in ("bases", "lambdas"):
        found, expected = getattr(other, group), getattr(fitted, group)
        assert list(found) == list(expected)
        for name, value in expected.items():
            scale = float(value.abs().max())
            torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-9 * scale)


def test_the_fit_of_a_head_does_not_depend_on_the_other_heads(fitted):
    alone = fit(tiny_model(), [Head(1, 2)])
    for name, value in alone.lambdas.items():
        torch.testing.assert_close(
            value, fitted.lambdas[name], rtol=1e-6, atol=1e-9 * float(value.max())
        )


# --- Where the Kronecker factorisation is exact.


def factorial_sides(own: Unit) -> dict[str, Tensor]:
    """One-token rows whose sides are independent: every combination of their supports.

    Then the Fisher matrix of a block *is* the Kronecker product of its covariances.
    """
    generator = torch.Generator().manual_seed(2)
    widths = {}
    for block in own.blocks:
        widths[block.left], widths[block.right] = block.shape
    supports = {
        name: torch.randn(4, width, generator=generator).double()
        for name, width in widths.items()
    }
    rows = list(every_combination(range(4), repeat=len(widths)))
    return {
        name: supports[name][[row[i] for row in rows]][:, None]
        for i, name in enumerate(widths)
    }


def trace_of(sides: dict[str, Tensor], head: Head, sizes: Geometry) -> Traces:
    """The trace of a layer whose one head has these sides."""
    first, width = 3 * sizes.d_head * head.index, sizes.d_head
    inputs, output = sides["L0/input"], sides["L0/output"]
    qkv = torch.zeros(*inputs.shape[:2], 3 * sizes.hidden).double()
    qkv[..., first : first + 2 * width] = sides[f"{head}/qk"]
    qkv[..., first + 2 * width : first + 3 * width] = sides[f"{head}/v"]
    z = torch.zeros_like(output)
    z[..., width * head.index : width * (head.index + 1)] = sides[f"{head}/z"]
    trace = Trace({0: qkv})
    trace.input, trace.inner, trace.output_grad = inputs, z, output
    return {(0, ATTENTION): trace}


@pytest.mark.parametrize("alpha", [0.03, 0.1, 10.0])
def test_the_inverse_product_equals_the_dense_one_when_factors_are_exact(alpha):
    sizes, head = Geometry(layers=1, heads=2, hidden=6), Head(0, 1)
    own = unit(head, sizes=sizes)
    blocks, sides = list(own.blocks), factorial_sides(own)
    batches = [
        trace_of({k: v[i : i + 200] for k, v in sides.items()}, head, sizes)
        for i in range(0, 1024, 200)
    ]
    bases = eigenbases(fit_covariances(batches, blocks))
    stacks = stacks_of([own])
    turns = [_turns(stack, bases, torch.zeros(1).double()) for stack in stacks]
    gradients = [flat_gradients(traces, stacks, turns) for traces in batches]
    lambdas, rows = fit_lambdas(gradients)
    assert rows == 1024
    factors = Factors(bases, lambdas, rows)
    generator = torch.Generator().manual_seed(3)
    gradient = {
        str(b): torch.randn(b.shape, generator=generator).double() for b in blocks
    }
    found = standard_basis(factors, own, solve(factors, blocks, gradient, alpha))
    for block in blocks:
        fisher = dense_fisher(sides[block.left], sides[block.right])
        damping = alpha * np.trace(fisher) / len(fisher)
        damped = fisher + damping * np.eye(len(fisher))
        flat = gradient[str(block)].numpy().ravel()
        expected = np.linalg.solve(damped, flat)
        np.testing.assert_allclose(
            found[str(block)].numpy().ravel(), expected, rtol=1e-8
        )
        off = np.linalg.norm(fisher - np.diag(np.diag(fisher)))
        assert off > 0.1 * np.linalg.norm(fisher), "a diagonal test case"


def dense_fisher(left: Tensor, right: Tensor) -> np.ndarray:
    """Mean over rows of vec(G) vec(G)^T, row by row."""
    total = 0.0
    for a, s in zip(left.numpy(), right.numpy(), strict=True):
        flat = (a.T @ s).ravel()
        total = total + np.outer(flat, flat)
    return total / len(left)


def test_lambdas_are_the_fishers_diagonal_in_the_eigenbasis(fitted):
    """For real rows too, mean lambda is the trace of the dense Fisher over its size.

    This is what damping is relative to; batch-summed gradients would not give it.
    """
    model, rows = tiny_model(), random_rows(ROWS)
    labels = naive_labels(model, rows, stable_seed(SEED, "lambdas"))
    gradients = loop_gradients(model, rows, labels, HEADS)
    for block in BLOCKS:
        norms = [float(looped(row, block).square().mean()) for row in gradients]
        found = float(fitted.lambdas[str(block)].mean())
        assert found == pytest.approx(sum(norms) / ROWS, rel=1e-9)


def test_the_diagonal_hessian_is_the_fishers_diagonal_in_the_parameters_own_basis():
    model, rows = tiny_model(), random_rows(ROWS)
    found = fit(model, HEADS, hessian="diagonal")
    assert found.hessian == "diagonal"
    labels = naive_labels(model, rows, stable_seed(SEED, "lambdas"))
    loop = loop_gradients(tiny_model(), rows, labels, HEADS)
    for block in BLOCKS:
        squares = [looped(row, block).square() for row in loop]
        expected = torch.stack(squares).mean(dim=0)
        torch.testing.assert_close(found.lambdas[str(block)], expected)
        for side in (block.left, block.right):
            assert torch.equal(found.bases[side], torch.eye(len(found.bases[side])))


@pytest.mark.parametrize("hessian", ["diagonal", "ekfac"])
def test_without_a_seed_the_labels_are_the_rows_own(hessian):
    """The empirical Fisher: as the loop over rows, and not that of drawn labels."""
    model, rows = tiny_model(), random_rows(ROWS)
    found = fit_factors(model, rows, UNITS, PassOptions(4), hessian)
    loop = loop_gradients(tiny_model(), rows, rows[:, 1:], HEADS)
    drawn = fit(model, HEADS, hessian=hessian)
    for block in BLOCKS:
        norms = [float(looped(row, block).square().mean()) for row in loop]
        mean = float(found.lambdas[str(block)].mean())
        assert mean == pytest.approx(sum(norms) / ROWS, rel=1e-9)
        assert mean != pytest.approx(float(drawn.lambdas[str(block)].mean()), rel=1e-2)


def test_without_a_hessian_the_product_is_the_gradient_itself():
    model, head = tiny_model(), Head(1, 0)
    factors = fit(model, [head], hessian="identity")
    blocks = unit(head).blocks
    generator = torch.Generator().manual_seed(3)
    gradient = {
        str(b): torch.randn(b.shape, generator=generator).double() for b in blocks
    }
    flat = torch.cat([gradient[str(b)].flatten() for b in blocks]).numpy()
    for alpha in (0.01, 10.0):
        assert np.array_equal(solve(factors, blocks, gradient, alpha), flat)


def test_factors_of_heads_fitted_together_are_those_of_each_alone(fitted):
    for head in HEADS:
        alone = fit(tiny_model(), [head])
        assert alone.bases.keys() <= fitted.bases.keys()
        for name, value in alone.lambdas.items():
            torch.testing.assert_close(
                fitted.lambdas[name], value, rtol=1e-6, atol=1e-9
            )


def test_labels_beyond_the_vocabulary_are_never_sampled():
    """A row of the embedding that only pads draws no label, however likely it is."""
    model, rows = tiny_model(), random_rows(4)
    with torch.no_grad():
        model.get_output_embeddings().weight[20:] *= 3
    hidden = final_hidden(model, rows[:, :-1])
    weight = model.get_output_embeddings().weight
    draws = row_uniforms(1, 0, 4, 9)
    assert int(sample_labels(hidden, weight, draws).max()) >= 20
    assert int(sample_labels(hidden, weight, draws, vocabulary=20).max()) < 20
    limited = PassOptions(4, SEED, vocabulary=20)
    free = PassOptions(4, SEED)
    some = [
        fit_factors(model, rows, [unit("L1H1", "qk")], options).lambdas["L1H1/qk"]
        for options in (limited, free)
    ]
    assert (some[0] - some[1]).norm() > 0.01 * some[1].norm()
