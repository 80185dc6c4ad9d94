"""How influence is spread: over rows (Lorenz curves), and over training.

Positive *mass* is the sum of the scores above 0, negative mass that of those below. A
Lorenz curve says what share of either the rows of the largest have.
"""

from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from headwater.catalysts.documents import CONFIDENCE
from headwater.catalysts.rows import ScoredRows
from headwater.influence.ranking import TOPS, held_by_most, top_count

POINTS = 101  # of a Lorenz curve
BINS = 20  # of the window's steps
SIGNS = {"positive": 1.0, "negative": -1.0}


def lorenz(rows: ScoredRows) -> dict[str, Any]:
    """The curve of positive and of negative mass, and what the largest rows hold.

    Returns:
        By sign: `mass`, `rows` with any, the `curve` (share of all rows, share of the
        mass), and `held`: the share of the mass that 1, 5 and 10 % of all rows hold,
        with an interval over documents.
    """
    return {sign: _side(rows, factor * rows.scores) for sign, factor in SIGNS.items()}


def _side(rows: ScoredRows, values: Float64[np.ndarray, " rows"]) -> dict[str, Any]:
    own = np.maximum(values, 0.0)
    mass = float(own.sum())
    found: dict[str, Any] = {"mass": mass, "rows": int((own > 0).sum())}
    if not mass > 0:
        return {**found, "curve": [], "held": []}
    order = np.argsort(-own, kind="stable")
    running = held_by_most(own)
    places = np.round(np.linspace(0, len(own), POINTS)).astype(int)
    curve = [[place / len(own), float(running[place])] for place in places]
    held = [_held(rows, own, order, share) for share in TOPS]
    return {**found, "curve": curve, "held": held}


def _held(
    rows: ScoredRows,
    own: Float64[np.ndarray, " rows"],
    order: Int64[np.ndarray, " rows"],
    share: float,
) -> dict[str, float]:
    inside = np.zeros(len(own))
    inside[order[: top_count(share, len(own))]] = 1.0
    sums = rows.documents.sums(np.stack([own * inside, own], axis=1))
    samples = rows.documents.samples(sums)
    low, high = _interval(samples[:, 0] / np.maximum(samples[:, 1], 1e-300))
    mass = float((own * inside).sum() / own.sum())
    return {"rows": share, "mass": mass, "low": low, "high": high}


def over_training(
    rows: ScoredRows, steps: Int64[np.ndarray, " rows"]
) -> list[dict[str, float]]:
    """The window's steps in bins: mean score, shares of both masses and of top rows.

    Args:
        steps: the training step of each row.
    """
    edges = np.unique(np.linspace(steps.min(), steps.max() + 1, BINS + 1).astype(int))
    place = np.digitize(steps, edges) - 1
    bins = len(edges) - 1
    inside = (place[:, None] == np.arange(bins)).astype(np.float64)
    sums = rows.documents.sums(
        np.concatenate([inside, inside * rows.scores[:, None]], axis=1)
    )
    samples = rows.documents.samples(sums)
    means = samples[:, bins:] / np.maximum(samples[:, :bins], 1.0)
    top = rows.band("top_10")
    positive, negative = (np.maximum(sign * rows.scores, 0) for sign in (1, -1))
    found = []
    for number in range(bins):
        own = inside[:, number] > 0
        low, high = _interval(means[:, number])
        found.append(
            {
                "first_step": int(edges[number]),
                "last_step": int(edges[number + 1] - 1),
                "rows": int(own.sum()),
                "mean_score": float(rows.scores[own].mean()),
                "low": low,
                "high": high,
                "positive_mass": _share(positive, own),
                "negative_mass": _share(negative, own),
                "top_10": _share(top.astype(np.float64), own),
            }
        )
    return found


def _share(values: Float64[np.ndarray, " rows"], own: np.ndarray) -> float:
    total = float(values.sum())
    return float(values[own].sum()) / total if total > 0 else 0.0


def _interval(values: Float64[np.ndarray, " samples"]) -> tuple[float, float]:
    edge = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [edge, 1 - edge])
    return float(low), float(high)
