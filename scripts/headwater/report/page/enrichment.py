"""Section `domains`: where the top and the bottom rows come from, with intervals.

Intervals are over documents, as those of the catalysts (`catalysts.documents`). A row
counts for the document that it begins with.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Int

from headwater.catalysts.documents import Documents
from headwater.corpus.rowstore import LINE, SOURCE
from headwater.influence.ranking import TOPS, top_count
from headwater.report.page.inputs import Inputs, Ranking
from headwater.report.page.values import rounded
from headwater.seeds import stable_seed

PARTS = {f"{100 * share:g}": share for share in TOPS}  # per cent, as on the page


def documents_of(run: Inputs) -> Int[np.ndarray, " rows"]:
    """The document that each row of the window begins with, by number."""
    spans, begins = run.spans
    first = spans[begins[:-1]][:, [SOURCE, LINE]]
    return np.unique(first, axis=0, return_inverse=True)[1].reshape(-1)


def enrichment(
    run: Inputs, ranking: Ranking, documents: Int[np.ndarray, " rows"]
) -> list[dict[str, Any]]:
    """Every domain's share of the window, and its ratios in the tips of the ranking."""
    domains, names = run.window.domains(), run.window.rows.domain_names
    count = len(domains)
    rows = np.bincount(domains, minlength=len(names))
    seed = stable_seed(run.config["seed"], "catalysts", ranking.name)
    own, each_domain = Documents(documents, seed), np.eye(len(names))[domains]
    ratios = {
        name: own.ratios(each_domain, wanted)
        for name, wanted in _tips(ranking.shown.ranks, count)
    }
    found = []
    for place, name in enumerate(names):
        each = {
            tip: {
                "share": rounded(of_tip.band[place]),
                "ratio": rounded(of_tip.ratio[place]),
                "low": rounded(of_tip.low[place]),
                "high": rounded(of_tip.high[place]),
            }
            for tip, of_tip in ratios.items()
        }
        line = {"domain": name, "rows": int(rows[place])}
        line |= {"share": rounded(rows[place] / count), "bottom": each.pop("bottom")}
        found.append({**line, "top": each})
    return found


def _tips(ranks: np.ndarray, count: int) -> Iterator[tuple[str, np.ndarray]]:
    for name, share in PARTS.items():
        yield name, ranks <= top_count(share, count)
    yield "bottom", ranks > count - top_count(PARTS["10"], count)
