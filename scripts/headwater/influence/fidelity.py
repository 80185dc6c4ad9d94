"""How well stored, projected scores agree with exact ones, measured on a sample."""

import numpy as np
from jaxtyping import Float
from scipy.stats import spearmanr

from headwater.influence.ranking import TOP_FRACTION


def agreement(
    stored: Float[np.ndarray, " rows"], exact: Float[np.ndarray, " rows"]
) -> tuple[float, float]:
    """(Spearman correlation, overlap of the two top 10 %) of two score vectors."""
    count = max(1, round(TOP_FRACTION * len(exact)))
    tops = [set(np.argsort(-s, kind="stable")[:count]) for s in (stored, exact)]
    return float(spearmanr(stored, exact).statistic), len(tops[0] & tops[1]) / count
