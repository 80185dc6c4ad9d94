"""Effects of arms on the head: area under the curve, onset, final score.

All are read from the target head's score over the window; of a unit without heads, from
the value of its probe. The area is taken above the score at the window's start and
divided by the baseline's, so 1 means no effect, 0 that the head did not rise at all,
and more than 1 that it rose faster. The onset is the step, linearly interpolated, at
which the score first makes half of the baseline's rise, from its value at the window's
start to its maximum.

A run that never makes it has no onset, nor has one that is there from the start. The
former is known to come later than the window's end: a bound, and in a mean as well. A
mean over the runs that have an onset would be that of the lucky ones.

Influence predicts the probe, which need not move with the head's score. So the change
of the probe is measured too: its mean over the window, minus the baseline's. So are
those of `COPYING`, which no score was made from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from headwater.corpus.domains import NATURAL

# What the model makes of repeats: metrics of groups, the first minus the second.
COPYING = {
    "copy_gain": ("copy_gain", None),
    "natural_copy_gain": ("natural_copy_gain", None),
    "copyable_loss": ("loss_copyable", "loss_rest"),
}
EFFECTS = (
    *("area_ratio", "onset_shift", "probe_change", "final_score", "final_icl"),
    *(f"{name}_change" for name in COPYING),
)

# Whether a run has an onset: the column `onset` of the tables of effects.
REACHED, NEVER, ABOVE = "reached", "never", "above from the start"
UNKNOWN = "unknown"  # a score is not a number


@dataclass(frozen=True)
class Curves:
    """One run's curves over the window.

    Attributes:
        steps: ascending.
        score: of the target's head, at each step.
        icl: ICL score on natural held-out text, at each step; NaN if no held-out
            document is long enough.
        probe: value of the target's probe, at each step.
        copying: each of `COPYING` that was measured, at each step; nats.
    """

    steps: np.ndarray
    score: np.ndarray
    icl: np.ndarray
    probe: np.ndarray
    copying: Mapping[str, np.ndarray] = field(default_factory=dict)


def curves(
    table: pd.DataFrame, curve: tuple[str, str, str], target: str, steps: list[int]
) -> Curves:
    """A run's curves at the given steps, from its long table of metrics.

    Args:
        table: columns step, metric, kind, name, value.
        curve: metric, kind and name of the score (`Target.series_in`).
        steps: ascending.

    Raises:
        KeyError: a step is not in the table; areas over other steps cannot be compared.
    """
    icl = series(table, "icl", "group", NATURAL)
    if icl.empty:
        icl = pd.Series(float("nan"), index=steps)
    return Curves(
        np.array(steps),
        series(table, *curve).loc[steps].to_numpy(),
        icl.loc[steps].to_numpy(),
        series(table, "probe", "target", target).loc[steps].to_numpy(),
        {
            name: values.loc[steps].to_numpy()
            for name, (metric, rest) in COPYING.items()
            if len(values := _of_group(table, metric, rest))
        },
    )


def _of_group(table: pd.DataFrame, metric: str, less: str | None) -> pd.Series:
    """A metric that is measured on one group by step, perhaps less another one's."""
    lines = table[(table["metric"] == metric) & (table["kind"] == "group")]
    found = lines.astype({"value": float}).groupby("step")["value"].mean()
    return found - _of_group(table, less, None) if less else found


def series(table: pd.DataFrame, metric: str, kind: str, name: str) -> pd.Series:
    """One metric's values by step, ascending, from a run's long table of metrics."""
    columns = {"metric": metric, "kind": kind, "name": name}
    wanted = np.logical_and.reduce([table[key] == columns[key] for key in columns])
    return table[wanted].set_index("step")["value"].astype(float).sort_index()


def area(run: Curves) -> float:
    """Area under the head score above its first value (score x steps)."""
    return float(np.trapezoid(run.score - run.score[0], run.steps))


def mean_over(steps: np.ndarray, values: np.ndarray) -> float:
    """Mean of a curve over the steps of the window, in its unit."""
    return float(np.trapezoid(values, steps) / (steps[-1] - steps[0]))


def _change(run: Curves, baseline: Curves, name: str) -> float:
    """How far one of `COPYING` is from the baseline's in the mean; NaN if unknown."""
    if not (name in run.copying and name in baseline.copying):
        return float("nan")
    return mean_over(run.steps, run.copying[name] - baseline.copying[name])


def onset(run: Curves, level: float) -> tuple[str, float]:
    """Whether the score reaches a level, and the first step, interpolated, if it does.

    Returns:
        (`reached`, step); or `never`, `above from the start` or `unknown`, and NaN.
    """
    if not np.isfinite([*run.score, level]).all():
        return UNKNOWN, float("nan")
    above = np.flatnonzero(run.score >= level)
    if not len(above):
        return NEVER, float("nan")
    after = int(above[0])
    if after == 0:
        return ABOVE, float("nan")
    left, right = run.score[after - 1], run.score[after]
    share = (level - left) / (right - left)
    first, last = run.steps[after - 1], run.steps[after]
    return REACHED, float(first + share * (last - first))


def effect(run: Curves, baseline: Curves) -> dict[str, float | str]:
    """One run's effects against the baseline.

    `onset_at_least` bounds the shift of the onset from below: the shift itself, or,
    where the run never reaches the level, that of an onset at the window's end.
    """
    level = (baseline.score[0] + baseline.score.max()) / 2
    reference = area(baseline)
    state, step = onset(run, level)
    own = onset(baseline, level)[1]
    bound = float(run.steps[-1]) if state == NEVER else step
    return {
        "area_ratio": area(run) / reference if reference > 0 else float("nan"),
        "onset": state,
        "onset_step": step,
        "onset_shift": step - own,
        "onset_at_least": bound - own,
        "probe_change": mean_over(run.steps, run.probe)
        - mean_over(run.steps, baseline.probe),
        "final_score": float(run.score[-1]),
        "final_icl": float(run.icl[-1]),
        **{f"{name}_change": _change(run, baseline, name) for name in COPYING},
    }


def summarise(effects: pd.DataFrame) -> pd.DataFrame:
    """Mean, lowest and highest effect of each arm over its draws.

    There is none where a draw has no value, but for the shift of the onset: its lowest
    and highest are of the draws that have one. `onset_at_least` is a lower bound of its
    mean over all draws.
    """
    lines = []
    for arm, group in effects.groupby("arm", sort=False):
        first = group.iloc[0]
        line = {"arm": arm, "action": first["action"], "rows": first["rows"]}
        line["draws"] = len(group)
        for state, count in (
            (REACHED, "reached"),
            (NEVER, "never_reached"),
            (ABOVE, "above_from_start"),
        ):
            line[count] = int((group["onset"] == state).sum())
        for name in EFFECTS:
            values, some = group[name], name == "onset_shift"
            line[f"{name}_mean"] = values.mean(skipna=False)
            line[f"{name}_min"] = values.min(skipna=some)
            line[f"{name}_max"] = values.max(skipna=some)
        for name in ("onset_at_least", "overlap"):
            line[name] = group[name].mean(skipna=False)
        lines.append(line)
    return pd.DataFrame(lines)
