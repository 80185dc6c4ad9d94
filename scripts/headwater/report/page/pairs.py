"""Section `units`: how far the rankings of two targets agree."""

from itertools import combinations
from typing import Any

import numpy as np

from headwater.influence.ranking import spearman
from headwater.report.page.enrichment import PARTS
from headwater.report.page.inputs import Inputs
from headwater.report.page.values import rounded


def pairs(run: Inputs) -> list[dict[str, Any]]:
    """Every pair of targets: rank correlation, and overlap of their top rows."""
    found = []
    for one, other in combinations(range(len(run.rankings)), 2):
        both = run.rankings[one], run.rankings[other]
        ranks = [ranking.shown.ranks for ranking in both]
        counts = {name: max(1, round(p * len(ranks[0]))) for name, p in PARTS.items()}
        overlap = {
            name: rounded(np.sum((ranks[0] <= n) & (ranks[1] <= n)) / n)
            for name, n in counts.items()
        }
        value = spearman(both[0].scores, both[1].scores)
        found.append(
            {
                "targets": [one, other],
                "spearman": rounded(value),
                "overlap": overlap,
            }
        )
    return found
