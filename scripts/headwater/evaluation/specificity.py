"""What an arm does besides: to every head, to losses, and who holds the head's place.

Each line compares one run with the baseline. Values of heads are the target's score,
`final` at the window's end and `mean` over it. Losses are of held-out rows at its end,
by domain and group, as far as they were measured: of all tokens, of those that could be
copied, and of the rest. `ablation` is what the model loses without a target's head.
`highest` is the head with the highest score at the window's end: another one than the
target's may have taken its place.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd

from headwater.evaluation.effects import mean_over
from headwater.interventions.runs import BASELINE, runs_of

COLUMNS = ["arm", "run", "what", "kind", "name", "baseline", "value", "change"]
FINAL, MEAN, HIGHEST = "final", "mean", "highest"
LOSSES = ("loss", "loss_copyable", "loss_rest")
ABLATION = "ablation"
Line = tuple[str, str, str, float, float]  # what, kind, name, baseline, value


def specificity(
    tables: Mapping[str, pd.DataFrame],
    arms: Iterable[str],
    score: str,
    steps: list[int],
) -> pd.DataFrame:
    """Every run of every arm beside the baseline: `evaluation/specificity.tsv`.

    Args:
        tables: long table of metrics of every run, by its name.
        arms: names of the arms.
        score: name of the target's head score.
        steps: of the window, ascending.

    Returns:
        Columns arm, run, what, kind (`head`, `unit`, `domain`, `group`), name,
        baseline, value, and change, the value minus the baseline's.
    """
    base = _grid(tables[BASELINE], steps)
    lines = [
        (arm, run, *line, line[4] - line[3])
        for arm in arms
        for run in runs_of(arm, tables)
        for line in _compared(_grid(tables[run], steps), base, score)
    ]
    return pd.DataFrame(lines, columns=COLUMNS)


def _grid(table: pd.DataFrame, steps: list[int]) -> pd.DataFrame:
    """Metrics in lines (metric, kind, name), steps in columns."""
    keys = ["metric", "kind", "name"]
    return table.pivot(index=keys, columns="step", values="value").loc[:, steps]


def _compared(run: pd.DataFrame, base: pd.DataFrame, score: str) -> Iterator[Line]:
    heads, before = (grid.loc[(score, "head")] for grid in (run, base))
    steps = np.array(run.columns)
    for name, curve in heads.iterrows():
        old, new = before.loc[name].to_numpy(float), curve.to_numpy(float)
        means = mean_over(steps, old), mean_over(steps, new)
        yield FINAL, "head", str(name), float(old[-1]), float(new[-1])
        yield MEAN, "head", str(name), *means
    last = steps[-1]
    for key, value in run[last].items():
        metric, kind, name = key
        if metric in LOSSES or metric == ABLATION:
            yield metric, kind, name, float(base.loc[key, last]), float(value)
    top = str(heads[last].astype(float).idxmax())
    yield (
        HIGHEST,
        "head",
        top,
        float(before.loc[top, last]),
        float(heads.loc[top, last]),
    )
