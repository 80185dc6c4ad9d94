"""The projection of the gradient store: the EK-FAC coordinates that matter most.

In the eigenbasis of a block the inverse Hessian is diagonal, so a score is a sum over
coordinates, `-sum_k g_k u_k / (lambda_k + d)`, and dropping coordinates drops terms.
Since `lambda_k` is the mean of `g_k^2`, term k has variance `u_k^2 lambda_k /
(lambda_k + d)^2` over rows. The store keeps, for each head, the coordinates with the
largest variance, summed over the head's probes (each scaled to the same total).

On a small trained model a whitened row and probe had a cosine near 0.01, so
projections that know nothing of the probe (random ones, or the largest lambdas) lose
the ranking: docs/projection.md has the measurements. Damping can change after the store
is written.

Stored values are whitened by `scale = sqrt(lambda + d)` at the reference damping, so
that they are of one size and fit float16.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headwater.curvature.ekfac import Factors
from headwater.gradients.blocks import Block, row_gradients

REFERENCE_DAMPING = 0.1


@dataclass(frozen=True)
class Coordinates:
    """Which eigen-coordinates of one head are kept.

    Attributes:
        index: positions in the concatenated, flattened blocks, ascending int64 [k].
        scale: what each stored value is divided by, float64 [k].
    """

    index: np.ndarray
    scale: np.ndarray


def flatten_blocks(values: dict[str, Tensor], blocks: list[Block]) -> np.ndarray:
    """One head's per-block matrices as one flat float64 vector."""
    return np.concatenate([values[str(b)].double().numpy().ravel() for b in blocks])


def flat_lambdas(
    factors: Factors, blocks: list[Block]
) -> tuple[np.ndarray, np.ndarray]:
    """One head's lambdas and, for each, the mean lambda of its block."""
    lambdas = flatten_blocks(factors.lambdas, blocks)
    means = {k: torch.full_like(v, float(v.mean())) for k, v in factors.lambdas.items()}
    return lambdas, flatten_blocks(means, blocks)


def eigen_gradient(
    factors: Factors, blocks: list[Block], gradient: dict[str, Tensor]
) -> np.ndarray:
    """A probe's gradient in the eigenbasis of the head's blocks, flat float64.

    Args:
        factors: EK-FAC factors.
        blocks: the blocks of one head.
        gradient: by block name, [rows, columns].
    """
    pieces = []
    for block in blocks:
        left, right = factors.bases[block.left], factors.bases[block.right]
        pieces.append((left.mT @ gradient[block.name] @ right).numpy().ravel())
    return np.concatenate(pieces)


def choose_coordinates(
    factors: Factors,
    blocks: list[Block],
    probes: list[dict[str, Tensor]],
    count: int,
) -> Coordinates:
    """The `count` coordinates of one head that carry most of its scores' variance.

    Args:
        factors: EK-FAC factors of the head's blocks.
        blocks: the blocks of one head.
        probes: gradients of the head's probes, by block name.
        count: how many to keep; all of them if there are fewer.
    """
    lambdas, means = flat_lambdas(factors, blocks)
    damped = lambdas + REFERENCE_DAMPING * means
    damped[damped == 0] = 1.0  # a block without curvature: no variance, any scale
    variance = np.zeros_like(lambdas)
    for probe in probes:
        terms = (eigen_gradient(factors, blocks, probe) / damped) ** 2 * lambdas
        variance += terms / max(terms.sum(), 1e-300)
    index = np.sort(np.argsort(-variance, kind="stable")[:count])
    return Coordinates(index, np.sqrt(damped[index]))


def project(
    rotated: dict[str, Tensor], blocks: list[Block], kept: Coordinates
) -> Tensor:
    """Whitened kept coordinates of each row's gradient of one head: [batch, k].

    Args:
        rotated: sides in their eigenbases (`blocks.rotate`).
        blocks: the blocks of one head.
        kept: from `choose_coordinates`.
    """
    flat = torch.cat([row_gradients(rotated, b).flatten(1) for b in blocks], dim=1)
    index = torch.from_numpy(kept.index).to(flat.device)
    scale = torch.from_numpy(kept.scale).to(flat)
    return flat.index_select(1, index) / scale
