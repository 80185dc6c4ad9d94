"""Section `fidelity`: the stored scores beside exact ones on a sample of rows."""

from typing import Any

import numpy as np
from jaxtyping import Float

from headwater.report.page.inputs import Inputs, Ranking
from headwater.report.page.values import each, rounded
from headwater.seeds import stable_seed

SAMPLES, CONFIDENCE = 1000, 0.95


def fidelity(run: Inputs, ranking: Ranking) -> dict[str, Any] | None:
    """Both scores of the sample, and their rank correlation with its interval."""
    table = run.sample
    own = table[table["target"] == ranking.name] if len(table) else table
    if own.empty:
        return None
    stored, exact = own["stored"].to_numpy(float), own["exact"].to_numpy(float)
    seed = stable_seed(run.config["seed"], "fidelity interval", ranking.name)
    low, high = correlation_interval(stored, exact, np.random.default_rng(seed))
    line = run.fidelity[run.fidelity["target"] == ranking.name].iloc[0]
    return {
        "row": own["row"].tolist(),
        "stored": each(stored),
        "exact": each(exact),
        "spearman": rounded(line["spearman"]),
        "low": rounded(low),
        "high": rounded(high),
        "overlap": {"10": rounded(line["overlap_10"]), "1": rounded(line["overlap_1"])},
    }


def correlation_interval(
    one: Float[np.ndarray, " rows"],
    other: Float[np.ndarray, " rows"],
    generator: np.random.Generator,
) -> tuple[float, float]:
    """Ends of the 95 % interval of Spearman's correlation, over samples of the rows.

    The ranks are those among all rows: they are not taken anew in each sample. A row
    without a finite score has no rank.
    """
    from scipy.stats import rankdata  # slow to import

    known = np.isfinite(one) & np.isfinite(other)
    one, other = one[known], other[known]
    ranks = np.stack([rankdata(one), rankdata(other)])
    if len(one) < 3 or (ranks.std(axis=1) == 0).any():
        return float("nan"), float("nan")
    drawn = generator.integers(0, len(one), (SAMPLES, len(one)))
    x, y = ranks[:, drawn]
    x, y = (v - v.mean(axis=1, keepdims=True) for v in (x, y))
    with np.errstate(all="ignore"):
        found = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    edges = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    low, high = np.nanquantile(found, edges)
    return float(low), float(high)
