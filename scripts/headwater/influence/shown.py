"""Which rows of the window the report holds: the tips, and some from between.

The highest rows alone mislead: their gradients are large since the model still gets
much of them wrong, so they are the least like the other top rows. So each target shows
its lowest rows too, and `QUANTILES` drawn one from each of as many equal stretches of
its ranking.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, UInt8

from headwater.identity import Config
from headwater.influence import QUANTILES
from headwater.seeds import stable_seed

DEFAULT = 2000  # of either tip; where every row is shown, of those that are marked
TOP, BOTTOM, DRAWN = 1, 2, 4  # bits of why a row is shown


@dataclass(frozen=True)
class Shown:
    """The rows that one target shows.

    Attributes:
        kept: their numbers in the window, ascending.
        why: of every row of the window, why it is shown: `TOP`, `BOTTOM` and `DRAWN`
            together; 0 = for none of these.
        ranks: of every row, 1 = the highest.
    """

    kept: Int64[np.ndarray, " shown"]
    why: UInt8[np.ndarray, " rows"]
    ranks: Int64[np.ndarray, " rows"]


def shown_rows(
    scores: Float[np.ndarray, " rows"], target: str, config: Config
) -> Shown:
    """The rows that a target shows (`report.rows`); all, if few others are left.

    Args:
        scores: of every row of the window.
        target: its name; another one draws other rows.
    """
    wanted, count = config["report"]["rows"], len(scores)
    tips = min(DEFAULT if wanted == "all" else wanted, count)
    order = np.argsort(-scores, kind="stable")
    ranks = np.empty(count, np.int64)
    ranks[order] = np.arange(1, count + 1)
    why = np.zeros(count, np.uint8)
    why[order[:tips]] |= TOP
    why[order[count - tips :]] |= BOTTOM
    generator = np.random.default_rng(stable_seed(config["seed"], "shown", target))
    why[order[quantile_places(count, QUANTILES, generator)]] |= DRAWN
    every = wanted == "all" or 2 * tips + QUANTILES >= count
    kept = np.arange(count) if every else np.flatnonzero(why)
    return Shown(kept, why, ranks)


def quantile_places(
    count: int, quantiles: int, generator: np.random.Generator
) -> Int64[np.ndarray, " drawn"]:
    """A place of a ranking from each of so many equal stretches; all of a short one."""
    if count <= quantiles:
        return np.arange(count)
    edges = np.linspace(0, count, quantiles + 1)
    places = np.floor(generator.uniform(edges[:-1], edges[1:])).astype(np.int64)
    return np.unique(np.minimum(places, count - 1))
