"""Rankings examined against rows whose truth is known: planted records and decoys."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from headwater.influence.ranking import TOPS, top_count


def auc(
    scores: Float[np.ndarray, " rows"],
    wanted: Bool[np.ndarray, " rows"],
    among: Bool[np.ndarray, " rows"],
) -> float:
    """Chance that a wanted row is ranked above another one; ties count half.

    The Mann-Whitney statistic over its largest value: 0.5 = no better than a draw.

    Args:
        among: the other rows that count; wanted ones among them do not.

    Returns:
        NaN without rows of both.
    """
    from scipy.stats import rankdata  # slow, and the rankings do without

    kept = wanted | among
    own = wanted[kept]
    count, others = int(own.sum()), int((~own).sum())
    if not (count and others):
        return float("nan")
    above = rankdata(scores[kept])[own].sum() - count * (count + 1) / 2
    return float(above / (count * others))


def precision(
    scores: Float[np.ndarray, " rows"], wanted: Bool[np.ndarray, " rows"], share: float
) -> float:
    """Share of wanted rows among the highest; of ties with the last, their mean."""
    count = top_count(share, len(scores))
    last = np.partition(scores, -count)[-count]
    above, ties = scores > last, scores == last
    places = count - int(above.sum())
    return float((wanted[above].sum() + places * wanted[ties].mean()) / count)


def examination(
    rankings: Mapping[str, Float[np.ndarray, " rows"]],
    kinds: Mapping[str, Bool[np.ndarray, " rows"]],
    wanted: str,
) -> pd.DataFrame:
    """One line a ranking: how well it finds the wanted rows.

    `auc_all` is against all other rows, `auc_<kind>` against those of a decoy; then
    precision, and the share of each kind of decoy, in the top 1, 5 and 10 %.

    Args:
        rankings: of every row, the highest first.
        kinds: rows of each generated kind.
        wanted: which of them is to be found.
    """
    truth = kinds[wanted]
    decoys = {kind: rows for kind, rows in kinds.items() if kind != wanted}
    lines = []
    for name, values in rankings.items():
        line: dict[str, str | float] = {"ranking": name}
        line["auc_all"] = auc(values, truth, ~truth)
        for kind, rows in decoys.items():
            line[f"auc_{kind}"] = auc(values, truth, rows)
        for share in TOPS:
            top = f"{100 * share:g}"
            line[f"precision_{top}"] = precision(values, truth, share)
            for kind, rows in decoys.items():
                line[f"{kind}_{top}"] = precision(values, rows, share)
        lines.append(line)
    return pd.DataFrame(lines)
