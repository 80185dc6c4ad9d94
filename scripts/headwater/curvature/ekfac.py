"""EK-FAC (George et al. 2018) inside the parameter subspace of each head.

For a block with per-row gradient `G = left^T right`:

    A = mean over tokens of left left^T  = Q_A D_A Q_A^T
    S = mean over tokens of right right^T = Q_S D_S Q_S^T     (labels from the model)
    lambda = mean over rows of (Q_A^T G Q_S)^2                 (per-row, not batch sums)

and the Fisher matrix of the block is approximated by `(Q_A x Q_S) diag(lambda) (.)^T`.

Two simpler Hessians share this form, so that the worth of EK-FAC can be measured:
`diagonal` is the Fisher's diagonal in the parameters' own basis (Q = 1), `identity` is
no Hessian at all (Q = 1, lambda = 1).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from headwater.geometry import Geometry, Head
from headwater.gradients.blocks import Bases, Matrices, Mode, block_sides, blocks_of
from headwater.gradients.capture import LayerTrace
from headwater.gradients.heads import by_layer, gradients_of, split_blocks
from headwater.gradients.passes import Batch, PassOptions, RowSequence, run_pass
from headwater.models.sites import Model, geometry
from headwater.progress import Progress
from headwater.seeds import stable_seed

Traces = Mapping[int, LayerTrace]
Item = TypeVar("Item", Batch, tuple[Batch, dict[Head, Tensor]])


HESSIANS = ("ekfac", "diagonal", "identity")


@dataclass
class Factors:
    """Factors of a set of blocks, on the CPU.

    Attributes:
        bases: by side name, eigenvectors as columns, eigenvalues ascending.
        lambdas: by block (`L0H1/qk`), mean over rows.
        rows: how many rows the means were taken over.
        hessian: `ekfac`, `diagonal` or `identity`.
    """

    bases: Bases
    lambdas: Matrices
    rows: int
    hessian: str = "ekfac"


@dataclass(frozen=True)
class Subspace:
    """The parameters that factors are fitted for: heads, under a mode."""

    heads: list[Head]
    mode: Mode
    sizes: Geometry

    @property
    def layers(self) -> list[int]:
        """Layers of the heads."""
        return list(by_layer(self.heads))


def fit_covariances(batches: Iterable[Traces], space: Subspace) -> Bases:
    """Covariance of every side of the blocks, mean over tokens."""
    blocks = blocks_of(space.heads, space.mode)
    sums: dict[str, Tensor] = {}
    tokens = 0
    for traces in batches:
        sides = block_sides(traces, blocks, space.sizes)
        tokens += next(iter(sides.values())).shape[:2].numel()
        for name, values in sides.items():
            flat = values.flatten(0, 1)
            flat = flat.to(torch.promote_types(flat.dtype, torch.float32))
            product = (flat.mT @ flat).double().cpu()
            sums[name] = sums[name] + product if name in sums else product
    return {name: total / tokens for name, total in sums.items()}


def eigenbases(covariances: Bases) -> Bases:
    """Eigenvectors of every covariance, signs fixed so that bytes are repeatable."""
    return {name: _eigenvectors(matrix) for name, matrix in covariances.items()}


def _eigenvectors(
    matrix: Float64[Tensor, "width width"],
) -> Float64[Tensor, "width width"]:
    vectors = torch.linalg.eigh((matrix + matrix.mT) / 2).eigenvectors
    largest = vectors.abs().argmax(dim=0, keepdim=True)
    return vectors * vectors.gather(0, largest).sign()


def own_bases(space: Subspace) -> Bases:
    """The parameters' own basis: an identity matrix for every side."""
    widths: dict[str, int] = {}
    for block in blocks_of(space.heads, space.mode):
        widths[block.left], widths[block.right] = block.shape(space.sizes)
    return {name: torch.eye(width).double() for name, width in widths.items()}


def fit_lambdas(
    batches: Iterable[Mapping[Head, Float[Tensor, "_batch parameters"]]],
    space: Subspace,
) -> tuple[Matrices, int]:
    """Mean squared per-row gradient, by block; and the row count.

    Args:
        batches: flat gradients by head, in the eigenbases.
    """
    sums: dict[Head, Tensor] = {}
    rows = 0
    for gradients in batches:
        rows += len(next(iter(gradients.values())))
        for head, gradient in gradients.items():
            squares = gradient.square().sum(dim=0).double().cpu()
            sums[head] = sums[head] + squares if head in sums else squares
    lambdas: dict[str, Tensor] = {}
    for head, total in sums.items():
        blocks = split_blocks(total / rows, head, space.mode, space.sizes)
        lambdas |= {name: value.contiguous() for name, value in blocks.items()}
    return lambdas, rows


def fit_factors(
    model: Model,
    rows: RowSequence,
    heads: list[Head],
    mode: Mode,
    options: PassOptions,
    hessian: str = "ekfac",
) -> Factors:
    """Fit the factors of all heads together: two passes over the rows for `ekfac`.

    Args:
        model: on its device; its parameters are frozen by this call.
        heads: input covariances are shared among those of a layer.
        options: its seed is that of the labels, drawn afresh for each pass; without one
            they are the rows' own tokens (the empirical Fisher).
        hessian: `ekfac`, `diagonal` (one pass) or `identity` (none).
    """
    if hessian not in HESSIANS:
        raise ValueError(f"no Hessian {hessian!r}; known: {', '.join(HESSIANS)}")
    space = Subspace(heads, mode, geometry(model))
    bases = own_bases(space)
    if hessian == "identity":
        blocks = blocks_of(heads, mode)
        ones = {str(b): torch.ones(b.shape(space.sizes)).double() for b in blocks}
        return Factors(bases, ones, 0, hessian)
    if hessian == "ekfac":
        batches = run_pass(model, rows, space.layers, _drawn(options, "covariances"))
        sides = (b.traces for b in _counted(batches, len(rows), "covariances"))
        bases = eigenbases(fit_covariances(sides, space))
    drawn = _drawn(options, "lambdas")
    passed = gradients_of(model, rows, heads, mode, drawn, bases)
    gradients = (found for _, found in _counted(passed, len(rows), "lambdas"))
    lambdas, count = fit_lambdas(gradients, space)
    return Factors(bases, lambdas, count, hessian)


def _drawn(options: PassOptions, name: str) -> PassOptions:
    if options.seed is None:
        return options
    return replace(options, seed=stable_seed(options.seed, name))


def _counted(batches: Iterator[Item], rows: int, name: str) -> Iterator[Item]:
    progress = Progress(name, rows, "rows")
    for item in batches:
        yield item
        batch = item[0] if isinstance(item, tuple) else item
        progress.update(len(batch.losses))
