"""Enrichment of domains and features in the top rows and the lowest, as ratios.

Each line divides a mean over a band by a mean over the rows that it is compared with.
A *view* says which those are:

all               all rows of the window
domain            all rows, weighted so that they have the band's mix of domains
loss              the same with the band's mix of losses, by decile
domain and loss   the same with both
within <domain>   rows of one domain alone; the band is a share of these

So what stays above 1 in view `domain` is more frequent in the top rows than their
domains explain. Domains themselves are compared in views `all` and `loss`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64

from headwater.catalysts.documents import Ratios
from headwater.catalysts.rows import BANDS, DOMAIN, FEATURE, ScoredRows

COLUMNS = [
    *("view", "band", "kind", "name", "in_band", "in_others"),
    *("ratio", "low", "high", "documents"),
]
VIEWS: dict[str, tuple[str, ...]] = {
    "all": (),
    "domain": ("domain",),
    "loss": ("loss",),
    "domain and loss": ("domain", "loss"),
}
WITHIN = "within {}"
WITHIN_BANDS = ("top_10", "bottom_10")
FEWEST_ROWS = 100  # of a domain that is looked at on its own


def enrichment(rows: ScoredRows) -> pd.DataFrame:
    """Every view of every band: a line a domain or feature, `COLUMNS`."""
    lines = [
        line
        for view, alike in VIEWS.items()
        for band in BANDS
        for line in _compared(rows, view, band, alike)
    ]
    for number, name in enumerate(rows.names):
        own = rows.only(number)
        if len(own) >= FEWEST_ROWS and len(own) < len(rows):
            for band in WITHIN_BANDS:
                lines += _compared(own, WITHIN.format(name), band, ("domain",))
    return pd.DataFrame(lines, columns=COLUMNS)


def _compared(
    rows: ScoredRows, view: str, band: str, alike: tuple[str, ...]
) -> Iterator[tuple[object, ...]]:
    inside = rows.band(band)
    weights = matched(rows, inside, alike)
    kinds = {FEATURE: rows.features}
    if "domain" not in alike:
        kinds = {DOMAIN: rows.in_domain, **kinds}
    names = [(kind, name) for kind, found in kinds.items() for name in found]
    found = rows.documents.ratios(_columns(kinds), inside, weights)
    for number, (kind, name) in enumerate(names):
        yield view, band, kind, name, *_line(found, number)


def _columns(
    kinds: Mapping[str, Mapping[str, Float64[np.ndarray, " rows"]]],
) -> Float64[np.ndarray, "rows features"]:
    return np.stack([v for found in kinds.values() for v in found.values()], axis=1)


def _line(found: Ratios, number: int) -> tuple[float, ...]:
    sides = found.band, found.reference, found.ratio, found.low, found.high
    return *(float(side[number]) for side in sides), float(found.expected[number])


def matched(
    rows: ScoredRows, band: Bool[np.ndarray, " rows"], alike: tuple[str, ...]
) -> Float64[np.ndarray, " rows"]:
    """Weights by which all rows have a band's mix of cells of alike rows."""
    cells = replace(rows.facts, alike=alike).cells()
    size = int(cells.max()) + 1
    inside = np.bincount(cells[band], minlength=size)
    every = np.bincount(cells, minlength=size)
    return np.asarray((inside / np.maximum(1, every))[cells], np.float64)
