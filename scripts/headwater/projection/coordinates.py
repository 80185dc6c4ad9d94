"""What the gradient store keeps of a head's gradient.

In the eigenbasis of a block the inverse Hessian is diagonal, so a score is a sum over
coordinates, `-sum_k g_k u_k / (lambda_k + d)`. Coordinates are whitened by
`sqrt(lambda + d)` at a reference damping, so that they are of one size, then rotated
and coded in a few bits (`codes`). All of them are kept by default: then damping and
probe can both change after the store is written. docs/projection.md has measurements.

Where a head has too many parameters for that, the store can keep only the coordinates
that matter for known probes: since `lambda_k` is the mean of `g_k^2`, term k has
variance `u_k^2 lambda_k / (lambda_k + d)^2` over rows, and the largest are kept. A new
probe then needs a new store.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64, UInt8
from torch import Tensor

from headwater.curvature.ekfac import Factors
from headwater.errors import HeadwaterError
from headwater.gradients.blocks import Matrices
from headwater.projection.codes import Codec
from headwater.units import Block

REFERENCE_DAMPING = 0.1

Flat = Float64[np.ndarray, " parameters"]


@dataclass(frozen=True)
class Coordinates:
    """Which eigen-coordinates of one head are kept.

    Attributes:
        index: positions in the concatenated, flattened blocks, ascending.
        scale: what each stored value is divided by (whitening).
    """

    index: Int64[np.ndarray, " kept"]
    scale: Float64[np.ndarray, " kept"]


def flat_lambdas(factors: Factors, blocks: Sequence[Block]) -> tuple[Flat, Flat]:
    """One head's lambdas and, for each, the mean lambda of its block."""
    own = [factors.lambdas[str(block)] for block in blocks]
    means = [np.full(v.numel(), float(v.mean())) for v in own]
    return np.concatenate([v.numpy().ravel() for v in own]), np.concatenate(means)


def eigen_gradient(
    factors: Factors, blocks: Sequence[Block], gradient: Matrices
) -> Flat:
    """A probe's gradient, by block, in the eigenbasis of one unit's blocks."""
    pieces = []
    for block in blocks:
        left, right = factors.bases[block.left], factors.bases[block.right]
        pieces.append((left.mT @ gradient[str(block)] @ right).numpy().ravel())
    return np.concatenate(pieces)


def all_coordinates(factors: Factors, blocks: Sequence[Block]) -> Coordinates:
    """Every coordinate of one head."""
    scale = np.sqrt(_damped(*flat_lambdas(factors, blocks)))
    return Coordinates(np.arange(len(scale)), scale)


def choose_coordinates(
    factors: Factors,
    blocks: Sequence[Block],
    probes: list[Matrices],
    count: int,
) -> Coordinates:
    """The `count` coordinates of one head that carry most of its scores' variance.

    Args:
        probes: gradients of the unit's probes, by block; each counts alike.
        count: how many to keep; all of them if there are fewer.
    """
    lambdas, means = flat_lambdas(factors, blocks)
    damped = _damped(lambdas, means)
    variance = np.zeros_like(lambdas)
    for probe in probes:
        terms = (eigen_gradient(factors, blocks, probe) / damped) ** 2 * lambdas
        variance += terms / max(terms.sum(), 1e-300)
    index = np.sort(np.argsort(-variance, kind="stable")[:count])
    return Coordinates(index, np.sqrt(damped[index]))


def _damped(lambdas: Flat, means: Flat) -> Flat:
    damped = lambdas + REFERENCE_DAMPING * means
    damped[damped == 0] = 1.0  # a block without curvature: no variance, any scale
    return damped


class Projection:
    """From a head's flat eigenbasis gradients to what is stored of them."""

    def __init__(self, kept: Coordinates, bits: int, seed: int) -> None:
        self.kept = kept
        self.codec = Codec(len(kept.index), bits, seed)
        self._index = torch.from_numpy(kept.index)
        self._inverse = torch.from_numpy(1 / kept.scale)

    def encode(
        self, flat: Float[Tensor, "rows parameters"]
    ) -> tuple[UInt8[Tensor, "rows width"], Float[Tensor, " rows"]]:
        """Codes and scales of gradients; see `Codec.encode`."""
        if len(self.kept.index) < flat.shape[1]:
            flat = flat.index_select(1, self._index.to(flat.device))
        return self.codec.encode(flat, self._inverse.to(flat.device))

    def query(self, product: Flat) -> Float32[Tensor, " padded"]:
        """An inverse-Hessian-vector product, to be multiplied with codes.

        Raises:
            HeadwaterError: the product is of another mode than the store.
        """
        if len(product) <= self.kept.index[-1]:
            raise HeadwaterError(
                f"the store keeps coordinate {self.kept.index[-1]}, the product has "
                f"{len(product)}: they differ in gradients.mode; make one of "
                "them again (snakemake --force)"
            )
        kept = product[self.kept.index] * self.kept.scale
        return self.codec.rotate(torch.from_numpy(kept)).float()
