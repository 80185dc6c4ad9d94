"""Section `scores`: how the scores of all rows of the window are spread."""

from typing import Any

import numpy as np
from jaxtyping import Float

from headwater.influence.ranking import held_by_most, spearman, top_count
from headwater.report.page.enrichment import PARTS
from headwater.report.page.inputs import Inputs, Ranking
from headwater.report.page.values import each, rounded

BINS, CURVE_POINTS = 60, 101
LOSS_BINS = 40
OUTLIER = 2.0  # times the third highest score


def scores(run: Inputs, ranking: Ranking) -> dict[str, Any]:
    """Histogram, Lorenz curves, and how scores go with loss and step.

    Of the rows whose score is a finite number; the others are only counted.
    """
    known = np.flatnonzero(np.isfinite(ranking.scores))
    values = ranking.scores[known].astype(np.float64)
    count = {"unknown": len(ranking.scores) - len(known)}
    if not len(known):
        nothing = dict.fromkeys(("positive", "loss_correlation", "outlier"))
        return {**count, **nothing, "top_share": _top_shares(values)}
    loss = run.losses[known] / run.length
    steps = run.window.step_of(known)
    domains = run.window.domains()[known]
    return {
        **count,
        "histogram": _histogram(values, domains, len(run.window.rows.domain_names)),
        "lorenz": {
            "positive": _lorenz(np.maximum(values, 0)),
            "negative": _lorenz(np.maximum(-values, 0)),
        },
        "top_share": _top_shares(values),
        "positive": rounded(np.mean(values > 0)),
        "loss_bins": _grid(loss, values, symlog_edges(values, LOSS_BINS)),
        "loss_correlation": rounded(spearman(loss, values)),
        "step_bins": _steps(steps, values),
        "outlier": _outlier(values),
    }


def symlog_edges(values: Float[np.ndarray, " rows"], bins: int) -> np.ndarray:
    """Edges of bins, even in a scale that is linear near 0 and logarithmic beyond.

    The scale is asinh of the score over its median size.
    """
    unit = float(np.median(np.abs(values))) or float(np.abs(values).max()) or 1.0
    low, high = (np.arcsinh(edge / unit) for edge in (values.min(), values.max()))
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.sinh(np.linspace(low, high, bins + 1)) * unit
    edges[0] = min(edges[0], values.min())
    edges[-1] = max(edges[-1], values.max())
    return np.asarray(edges)


def _histogram(values: np.ndarray, domains: np.ndarray, names: int) -> dict[str, Any]:
    edges = symlog_edges(values, BINS)
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, BINS - 1)
    counts = {
        str(number): np.bincount(place[domains == number], minlength=BINS).tolist()
        for number in range(names)
    }
    whole = np.bincount(place, minlength=BINS).tolist()
    unit = rounded(float(np.median(np.abs(values))))
    return {"edges": each(edges), "unit": unit, "counts": {"all": whole, **counts}}


def _lorenz(mass: np.ndarray) -> list[list[Any]]:
    """Share of the mass that the highest rows hold, by share of the rows."""
    held = held_by_most(mass)
    if not len(held):
        return []
    shares = np.linspace(0, 1, CURVE_POINTS) ** 2  # most points where it bends
    places = np.rint(shares * len(mass)).astype(int)
    return [[rounded(p / len(mass)), rounded(held[p])] for p in np.unique(places)]


def _top_shares(values: np.ndarray) -> dict[str, Any]:
    """Of the positive mass, the share that the top rows hold; in per cent."""
    held = held_by_most(np.maximum(values, 0))
    return {
        name: rounded(held[top_count(share, len(values))]) if len(held) else None
        for name, share in PARTS.items()
    }


def _grid(x: np.ndarray, y: np.ndarray, edges: np.ndarray) -> dict[str, Any]:
    across = np.linspace(
        x.min(), x.max() if x.max() > x.min() else x.min() + 1, LOSS_BINS + 1
    )
    counts, _, _ = np.histogram2d(x, y, bins=[across, edges])
    return {
        "x_edges": each(across),
        "y_edges": each(edges),
        "counts": counts.astype(int).tolist(),
    }


def _steps(steps: np.ndarray, values: np.ndarray) -> dict[str, Any]:
    bins = min(40, int(steps.max() - steps.min()) + 1)
    edges = np.linspace(steps.min(), steps.max() + 1, bins + 1)
    place = np.searchsorted(edges, steps, side="right") - 1
    parts = [values[place == number] for number in range(bins)]
    known = [part for part in parts if len(part)]
    kept = [edges[n] for n, part in enumerate(parts) if len(part)] + [edges[-1]]
    return {
        "edges": each(kept),
        "mean": each(part.mean() for part in known),
        "low": each(np.quantile(part, 0.05) for part in known),
        "high": each(np.quantile(part, 0.95) for part in known),
    }


def _outlier(values: np.ndarray) -> dict[str, Any] | None:
    """The highest scores, where the first is more than twice the third."""
    top = np.sort(values)[::-1][:3]
    if len(top) < 3 or not 0 < top[2] * OUTLIER < top[0]:
        return None
    return {"scores": each(top), "times": rounded(top[0] / top[2])}
