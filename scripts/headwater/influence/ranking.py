"""What scores say: the extreme rows, where the highest come from, how two agree."""

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from headwater.corpus.window import WindowRows
from headwater.influence import EXTREMES

TOP_FRACTION = 0.1
TOPS = (0.01, 0.05, 0.1)  # shares of the rows that are looked at
FIDELITY_TOPS = {"10": TOP_FRACTION, "1": 0.01}  # per cent, as columns are named


def ranked_table(
    scores: Float[np.ndarray, " rows"],
    losses: Float[np.ndarray, " rows"],
    window: WindowRows,
    checkpoints: Int[np.ndarray, " rows"] | int = 1,
) -> pd.DataFrame:
    """The highest and the lowest rows, the highest first, under `rank` from 1.

    `row` is the global row number in training order; a positive `score` helps the head;
    it is a mean over so many `checkpoints`, on the scale of the window's first
    (`average`); the `loss` is summed over the row's tokens, in nats.
    """
    order = np.argsort(-scores, kind="stable")
    ranks = np.arange(1, len(scores) + 1)
    if len(order) > 2 * EXTREMES:
        ends = np.r_[0:EXTREMES, len(order) - EXTREMES : len(order)]
        order, ranks = order[ends], ranks[ends]
    names = np.array(window.rows.domain_names, object)
    return pd.DataFrame(
        {
            "rank": ranks,
            "row": order + window.first,
            "step": window.step_of(order),
            "domain": names[window.domains()[order]],
            "score": scores[order],
            "checkpoints": np.broadcast_to(checkpoints, scores.shape)[order],
            "loss": losses[order],
        }
    )


def domain_table(
    scores: Float[np.ndarray, " rows"], window: WindowRows
) -> pd.DataFrame:
    """Each domain's share of the window and of the top 10 %, and their ratio."""
    domains = window.domains()
    top = _highest(scores, TOP_FRACTION)
    count = len(window.rows.domain_names)
    rows = np.bincount(domains, minlength=count)
    share = rows / len(domains)
    share_top = np.bincount(domains[top], minlength=count) / len(top)
    sums = np.bincount(domains, weights=scores, minlength=count)
    present = np.maximum(rows, 1)
    table = pd.DataFrame(
        {
            "domain": window.rows.domain_names,
            "rows": rows,
            "share": share,
            "share_top": share_top,
            "enrichment": share_top / np.where(share > 0, share, np.nan),
            "mean_score": sums / present,
        }
    )
    return table.sort_values("enrichment", ascending=False, na_position="last")


def agreement(
    stored: Float[np.ndarray, " rows"], exact: Float[np.ndarray, " rows"]
) -> tuple[float, float]:
    """(Spearman correlation, overlap of the two top 10 %) of two score vectors."""
    overlap, _, _ = top_agreement(stored, exact, TOP_FRACTION)
    return spearman(stored, exact), overlap


def spearman(
    first: Float[np.ndarray, " rows"], second: Float[np.ndarray, " rows"]
) -> float:
    """Spearman's correlation; not a number where one side is constant."""
    if len(first) < 2 or (first == first[0]).all() or (second == second[0]).all():
        return float("nan")
    from scipy.stats import spearmanr  # slow, and some reports do without

    return float(spearmanr(first, second).statistic)


def top_count(share: float, rows: int) -> int:
    """How many rows a share of them is, at least one."""
    return max(1, round(share * rows))


def _highest(
    scores: Float[np.ndarray, " rows"], share: float
) -> Int[np.ndarray, " top"]:
    return np.argsort(-scores, kind="stable")[: top_count(share, len(scores))]


def top_overlap(
    first: Float[np.ndarray, " rows"], second: Float[np.ndarray, " rows"], share: float
) -> float:
    """Share of the highest rows of one score that another ranks as high."""
    one, other = _highest(first, share), _highest(second, share)
    return len(np.intersect1d(one, other)) / len(one)


def held_by_most(
    mass: Float[np.ndarray, " rows"],
) -> Float[np.ndarray, " rows_and_none"]:
    """Share of a mass that the rows with the most of it hold, by how many they are.

    Args:
        mass: of every row, never negative.

    Returns:
        From 0, of no row, to 1, of all; nothing where there is no mass.
    """
    if not (total := mass.sum()) > 0:
        return np.zeros(0)
    return np.concatenate([[0.0], np.cumsum(np.sort(mass)[::-1])]) / total


def top_agreement(
    stored: Float[np.ndarray, " rows"],
    exact: Float[np.ndarray, " rows"],
    fraction: float,
) -> tuple[float, float, float]:
    """How two score vectors agree on the rows that the exact ones rank highest.

    Returns:
        (overlap with the stored ones' top, mean ratio of stored to exact scores, share
        of scores of the same sign).
    """
    top = _highest(exact, fraction)
    found, wanted = stored[top].astype(float), exact[top].astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = float(np.mean(found / wanted))
    same = float(np.mean(np.sign(found) == np.sign(wanted)))
    return top_overlap(exact, stored, fraction), ratio, same


def three_digits(value: float) -> str:
    """A share or correlation; what is below 1 never reads as 1."""
    return f"{0.999 if 0.999 < value < 1 else value:z.3f}"
