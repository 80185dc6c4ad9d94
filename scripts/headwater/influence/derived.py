"""Scores that follow from others, row by row: formulas in `interventions/scores`."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Float32, Float64

from headwater.influence.average import mean_scores, point_factors

Scores = Float32[np.ndarray, " rows"]


def own_time(scores: Float[np.ndarray, "rows points"]) -> Scores:
    """Each row's score at the last checkpoint before it, all on the first's scale.

    Args:
        scores: NaN where a row is not scored; the window's checkpoints in order.
    """
    scaled = scores * point_factors(scores)
    last = scores.shape[1] - 1 - np.argmax(np.isfinite(scores)[:, ::-1], axis=1)
    return np.asarray(scaled[np.arange(len(scaled)), last], np.float32)


def derived_scores(
    points: Float[np.ndarray, "rows points"],
    norms: Float[np.ndarray, " rows"],
    losses: Float[np.ndarray, " rows"],
) -> Mapping[str, Scores]:
    """All that follows from the scores of every checkpoint.

    Args:
        points: `mda` at the window's checkpoints, of all rows in training order.
        norms: of the rows' gradients.
        losses: of the rows, nats; above 0.
    """
    mean = mean_scores(points, point_factors(points))
    left: Float64[np.ndarray, " rows"] = 1 - np.linspace(0, 1, len(points))
    found = {
        "remaining": mean * left,
        "signed_norm": np.sign(mean) * norms,
        "per_loss": mean / losses,
    }
    if points.shape[1] > 1:
        own = own_time(points)
        found |= {
            "first_checkpoint": points[:, 0],
            "own_time": own,
            "own_time_remaining": own * left,
        }
    return {name: np.asarray(values, np.float32) for name, values in found.items()}
