"""The damped inverse of a factored Hessian, applied to a probe's gradient.

    influence(row) = - grad L(row)^T (H + damping)^-1 grad f            [MDA, Eq. 1]

Sign: giving a row more weight moves the parameters by `-H^-1 grad L(row)`, so the probe
moves by `-grad f^T H^-1 grad L(row)`. Positive influence = training more on the row
raises f: the row *helps* the unit. Damping is `alpha * mean(lambda)`, block by block.
Without a Hessian (`identity`) there is nothing to damp: the score is the plain product
of gradients.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from headwater.curvature.ekfac import Factors
from headwater.gradients.blocks import Matrices
from headwater.projection.coordinates import eigen_gradient, flat_lambdas
from headwater.units import Block


def solve(
    factors: Factors, blocks: Sequence[Block], gradient: Matrices, alpha: float
) -> Float64[np.ndarray, " parameters"]:
    """`(H + alpha mean(lambda))^-1 grad f` in the eigenbasis, flat.

    Args:
        factors: of the unit's blocks, of any kind.
        alpha: damping relative to the mean lambda of each block; above 0.

    Raises:
        HeadwaterError: the factors lack a unit.
    """
    factors.check(blocks)
    if factors.hessian == "identity":
        return eigen_gradient(factors, blocks, gradient)
    lambdas, means = flat_lambdas(factors, blocks)
    damped = lambdas + alpha * means
    # A block that never receives a gradient has lambda 0 throughout: no direction.
    safe = np.where(damped > 0, damped, np.inf)
    return eigen_gradient(factors, blocks, gradient) / safe
