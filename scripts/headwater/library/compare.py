"""Two rankings of rows side by side: two targets of a run, or of two runs.

Runs train on rows in orders of their own. Rows of two runs are the same if they have
the same tokens; only those in both windows are compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xxhash
from jaxtyping import Float

from headwater.errors import HeadwaterError
from headwater.influence.ranking import TOPS, spearman, top_count, top_overlap
from headwater.library.results import Results

_HIGH = 0.05  # share of the rows that are high for one target
_NORMAL = 1.959964  # of a 95 % interval
_BLOCK = 8192  # rows that are read at once
FEWEST = 10  # rows in common


@dataclass(frozen=True)
class Comparison:
    """How two rankings agree.

    Attributes:
        rows: of both windows, in the first's order: `row`, `step`, `domain`,
            `score_first`, `score_second`, `rank_first`, `rank_second` (in each whole
            window), and with two runs `row_second`.
        counts: rows of each window.
        correlation: Spearman's.
        interval: 95 %, as if rows were independent.
        overlaps: a line a share of the rows: how many they are (`rows`), and the share
            of them that both rank so high (`overlap`; by chance it is `share`).
        domains: enrichment in the top 10 % of each whole window.
    """

    rows: pd.DataFrame
    counts: tuple[int, int]
    correlation: float
    interval: tuple[float, float]
    overlaps: pd.DataFrame
    domains: pd.DataFrame

    def only(self, high: str, count: int) -> pd.DataFrame:
        """Rows that are in the top 5 % for one and lowest for the other.

        Args:
            high: for which they are high, `first` or `second`.
            count: at most so many, the lowest for the other first.
        """
        other = {"first": "second", "second": "first"}[high]
        few = top_count(_HIGH, len(self.rows))
        top = self.rows.nlargest(few, f"score_{high}")
        return top.nsmallest(count, f"score_{other}")


def compare(
    first: tuple[Results, str | None], second: tuple[Results, str | None]
) -> Comparison:
    """Compare two targets, each of its run.

    Raises:
        HeadwaterError: a target is not there; or the runs have too few rows in common.
    """
    (one, _), (other, _) = first, second
    tables = [run.scores(target) for run, target in (first, second)]
    same = one.folder.absolute() == other.folder.absolute()
    rows = (
        _joined(tables[0], tables[1], "row")
        if same
        else _matched(one, other, tables[0], tables[1])
    )
    if len(rows) < FEWEST:
        raise HeadwaterError(
            f"{one.folder} and {other.folder}: {len(rows)} rows are in both windows, "
            f"too few to compare (fewest: {FEWEST})"
        )
    scores = rows["score_first"].to_numpy(), rows["score_second"].to_numpy()
    correlation = spearman(*scores)
    return Comparison(
        rows=rows,
        counts=(len(tables[0]), len(tables[1])),
        correlation=correlation,
        interval=interval(correlation, len(rows)),
        overlaps=pd.DataFrame(_overlaps(*scores)),
        domains=_domains(first, second),
    )


def interval(correlation: float, rows: int) -> tuple[float, float]:
    """95 % of a Spearman correlation (Bonett and Wright 2000), rows independent."""
    if rows <= 3 or not abs(correlation) < 1:
        return (correlation,) * 2 if abs(correlation) == 1 else (float("nan"),) * 2
    half = _NORMAL * np.sqrt((1 + correlation**2 / 2) / (rows - 3))
    middle = np.arctanh(correlation)
    return float(np.tanh(middle - half)), float(np.tanh(middle + half))


def _overlaps(
    first: Float[np.ndarray, " rows"], second: Float[np.ndarray, " rows"]
) -> Iterator[dict[str, float]]:
    for share in TOPS:
        count, overlap = top_count(share, len(first)), top_overlap(first, second, share)
        yield {"share": share, "rows": count, "overlap": overlap}


def _domains(
    first: tuple[Results, str | None], second: tuple[Results, str | None]
) -> pd.DataFrame:
    """Share of the window and enrichment of every domain, on both sides."""
    columns = ["domain", "share", "enrichment"]
    tables = [run.domains(target)[columns] for run, target in (first, second)]
    suffixes = ("_first", "_second")
    return tables[0].merge(tables[1], on="domain", how="outer", suffixes=suffixes)


def _joined(first: pd.DataFrame, second: pd.DataFrame, key: str) -> pd.DataFrame:
    """Rows of both tables, in the first's order, with both sides' scores and ranks."""
    kept = [key, "score", "rank"] + (["row"] if key != "row" else [])
    both = first.merge(second[kept], on=key, suffixes=("_first", "_second"))
    both = both.rename(columns={"row_first": "row"}).dropna()
    names = ["row", "row_second", "step", "domain"]
    names += [f"{what}_{side}" for what in ("score", "rank") for side in _SIDES]
    return both[[name for name in names if name in both]].reset_index(drop=True)


_SIDES = ("first", "second")


def _matched(
    one: Results, other: Results, first: pd.DataFrame, second: pd.DataFrame
) -> pd.DataFrame:
    """As `_joined`, of the rows of two runs that have the same tokens."""
    files = [run.reader.tokenizer_file.read_bytes() for run in (one, other)]
    if files[0] != files[1]:
        raise HeadwaterError(
            f"{one.folder} and {other.folder}: their tokenizers differ, so no row of "
            "one is a row of the other"
        )
    for run, table in ((one, first), (other, second)):
        table["tokens"] = list(_digests(run, table["row"].to_numpy()))
        # Of rows with the same tokens the first is matched with the first, and so on.
        again = table.groupby("tokens").cumcount().astype(str)
        table["tokens"] += "-" + again
    return _joined(first, second, "tokens")


def _digests(run: Results, rows: np.ndarray) -> Iterator[str]:
    for start in range(0, len(rows), _BLOCK):
        for tokens in run.reader.rows.take(rows[start : start + _BLOCK]):
            yield xxhash.xxh3_128_hexdigest(tokens.tobytes())
