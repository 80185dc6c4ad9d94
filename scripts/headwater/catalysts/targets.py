"""Targets beside each other: shared top rows, and what one's rows do to all heads."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from headwater.evaluation.specificity import FINAL
from headwater.influence.ranking import TOPS, spearman, top_count, top_overlap

OVERLAP_COLUMNS = ["target", "other", "share", "overlap", "chance", "spearman"]
REMOVAL_COLUMNS = [
    *("arm", "target", "name", "target_of", "baseline", "change", "relative"),
    *("random_low", "random_high"),
]
Arms = Mapping[str, Mapping[str, Any]]


def overlap(scores: Mapping[str, Float[np.ndarray, " rows"]]) -> pd.DataFrame:
    """What share of their top rows each two targets have in common.

    `chance` is what two draws of as many rows would share; `spearman` correlates all
    scores.

    Args:
        scores: of all rows, by target.
    """
    lines = []
    for one, other in combinations(scores, 2):
        first, second = scores[one], scores[other]
        rows, together = len(first), spearman(first, second)
        for share in TOPS:
            chance = top_count(share, rows) / rows
            overlap = top_overlap(first, second, share)
            lines.append((one, other, share, overlap, chance, together))
    return pd.DataFrame(lines, columns=OVERLAP_COLUMNS)


def removal(
    specificity: pd.DataFrame,
    arms: Arms,
    heads: Mapping[str, str],
) -> pd.DataFrame:
    """What removing one target's top rows does to every head: a line for each.

    `change` is of the head's score at the window's end against the baseline, the mean
    over the arm's draws, and `relative` a share of the baseline's. `random_low` and
    `random_high` are the range of the runs without as many random rows.

    Args:
        specificity: `evaluation/specificity.tsv`.
        arms: of the config.
        heads: of the targets, by name.
    """
    finals = specificity[
        (specificity["what"] == FINAL) & (specificity["kind"] == "head")
    ]
    lines = [
        line
        for name, arm in arms.items()
        if arm["action"] == "remove" and arm["rows"] == "top"
        for line in _changes(finals, name, arm, arms, heads)
    ]
    return pd.DataFrame(lines, columns=REMOVAL_COLUMNS)


def _changes(
    finals: pd.DataFrame,
    name: str,
    arm: Mapping[str, Any],
    arms: Arms,
    heads: Mapping[str, str],
) -> Iterator[tuple[Any, ...]]:
    controls = [
        other
        for other, its in arms.items()
        if (its["action"], its["rows"], its["fraction"])
        == ("remove", "random", arm["fraction"])
    ]
    chance = finals[finals["arm"].isin(controls)]["change"].groupby(
        finals["name"], sort=False
    )
    low, high = chance.min(), chance.max()
    own = finals[finals["arm"] == name].groupby("name", sort=False)
    for head, lines in own:
        before, change = float(lines["baseline"].iloc[0]), float(lines["change"].mean())
        relative = change / before if before else float("nan")
        targets = ",".join(t for t, its in heads.items() if its == head)
        bounds = (float(side.get(head, float("nan"))) for side in (low, high))
        yield name, arm["target"], head, targets, before, change, relative, *bounds
