"""A comparison of two rankings as text for a terminal."""

from collections.abc import Iterator

import pandas as pd

from headwater.influence.ranking import three_digits
from headwater.library.compare import Comparison
from headwater.library.results import Results
from headwater.library.selection import of_target
from headwater.report.visible import plain

_TEXT = 60  # letters of a row that are shown
_NAME = 20


def comparison_text(
    found: Comparison,
    first: tuple[Results, str],
    second: tuple[Results, str],
    count: int,
) -> str:
    """The whole comparison.

    Args:
        count: rows to show that are high for one only.
    """
    blocks = [
        _asked(found, first, second),
        _agreement(found),
        _domains(found.domains),
        _only(found, "first", first, count),
        _only(found, "second", second, count),
    ]
    return "\n\n".join("\n".join(block) for block in blocks)


def _asked(
    found: Comparison, first: tuple[Results, str], second: tuple[Results, str]
) -> Iterator[str]:
    for word, (run, name) in (("first", first), ("second", second)):
        yield f"{word:<8}{of_target(run, name)} of {plain(str(run.folder))}"
    one, other = found.counts
    if "row_second" in found.rows:
        yield (
            f"{len(found.rows):,} rows are in both windows, of {one:,} and {other:,}; "
            "the others are left out"
        )
    else:
        yield f"{len(found.rows):,} rows"


def _agreement(found: Comparison) -> Iterator[str]:
    low, high = map(three_digits, found.interval)
    value = three_digits(found.correlation)
    yield f"Spearman correlation {value} [{low}, {high}] (95 %, rows as independent)"
    for line in found.overlaps.itertuples():
        yield (
            f"top {line.share:4.0%}  {line.overlap:4.0%} of {line.rows:,} rows are in "
            f"both (by chance {line.share:.0%})"
        )


def _domains(table: pd.DataFrame) -> Iterator[str]:
    yield f"{'enrichment of the top 10 %':<28}{'first':>8}{'second':>8}"
    for line in table.sort_values("enrichment_first", ascending=False).itertuples():
        cells = (line.enrichment_first, line.enrichment_second)
        shown = "".join(f"{'-' if pd.isna(c) else f'{c:.2f}':>8}" for c in cells)
        yield f"  {plain(str(line.domain))[:_NAME]:<26}{shown}"


def _only(
    found: Comparison, side: str, of: tuple[Results, str], count: int
) -> Iterator[str]:
    other = {"first": "second", "second": "first"}[side]
    yield f"in the top 5 % of the {side}, lowest for the {other}:"
    yield f"{'row':>10}  rank {side:<8} rank {other:<8} domain"
    for line in found.only(side, count).itertuples():
        text = plain(of[0].text(line.row if side == "first" else _row(line)))
        ranks = getattr(line, f"rank_{side}"), getattr(line, f"rank_{other}")
        yield (
            f"{line.row:>10}  {ranks[0]:>13,} {ranks[1]:>13,} "
            f"{plain(str(line.domain))[:12]:<12} {text[:_TEXT]}"
        )


def _row(line: "pd.Series") -> int:
    """The number of a row in the second's run."""
    return int(getattr(line, "row_second", line.row))
