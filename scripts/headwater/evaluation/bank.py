"""A bank of retrained runs, by which scores of rows can be judged: `evaluation/bank/`.

Tables of tab-separated text with a header; the first three are all that is needed to
judge scores of rows.

    window.tsv.gz  row, domain: every row of the window in training order; `row` is its
                   number in the whole run, as in `influence/<target>.tsv`
    rows.tsv.gz    run, row: a line for every row that a run was trained without
    runs.tsv       run, arm, draw, fraction (of the window's rows that it lacks), order
                   (0 = the baseline's), and what it measures, minus the baseline's:
                   mean_score     of the target's head, its mean over the window
                   final_score    of the target's head, at the window's end
                   probe          of the target, mean over the window
                   copy_gain, natural_copy_gain   nats, mean over the window
                   icl            nats, at the window's end; lower = learns more
    sums.tsv       run, and a column for every score of the experiment: what it predicts
                   of the run, minus the sum of the scores of the rows that it lacks
"""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64
from scipy.sparse import csr_array

from headwater.errors import HeadwaterError
from headwater.evaluation.specificity import MEAN
from headwater.interventions.runs import BASELINE, run_name
from headwater.publish import publish_file
from headwater.tables import read_table, table_text, write_table

# What a run measures, by which sign it is higher with more of the head.
RESPONSES = {
    "mean_score": 1,
    "final_score": 1,
    "probe": 1,
    "copy_gain": 1,
    "natural_copy_gain": 1,
    "icl": -1,
}
RUNS, LACKS, WINDOW = "runs.tsv", "rows.tsv.gz", "window.tsv.gz"
_COLUMNS = {
    RUNS: ("run", "arm", "draw", "fraction", "order", *RESPONSES),
    LACKS: ("run", "row"),
    WINDOW: ("row", "domain"),
}


@dataclass(frozen=True)
class Bank:
    """Runs and the rows that each was trained without.

    Attributes:
        runs: `runs.tsv`.
        lacks: 1 where a run (line) lacks a row of the window (column).
        first: number of the window's first row.
        domains: of every row, as text.
    """

    runs: pd.DataFrame
    lacks: csr_array
    first: int
    domains: Sequence[str]

    @property
    def rows(self) -> range:
        """Numbers of the window's rows in training order."""
        return range(self.first, self.first + self.lacks.shape[1])

    def mix(self) -> Float64[np.ndarray, "runs domains"]:
        """How many rows of each domain every run lacks."""
        codes, names = pd.factorize(pd.Series(self.domains, dtype=object))
        one_hot = np.eye(len(names))[codes]
        return np.asarray(self.lacks @ one_hot, np.float64)


def lacking(picked: Sequence[Int64[np.ndarray, " _rows"]], rows: int) -> csr_array:
    """The matrix of `Bank.lacks`, from the rows that each run lacks."""
    lines = np.repeat(np.arange(len(picked)), [len(one) for one in picked])
    columns = np.concatenate(picked) if picked else np.empty(0, np.int64)
    shape = len(picked), rows
    return csr_array((np.ones(len(columns)), (lines, columns)), shape=shape)


def changes(
    effects: pd.DataFrame, specificity: pd.DataFrame, head: str, arms: Sequence[str]
) -> pd.DataFrame:
    """Every run of some arms, in their order, and what it measures: no baseline.

    Args:
        effects: `evaluation/effects.tsv`.
        specificity: `evaluation/specificity.tsv`.
        head: the target's.

    Returns:
        Columns run, arm, draw and those of `RESPONSES`.
    """
    base = effects[effects["arm"] == BASELINE].iloc[0]
    own = effects[effects["arm"].isin(arms)].reset_index(drop=True)
    names = [run_name(*run) for run in zip(own["arm"], own["draw"], strict=True)]
    of_head = specificity[
        specificity["what"].eq(MEAN) & specificity["name"].eq(head)
    ].set_index("run")["change"]
    return pd.DataFrame(
        {
            "run": names,
            "arm": own["arm"],
            "draw": own["draw"],
            "mean_score": of_head.reindex(names).to_numpy(np.float64),
            "final_score": own["final_score"] - base["final_score"],
            "probe": own["probe_change"],
            "copy_gain": own["copy_gain_change"],
            "natural_copy_gain": own["natural_copy_gain_change"],
            "icl": own["final_icl"] - base["final_icl"],
        }
    )


def write_bank(folder: Path, bank: Bank) -> None:
    """Publish the tables of a bank, each of them whole."""
    line, column = bank.lacks.nonzero()
    runs = bank.runs["run"].to_numpy(object)
    lacks = pd.DataFrame({"run": runs[line], "row": column + bank.first})
    window = pd.DataFrame({"row": bank.rows, "domain": bank.domains})
    for name, table in ((LACKS, lacks), (WINDOW, window)):
        with publish_file(folder / name) as part:  # without a time: always like bytes
            part.write_bytes(gzip.compress(table_text(table).encode(), mtime=0))
    write_table(folder / RUNS, bank.runs[list(_COLUMNS[RUNS])])


def read_bank(folder: Path) -> Bank:
    """Read a bank, of this experiment or of anyone's.

    Raises:
        HeadwaterError: names the file and what is wrong.
    """
    runs, lacks, window = (_table(folder, name) for name in (RUNS, LACKS, WINDOW))
    first = int(window["row"].iloc[0]) if len(window) else 0
    if not (window["row"].to_numpy() == first + np.arange(len(window))).all():
        raise _wrong(folder / WINDOW, "its rows do not follow each other by number")
    if runs["run"].duplicated().any():
        raise _wrong(folder / RUNS, "a run stands there for the second time")
    lines = pd.Index(runs["run"]).get_indexer(lacks["run"])
    columns = lacks["row"].to_numpy() - first
    if (lines < 0).any():
        name = lacks["run"].iloc[int(np.argmax(lines < 0))]
        raise _wrong(folder / LACKS, f"run {name!r} is not in {RUNS}")
    if ((columns < 0) | (columns >= len(window))).any() or lacks.duplicated().any():
        raise _wrong(folder / LACKS, f"a row is not in {WINDOW}, or there twice")
    picked = [columns[lines == line] for line in range(len(runs))]
    found = lacking(picked, len(window))
    return Bank(runs, found, first, window["domain"].tolist())


def table_paths(folder: Path) -> list[Path]:
    """The files of a bank."""
    return [folder / name for name in _COLUMNS]


def _table(folder: Path, name: str) -> pd.DataFrame:
    table = read_table(folder / name)
    for column in _COLUMNS[name]:
        if column not in table:
            raise _wrong(folder / name, f"has no column {column}")
        numeric = column not in ("run", "arm", "domain")
        if numeric and not (pd.api.types.is_numeric_dtype(table[column])):
            raise _wrong(folder / name, f"column {column} is not of numbers")
        if column in ("row", "draw", "order") and table[column].dtype.kind != "i":
            raise _wrong(folder / name, f"column {column} is not of whole numbers")
    return table


def _wrong(path: Path, text: str) -> HeadwaterError:
    return HeadwaterError(f"{path}: {text}; make the bank again (docs/recipes.md)")
