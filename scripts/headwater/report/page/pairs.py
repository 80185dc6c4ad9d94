"""Section `units`: how far the rankings of two targets agree."""

from itertools import combinations
from typing import Any

from headwater.influence.ranking import spearman, top_overlap
from headwater.report.page.enrichment import PARTS
from headwater.report.page.inputs import Inputs
from headwater.report.page.values import rounded


def pairs(run: Inputs) -> list[dict[str, Any]]:
    """Every pair of targets: rank correlation, and overlap of their top rows."""
    found = []
    for one, other in combinations(range(len(run.rankings)), 2):
        both = run.rankings[one], run.rankings[other]
        first, second = (ranking.scores for ranking in both)
        overlap = {
            name: rounded(top_overlap(first, second, share))
            for name, share in PARTS.items()
        }
        value = spearman(first, second)
        found.append(
            {
                "targets": [one, other],
                "spearman": rounded(value),
                "overlap": overlap,
            }
        )
    return found
