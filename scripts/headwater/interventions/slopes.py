"""Arms of weights (`action: reweight`): a slope in place of a cut.

No row is cut. A row's weight is lowered in proportion to its score, where that is
positive, `w = 1 - min(1, k max(0, score))`, with `k` such that in all as much weight is
taken as `remove` takes with the same fraction. Its controls have the same set of
weights, dealt out in another order, so that arms differ in which rows lose weight and
in nothing else. A kind of rows that can be reweighted has a line in `SLOPES`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64
from numpy.random import Generator

from headwater.errors import HeadwaterError
from headwater.interventions.files import ArmRows


@dataclass(frozen=True)
class Slope:
    """How weight is taken from the rows.

    Attributes:
        label: in a legend, of `{share}`.
        fact: in whose order weights are dealt out, the most taken from the highest; ""
            leaves it to chance.
        sign: -1 to take it from rows with negative scores.
    """

    label: str
    fact: str = ""
    sign: int = 1


SLOPES: Mapping[str, Slope] = {
    "top": Slope("by {share} in proportion to score", "score"),
    "bottom": Slope("by {share} in proportion to negative score", "score", -1),
    "random": Slope("by {share} at random"),
    "loss": Slope("by {share}, the highest loss the most", "loss"),
}


def reweights(arm: Mapping[str, Any]) -> bool:
    """Whether an arm, by its entry in the config, lowers weights by scores."""
    return bool(arm["action"] == "reweight")


def taken(
    scores: Float[np.ndarray, " rows"], weight: float
) -> Float64[np.ndarray, " rows"]:
    """How much every row loses, from 0 to 1, in proportion to its score if positive.

    Args:
        scores: of every row.
        weight: what is taken in all; a row has 1.

    Raises:
        HeadwaterError: too few rows have a positive score.
    """
    positive = np.where(scores > 0, scores, 0).astype(np.float64)
    order = np.argsort(-positive, kind="stable")[: np.count_nonzero(positive)]
    if not 0 < weight <= len(order):
        raise HeadwaterError(
            f"arm: the weight of {weight:g} rows is to be taken, of {len(order)} whose "
            f"scores have its sign; {'lower' if weight else 'raise'} the arm's fraction"
        )
    # Some of the highest rows lose all they have, and from the next one on k times the
    # score adds up to the rest. They are as few as can be.
    highest, whole = positive[order], np.arange(len(order))
    beyond = np.cumsum(highest[::-1])[::-1]
    first = int(np.argmax((weight - whole) * highest <= beyond))
    k = (weight - first) / beyond[first]
    found = np.zeros(len(scores))
    found[order] = np.where(whole < first, 1, np.minimum(1, k * highest))
    return found


def reweighted_rows(
    kind: str,
    weight: float,
    numbers: Mapping[str, Float[np.ndarray, " rows"]],
    generator: Generator,
) -> ArmRows:
    """All rows of the window in their order, each with what it has left of its weight.

    Args:
        kind: one of `SLOPES`.
        weight: what is taken in all; a row has 1.
        numbers: facts of all rows: the score, and what weights are dealt out by.
        generator: deals out weights by chance.

    Raises:
        HeadwaterError: too few rows have a score of the right sign.
    """
    slope = SLOPES[kind]
    lost = taken(slope.sign * numbers["score"], weight)
    if slope.fact != "score":
        order = generator.permutation(len(lost))
        if slope.fact:  # of equal ones some by chance
            order = order[np.argsort(-numbers[slope.fact][order], kind="stable")]
        dealt = np.empty_like(lost)
        dealt[order] = np.sort(lost)[::-1]
        lost = dealt
    weights = (1 - lost).astype(np.float32)
    rows = np.arange(len(lost), dtype=np.int64)
    return ArmRows(rows, weights, np.flatnonzero(weights < 1))
