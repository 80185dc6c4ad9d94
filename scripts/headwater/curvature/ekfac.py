"""EK-FAC (George et al. 2018) inside the parameter subspace of each unit.

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

from headwater.errors import HeadwaterError
from headwater.gradients.blocks import Bases, Matrices, block_sides, blocks_of
from headwater.gradients.capture import Traces
from headwater.gradients.flat import gradients_of, sites_of, split_blocks
from headwater.gradients.passes import Batch, PassOptions, RowSequence, run_pass
from headwater.models.sites import Model
from headwater.progress import Progress
from headwater.seeds import stable_seed
from headwater.units import Block, Unit

Item = TypeVar("Item", Batch, tuple[Batch, dict[Unit, Tensor]])


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

    def check(self, blocks: Iterable[Block]) -> None:
        """See that blocks are among those that were fitted.

        Raises:
            HeadwaterError: one is not; its unit is named.
        """
        for block in blocks:
            if block.own not in self.bases:
                raise HeadwaterError(
                    f"{block.unit}: the factors hold no such unit, as they were fitted "
                    "when the config named others; fit them again (snakemake curvature)"
                )


def fit_covariances(batches: Iterable[Traces], blocks: list[Block]) -> Bases:
    """Covariance of every side of the blocks, mean over tokens."""
    sums: dict[str, Tensor] = {}
    tokens = 0
    for traces in batches:
        sides = block_sides(traces, blocks)
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


def own_bases(blocks: list[Block]) -> Bases:
    """The parameters' own basis: an identity matrix for every side."""
    widths: dict[str, int] = {}
    for block in blocks:
        widths[block.left], widths[block.right] = block.shape
    return {name: torch.eye(width).double() for name, width in widths.items()}


def fit_lambdas(
    batches: Iterable[Mapping[Unit, Float[Tensor, "_batch parameters"]]],
) -> tuple[Matrices, int]:
    """Mean squared per-row gradient, by block; and the row count.

    Args:
        batches: flat gradients by unit, in the eigenbases.
    """
    sums: dict[Unit, Tensor] = {}
    rows = 0
    for gradients in batches:
        rows += len(next(iter(gradients.values())))
        for unit, gradient in gradients.items():
            squares = gradient.square().sum(dim=0).double().cpu()
            sums[unit] = sums[unit] + squares if unit in sums else squares
    lambdas: dict[str, Tensor] = {}
    for unit, total in sums.items():
        blocks = split_blocks(total / rows, unit)
        lambdas |= {name: value.contiguous() for name, value in blocks.items()}
    return lambdas, rows


def fit_factors(
    model: Model,
    rows: RowSequence,
    units: list[Unit],
    options: PassOptions,
    hessian: str = "ekfac",
) -> Factors:
    """Fit the factors of all units together: two passes over the rows for `ekfac`.

    Args:
        model: on its device; its parameters are frozen by this call.
        units: input covariances are shared among those of a site.
        options: its seed is that of the labels, drawn afresh for each pass; without one
            they are the rows' own tokens (the empirical Fisher).
        hessian: `ekfac`, `diagonal` (one pass) or `identity` (none).
    """
    if hessian not in HESSIANS:
        raise ValueError(f"no Hessian {hessian!r}; known: {', '.join(HESSIANS)}")
    blocks = blocks_of(units)
    bases = own_bases(blocks)
    if hessian == "identity":
        ones = {str(b): torch.ones(b.shape).double() for b in blocks}
        return Factors(bases, ones, 0, hessian)
    if hessian == "ekfac":
        drawn = _drawn(options, "covariances")
        batches = run_pass(model, rows, sites_of(units), drawn)
        sides = (b.traces for b in _counted(batches, len(rows), "covariances"))
        bases = eigenbases(fit_covariances(sides, blocks))
    drawn = _drawn(options, "lambdas")
    passed = gradients_of(model, rows, units, drawn, bases)
    gradients = (found for _, found in _counted(passed, len(rows), "lambdas"))
    lambdas, count = fit_lambdas(gradients)
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
