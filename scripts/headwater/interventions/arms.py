"""The arms of the causal test.

An arm is, for every position of the window, the row trained there and its weight:

    remove   the picked rows get weight 0; the divisor of the loss stays
    repeat   the picked rows get weight 2, in place
    insert   random other positions train copies of the picked rows instead of their own

Which rows are picked:

    top      the highest-scoring rows of the arm's target
    random   a random draw of all rows
    domain   a random draw of the rows of one domain: the one that has most of the
             target's top rows (so that `top` can be told from "any row of this domain")
    matched  a random draw that has as many rows of each domain as the target's top rows
             (so that the ranking within the domains can be told from their mix)
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from headwater.errors import HeadwaterError


@dataclass(frozen=True)
class ArmRows:
    """What an arm trains on, by position in the window.

    Attributes:
        rows: the row trained at each position, counted from the window's first row.
        weights: its weight.
        picked: the rows the arm picked, ascending.
    """

    rows: Int64[np.ndarray, " positions"]
    weights: Float32[np.ndarray, " positions"]
    picked: Int64[np.ndarray, " picked"]


def top_rows(
    scores: Float[np.ndarray, " rows"], count: int
) -> Int64[np.ndarray, " picked"]:
    """The `count` rows with the highest scores, ties to the earlier row, ascending."""
    return np.sort(np.argsort(-scores, kind="stable")[:count])


def random_rows(
    candidates: np.ndarray, count: int, generator: np.random.Generator
) -> np.ndarray:
    """A draw of `count` of the candidates without replacement, ascending.

    Raises:
        HeadwaterError: fewer candidates than rows wanted.
    """
    if len(candidates) < count:
        raise HeadwaterError(
            f"arm: {count} rows wanted, but only {len(candidates)} to draw from; "
            "lower the arm's fraction"
        )
    return np.sort(generator.choice(candidates, size=count, replace=False))


def dominating_domain(domains: np.ndarray, top: np.ndarray) -> int:
    """The domain that most of the top rows belong to."""
    return int(np.bincount(domains[top]).argmax())


def matched_rows(
    domains: np.ndarray, top: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """A draw with as many rows of each domain as the top rows have, ascending.

    Top rows are drawn like all others. Without them the draw would be one of each
    domain's lower rows, and compare high with low instead of high with any.

    Args:
        domains: domain of every row of the window.
    """
    draws = [
        random_rows(np.flatnonzero(domains == domain), int(count), generator)
        for domain, count in enumerate(np.bincount(domains[top]))
    ]
    return np.sort(np.concatenate(draws))


def pick_rows(
    kind: str,
    count: int,
    domains: np.ndarray,
    scores: np.ndarray | None,
    generator: np.random.Generator,
) -> np.ndarray:
    """The rows an arm changes, ascending.

    Args:
        kind: `top`, `random`, `domain` or `matched`.
        domains: domain of every row of the window.
        scores: score of every row for the arm's target; None for `random`.
        generator: makes the draw of every kind but `top`.

    Raises:
        HeadwaterError: no row to pick, or more than there are.
    """
    if count == 0:
        raise HeadwaterError(
            f"arm: its fraction of the window's {len(domains)} rows is not one row; "
            "raise it"
        )
    if kind == "random":
        return random_rows(np.arange(len(domains)), count, generator)
    assert scores is not None, "the config check requires a target for this arm"
    top = top_rows(scores, count)
    if kind == "top":
        return top
    if kind == "matched":
        return matched_rows(domains, top, generator)
    domain = dominating_domain(domains, top)
    return random_rows(np.flatnonzero(domains == domain), count, generator)


def arm_rows(
    action: str,
    picked: Int64[np.ndarray, " picked"],
    total: int,
    generator: np.random.Generator,
) -> ArmRows:
    """Turn picked rows into a plan for every position of the window.

    Args:
        action: `remove`, `repeat` or `insert`.
        picked: row numbers from the window's first row, ascending.
        generator: chooses the positions that inserted copies replace.
    """
    rows = np.arange(total, dtype=np.int64)
    weights = np.ones(total, np.float32)
    if action == "remove":
        weights[picked] = 0.0
    elif action == "repeat":
        weights[picked] = 2.0
    else:
        others = np.setdiff1d(rows, picked)
        replaced = random_rows(others, len(picked), generator)
        rows[replaced] = generator.permutation(picked)
    return ArmRows(rows, weights, picked)
