"""Somebody's scores beside an experiment's own, as judged by its bank of runs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64

from headwater.errors import HeadwaterError
from headwater.evaluation.bank import RESPONSES, Bank
from headwater.evaluation.lds import AGAIN
from headwater.interventions.rowfile import file_digest, read_rows
from headwater.report.claims import table_lines

# Headings of columns, and those of `lds.tsv`: the value and its interval, how printed.
_JUDGED = {
    "LDS": (("lds", "low", "high"), "+.2f"),
    "beyond domains": (("lds_mix", "mix_low", "mix_high"), "+.2f"),
    "slope": (("slope", "slope_low", "slope_high"), "+.2g"),
}
NOTE = (
    "LDS: Spearman's correlation of predicted and measured changes over the runs.\n"
    "In brackets 95 % intervals. Columns and responses: docs/recipes.md."
)


def scores_of_file(path: Path, bank: Bank) -> Float64[np.ndarray, " rows"]:
    """The user's score of every row of the bank's window.

    Raises:
        HeadwaterError: names the file and, where a line is wrong, the line.
    """
    scores = read_rows(path, bank.rows, file_digest(path))
    if missing := int(np.isinf(scores).sum()):
        row = bank.first + int(np.argmax(np.isinf(scores)))
        raise HeadwaterError(
            f"{path}: {missing} of the window's {len(scores)} rows have no score, the "
            f"first is row {row}; add a line for each"
        )
    return scores


def beside(own: pd.DataFrame, known: pd.DataFrame) -> Iterator[str]:
    """The user's lines of the table, and where they stand among the experiment's.

    Args:
        own: of `lds_table`, of one score.
        known: `evaluation/lds.tsv`.
    """
    for arm, lines in own[own["score"] != AGAIN].groupby("arm", sort=False):
        yield f"{arm}, {lines['n'].iloc[0]} runs"
        rows = [("response", *_JUDGED)]
        for _, line in lines.iterrows():
            cells = (_between(line, *how) for how in _JUDGED.values())
            rows.append((line["response"], *cells))
        yield from table_lines(rows)
        yield "  LDS beside the experiment's own scores"
        yield from table_lines(list(_ranked(lines, known[known["arm"] == arm])))
        yield ""
    yield NOTE


def _ranked(own: pd.DataFrame, known: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    """Scores in lines, the best first; the user's is marked."""
    measured = [name for name in RESPONSES if name in {*own["response"]}]
    named = own.assign(score="> " + own["score"])
    both = pd.concat([named, known])
    table = both.pivot(index="score", columns="response", values="lds")
    yield "score", *measured
    for score, line in table.sort_values(measured[0], ascending=False).iterrows():
        yield str(score), *(_number(line[name]) for name in measured)


def _number(value: float) -> str:
    return f"{value:+.2f}" if np.isfinite(value) else "-"


def _between(line: pd.Series, keys: tuple[str, ...], form: str) -> str:
    value, low, high = (float(line[key]) for key in keys)
    if not np.isfinite(value):
        return "-"
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"
