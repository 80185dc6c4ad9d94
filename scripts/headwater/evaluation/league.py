"""The scores side by side, over the banks of several members: `docs/scores.md`.

A bank judges scores in two ways. `lds`: how well sums of a score, or of all of them
together (`fitted`), predict what runs without random rows change (`lds`). `area`: what
a run without a score's highest rows leaves of the area under the head's curve, or
reaches with copies of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from headwater.evaluation.fitted import FITTED, Sums, fitted_lds, why_not
from headwater.evaluation.lds import AGAIN
from headwater.evaluation.verdicts import CONFIDENCE
from headwater.interventions.kinds import KINDS, score_of
from headwater.interventions.scores import SCORES

COLUMNS = [
    *("score", "measure", "asked", "response"),
    *("n", "mean", "low", "high", "values"),
]
LDS, AREA = "lds", "area"
_ENDS = {LDS: (-1.0, 1.0), AREA: (0.0, np.inf)}  # what no interval passes
# Kinds whose rows are the highest of a score; other kinds are a ranking of their own.
_RANKED = ("top", "strata")


@dataclass(frozen=True)
class Judged:
    """What one member's bank and arms found.

    Attributes:
        arms: the config's section.
        lds: `evaluation/lds.tsv`.
        effects: `evaluation/effects.tsv`.
        sums: of its bank; None of one that was judged before there were any.
    """

    arms: Mapping[str, Mapping[str, Any]]
    lds: pd.DataFrame
    effects: pd.DataFrame
    sums: Sums | None = None


def league_table(members: Mapping[str, Judged], target: str) -> pd.DataFrame:
    """A line for every score and every way of judging it.

    `asked` is the arm of a bank, or the action, share and kind of an arm of ranked
    rows; `values` has every member's own, in their order. Intervals are Student's, over
    members: empty for fewer than two.

    Args:
        target: whose rows were ranked; arms of other targets are left out.
    """
    found: dict[tuple[str, str, str, str], list[float]] = {}
    banks = sums_of(members)
    fits = () if why_not(banks) else banks
    for name, judged in members.items():
        own = [*_predicted(judged.lds), *_left(judged, target)]
        if name in fits:
            own += [
                ((FITTED, LDS, arm, response), value)
                for arm, response, value in fitted_lds(banks, name)
            ]
        for key, value in own:
            found.setdefault(key, []).append(value)
    lines = [(*key, *_summed(values, _ENDS[key[1]])) for key, values in found.items()]
    return pd.DataFrame(lines, columns=COLUMNS)


def sums_of(members: Mapping[str, Judged]) -> dict[str, Sums]:
    """The sums of every member's bank, where they are known."""
    return {name: one.sums for name, one in members.items() if one.sums is not None}


def _predicted(lds: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str, str], float]]:
    for line in lds.itertuples():
        yield (str(line.score), LDS, str(line.arm), str(line.response)), float(line.lds)


def _left(
    judged: Judged, target: str
) -> Iterator[tuple[tuple[str, str, str, str], float]]:
    areas = judged.effects.groupby("arm")["area_ratio"].mean()
    for name, arm in judged.arms.items():
        kind = KINDS[arm["rows"]]
        if name not in areas or kind.role == "bank" or not _of(arm, target):
            continue
        by_score = arm["rows"] in _RANKED
        score = score_of(arm) if by_score else name
        within = f" within {', '.join(arm['strata'])}" if "strata" in arm else ""
        asked = f"{arm['action']} {100 * arm['fraction']:g} %{within}"
        yield (score, AREA, asked, ""), float(areas[name])


def _of(arm: Mapping[str, Any], target: str) -> bool:
    return bool(arm.get("target", target) == target)


def _summed(
    values: list[float], ends: tuple[float, float]
) -> tuple[int, float, float, float, str]:
    known = np.array([value for value in values if np.isfinite(value)])
    count, mean = len(known), float(known.mean()) if len(known) else float("nan")
    half = float("nan")
    if count > 1:
        error = float(known.std(ddof=1)) / np.sqrt(count)
        half = float(student.ppf((1 + CONFIDENCE) / 2, count - 1)) * error
    each = " ".join(f"{value:.4g}" for value in values)
    low, high = np.clip([mean - half, mean + half], *ends)
    return count, mean, float(low), float(high), each


def page(table: pd.DataFrame, response: str) -> Iterator[str]:
    """The league as lines of Markdown, the best first by its first column.

    Args:
        response: by which LDS is shown.
    """
    shown = table[(table["response"] == response) | (table["measure"] == AREA)]
    asked = list(shown[["measure", "asked"]].drop_duplicates().itertuples(index=False))
    asked.sort(key=lambda one: one.measure != AREA)
    cells = shown.set_index(["score", "measure", "asked"])
    names = sorted(
        dict.fromkeys(shown["score"]),
        key=lambda name: _place(cells, name, asked),
    )
    heads = [f"{'area left' if m == AREA else 'LDS'}, {a}" for m, a in asked]
    yield f"| score | {' | '.join(heads)} |"
    yield f"| --- |{' --- |' * len(heads)}"
    for name in names:
        own = (_cell(cells, (name, *one)) for one in asked)
        yield f"| {name} | {' | '.join(own)} |"
    yield ""
    for name in names:
        if name in SCORES:
            score = SCORES[name]
            yield f"- `{name}`: {score.formula} (passes: {score.cost})"
    if FITTED in names:
        yield f"- `{FITTED}`: all scores, weighted to predict the other members' runs"
    if AGAIN in names:
        yield f"- `{AGAIN}`: the same rows left out in another order of the rows"


def _place(cells: pd.DataFrame, name: str, asked: list[Any]) -> tuple[float, ...]:
    def value(one: Any) -> float:
        if (name, *one) not in cells.index:
            return np.inf
        mean = float(cells.loc[(name, *one), "mean"])
        sign = 1 if one.measure == AREA and not one.asked.startswith("insert") else -1
        return sign * mean

    return tuple(value(one) for one in asked)


def _cell(cells: pd.DataFrame, key: tuple[str, str, str]) -> str:
    if key not in cells.index:
        return ""
    line = cells.loc[key]
    scale, form = (100, ".0f") if key[1] == AREA else (1, "+.2f")
    mean, low, high = (scale * float(line[name]) for name in ("mean", "low", "high"))
    if not np.isfinite(mean):  # a score that is the same for all rows
        return "-"
    around = f" [{low:{form}}, {high:{form}}]" if np.isfinite(low) else ""
    return f"{mean:{form}}{' %' if key[1] == AREA else ''}{around}"
