"""EK-FAC (George et al. 2018) inside the parameter subspace of each head.

For a block with per-row gradient `G = left^T right`:

    A = mean over tokens of left left^T  = Q_A D_A Q_A^T
    S = mean over tokens of right right^T = Q_S D_S Q_S^T     (labels from the model)
    lambda = mean over rows of (Q_A^T G Q_S)^2                 (per-row, not batch sums)

and the Fisher matrix of the block is approximated by `(Q_A x Q_S) diag(lambda) (.)^T`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXForCausalLM

from headwater.gradients.blocks import Block, rotate, row_gradients
from headwater.gradients.passes import RowSource, sides_of_rows
from headwater.progress import Progress
from headwater.publish import stable_seed

Sides = dict[str, Tensor]


@dataclass
class Factors:
    """Factors of a set of blocks; tensors in float64 on the CPU.

    Attributes:
        covariances: by side name, [width, width], mean over tokens.
        bases: by side name, eigenvectors as columns, eigenvalues ascending.
        lambdas: by block (`L0H1/qk`), [rows, columns], mean over rows.
        rows: how many rows the means were taken over.
    """

    covariances: dict[str, Tensor]
    bases: dict[str, Tensor]
    lambdas: dict[str, Tensor]
    rows: int

    def bases_like(self, sides: Sides) -> dict[str, Tensor]:
        """The bases of these sides, on their device and in their precision."""
        return {name: self.bases[name].to(values) for name, values in sides.items()}


def fit_covariances(batches: Iterable[Sides]) -> dict[str, Tensor]:
    """Covariance of every side, from batches of [batch, length, width] tensors."""
    sums: dict[str, Tensor] = {}
    tokens = 0
    for sides in batches:
        tokens += next(iter(sides.values())).shape[:2].numel()
        for name, values in sides.items():
            flat = values.flatten(0, 1)
            product = (flat.mT @ flat).double().cpu()
            sums[name] = sums[name] + product if name in sums else product
    return {name: total / tokens for name, total in sums.items()}


def eigenbases(covariances: dict[str, Tensor]) -> dict[str, Tensor]:
    """Eigenvectors of every covariance, signs fixed so that bytes are repeatable."""
    return {name: _eigenvectors(matrix) for name, matrix in covariances.items()}


def _eigenvectors(matrix: Tensor) -> Tensor:
    vectors = torch.linalg.eigh((matrix + matrix.mT) / 2).eigenvectors
    largest = vectors.abs().argmax(dim=0, keepdim=True)
    return vectors * vectors.gather(0, largest).sign()


def fit_lambdas(
    batches: Iterable[Sides], blocks: list[Block], bases: dict[str, Tensor]
) -> tuple[dict[str, Tensor], int]:
    """Mean squared per-row gradient in the eigenbasis, by block; and the row count."""
    sums: dict[str, Tensor] = {}
    rows = 0
    for sides in batches:
        rotated = rotate(sides, {k: bases[k].to(v) for k, v in sides.items()})
        rows += len(next(iter(sides.values())))
        for block in blocks:
            squares = row_gradients(rotated, block).square().sum(dim=0).double().cpu()
            key = str(block)
            sums[key] = sums[key] + squares if key in sums else squares
    return {key: total / rows for key, total in sums.items()}, rows


def fit_factors(
    model: GPTNeoXForCausalLM,
    rows: RowSource,
    blocks: list[Block],
    batch_size: int,
    seed: int,
) -> Factors:
    """Fit all factors in two passes over the rows.

    Args:
        model: on its device; its parameters are frozen by this call.
        rows: token ids [count, length + 1].
        blocks: the blocks to fit; sides are shared among them.
        batch_size: rows a pass; the factors do not depend on it.
        seed: of the labels, drawn from the model afresh for each pass.
    """
    sides = _sides(model, rows, blocks, batch_size, stable_seed(seed, "covariances"))
    covariances = fit_covariances(sides)
    bases = eigenbases(covariances)
    sides = _sides(model, rows, blocks, batch_size, stable_seed(seed, "lambdas"))
    lambdas, count = fit_lambdas(sides, blocks, bases)
    return Factors(covariances, bases, lambdas, count)


def _sides(
    model: GPTNeoXForCausalLM,
    rows: RowSource,
    blocks: list[Block],
    batch_size: int,
    seed: int,
) -> Iterator[Sides]:
    progress = Progress("factors", len(rows), "rows")
    for part, sides, _ in sides_of_rows(model, rows, blocks, batch_size, seed):
        yield sides
        progress.update(part.stop - part.start)
