"""Section `domains`: where the top and the bottom rows come from, with intervals.

Rows of one document are not independent, so the intervals are percentiles over samples
of documents, drawn with replacement from a fixed seed. A row counts for the document
that it begins with. Which rows are at the top is kept as it is.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from headwater.corpus.rowstore import LINE, SOURCE
from headwater.influence.ranking import TOPS, top_count
from headwater.report.page.inputs import Inputs, Ranking
from headwater.report.page.values import rounded
from headwater.seeds import stable_seed

SAMPLES, CONFIDENCE = 1000, 0.95
PARTS = {f"{100 * share:g}": share for share in TOPS}  # per cent, as on the page
_BLOCK = 1 << 24  # drawn numbers held at once


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
    tips = dict(_tips(ranking.shown.ranks, count))
    seed = stable_seed(run.config["seed"], "domains", ranking.name)
    ratios = {
        name: ratio_intervals(
            domains, wanted, documents, len(names), np.random.default_rng(seed)
        )
        for name, wanted in tips.items()
    }
    shares = {
        name: np.bincount(domains[wanted], minlength=len(names)) / wanted.sum()
        for name, wanted in tips.items()
    }
    found = []
    for place, name in enumerate(names):
        each = {
            tip: {
                "share": rounded(shares[tip][place]),
                **dict(zip(("ratio", "low", "high"), map(rounded, three), strict=True)),
            }
            for tip, three in ((t, r[:, place]) for t, r in ratios.items())
        }
        line = {"domain": name, "rows": int(rows[place])}
        line |= {"share": rounded(rows[place] / count), "bottom": each.pop("bottom")}
        found.append({**line, "top": each})
    return found


def _tips(ranks: np.ndarray, count: int) -> Iterator[tuple[str, np.ndarray]]:
    for name, share in PARTS.items():
        yield name, ranks <= top_count(share, count)
    yield "bottom", ranks > count - top_count(PARTS["10"], count)


def ratio_intervals(
    domains: Int[np.ndarray, " rows"],
    wanted: Bool[np.ndarray, " rows"],
    documents: Int[np.ndarray, " rows"],
    count: int,
    generator: np.random.Generator,
) -> Float[np.ndarray, "3 domains"]:
    """Ratio of each domain's share of the wanted rows to its share of all rows.

    Args:
        domains: of every row, a number below `count`.
        documents: of every row, the number of its document.

    Returns:
        The ratio and the ends of its 95 % interval; NaN for a domain without rows.
    """
    many = int(documents.max()) + 1
    rows, top = np.zeros((2, many, count))
    np.add.at(rows, (documents, domains), 1)
    np.add.at(top, (documents, domains), wanted)
    drawn = [
        _ratios(weights @ rows, weights @ top) for weights in _weights(many, generator)
    ]
    ratio = _ratios(rows.sum(axis=0), top.sum(axis=0))
    edges = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    with np.errstate(all="ignore"):
        samples = np.concatenate(drawn)
        known = np.isfinite(samples).any(axis=0)
        ends = np.full((2, count), np.nan)
        ends[:, known] = np.nanquantile(samples[:, known], edges, axis=0)
    return np.vstack([ratio, ends])


def _weights(
    many: int, generator: np.random.Generator
) -> Iterator[Float[np.ndarray, "samples documents"]]:
    """How often each document is in each sample, some samples at a time."""
    size = max(1, min(SAMPLES, _BLOCK // many))
    for start in range(0, SAMPLES, size):
        some = min(size, SAMPLES - start)
        yield generator.multinomial(many, np.full(many, 1 / many), some).astype(float)


def _ratios(rows: np.ndarray, top: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        share = rows / rows.sum(axis=-1, keepdims=True)
        return np.asarray(top / top.sum(axis=-1, keepdims=True) / share)
