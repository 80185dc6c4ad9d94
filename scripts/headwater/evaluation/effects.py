"""Effects of arms on the head: area under the curve, onset, final score.

All are read from the target head's score over the window. The area is taken above
the score at the window's start and divided by the baseline's, so 1 means no effect, 0
that the head did not rise at all, and more than 1 that it rose faster. The onset is the
step, linearly interpolated, at which the score first reaches half of the baseline's
maximum.

Influence predicts the probe, which need not move with the head's score. So the change
of the probe is measured too: its mean over the window, minus the baseline's.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from headwater.corpus.domains import NATURAL

EFFECTS = ("area_ratio", "onset_shift", "probe_change", "final_score", "final_icl")


@dataclass(frozen=True)
class Curves:
    """One run's curves over the window.

    Attributes:
        steps: ascending.
        score: of the target's head, at each step.
        icl: ICL score on natural held-out text, at each step.
        probe: value of the target's probe, at each step.
    """

    steps: np.ndarray
    score: np.ndarray
    icl: np.ndarray
    probe: np.ndarray


def curves(
    table: pd.DataFrame, score: str, head: str, target: str, steps: list[int]
) -> Curves:
    """A run's curves at the given steps, from its long table of metrics.

    Args:
        table: columns step, metric, name, value.
        score: name of the head score.
        head: the target's head.
        steps: ascending.

    Raises:
        KeyError: a step is not in the table; areas over other steps cannot be compared.
    """
    head_curve = _series(table, score, head).loc[steps]
    icl = _series(table, "icl", NATURAL).loc[steps]
    probe = _series(table, "probe", target).loc[steps]
    return Curves(
        np.array(steps), head_curve.to_numpy(), icl.to_numpy(), probe.to_numpy()
    )


def _series(table: pd.DataFrame, metric: str, name: str) -> pd.Series:
    rows = table[(table["metric"] == metric) & (table["name"] == name)]
    return rows.set_index("step")["value"]


def area(run: Curves) -> float:
    """Area under the head score above its first value (score x steps)."""
    return float(np.trapezoid(run.score - run.score[0], run.steps))


def mean_probe(run: Curves) -> float:
    """Mean of the probe over the steps of the window, in the probe's unit."""
    return float(np.trapezoid(run.probe, run.steps) / (run.steps[-1] - run.steps[0]))


def onset(run: Curves, level: float) -> float:
    """First step, interpolated, at which the score reaches `level`; NaN if never."""
    above = np.flatnonzero(run.score >= level)
    if not len(above):
        return float("nan")
    after = int(above[0])
    if after == 0:
        return float(run.steps[0])
    left, right = run.score[after - 1], run.score[after]
    share = (level - left) / (right - left)
    return float(
        run.steps[after - 1] + share * (run.steps[after] - run.steps[after - 1])
    )


def effect(run: Curves, baseline: Curves) -> dict[str, float]:
    """One run's effects against the baseline."""
    level = baseline.score.max() / 2
    reference = area(baseline)
    step = onset(run, level)
    return {
        "area_ratio": area(run) / reference if reference > 0 else float("nan"),
        "onset_step": step,
        "onset_shift": step - onset(baseline, level),
        "probe_change": mean_probe(run) - mean_probe(baseline),
        "final_score": float(run.score[-1]),
        "final_icl": float(run.icl[-1]),
    }


def summarise(effects: pd.DataFrame) -> pd.DataFrame:
    """Mean, lowest and highest effect of each arm over its draws."""
    lines = []
    for arm, group in effects.groupby("arm", sort=False):
        first = group.iloc[0]
        line = {"arm": arm, "action": first["action"], "rows": first["rows"]}
        line["draws"] = len(group)
        for name in EFFECTS:
            for how in ("mean", "min", "max"):
                line[f"{name}_{how}"] = group[name].agg(how)
        line["never_reached"] = int(group["onset_step"].isna().sum())
        lines.append(line)
    return pd.DataFrame(lines)
